#!/usr/bin/env bash
# The long forms of the tests that break runs on purpose.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage="usage: tests/reliability/run.sh [BUILD_FOLDER] [TEST...]

Of a build with tests (default: build/release), by default all of
  kill        300 kills with SIGKILL, half of them just before a random system call
  rank_kill   100 kills of random ranks of trainings that several processes share
  fail_call   of a training, its resume and an evaluation: each of the first 200 system calls fails, and 200 beyond
  flip_bits   each bit of a checkpoint is flipped, and it is cut off at each byte
  alloc       2,000 allocations fail
Exit code 1 if any fails."

case ${1:-} in -h | --help) echo "$usage"; exit 0 ;; esac
build=$here/../../build/release
[ ! -d "${1:-}" ] || { build=$1; shift; }
build=$(cd "$build" && pwd) || exit
[ $# -gt 0 ] || set -- kill rank_kill fail_call flip_bits alloc

apps=$here/../apps
export SLUICE_BIN=$build/bin SLUICE_TOOLS=$build/tests/apps SLUICE_PLUGINS=$build/tests/core/plugin SLUICE_SOURCE=$here/../..
export SLUICE_FAIL_CALL=$build/tests/reliability/fail_call FAIL_ALLOC_LIBRARY=$build/tests/reliability/libfail_alloc.so
export PYTHONPATH=$apps OMP_WAIT_POLICY=passive

flip_bits() {
  local sample
  sample=$(mktemp) && "$build/bin/write_sample_checkpoint" "$sample" && "$build/tests/reliability/flip_bits" "$sample"
  local status=$?
  rm -f "$sample"
  return $status
}

run() {
  case $1 in
    kill) python3 -B "$apps/kill_test.py" --kills 300 ;;
    rank_kill) python3 -B "$here/rank_kill_test.py" --kills 100 ;;
    fail_call) python3 -B "$here/fail_call_test.py" --first 200 --sample 200 ;;
    flip_bits) flip_bits ;;
    alloc) python3 -B "$here/alloc_test.py" --count 2000 ;;
    *) echo "no test '$1'; there are kill rank_kill fail_call flip_bits alloc" >&2; return 2 ;;
  esac
}

failed=0
for name in "$@"; do
  echo "== $name"
  begin=$SECONDS
  run "$name" || failed=1
  echo "== $name: $((SECONDS - begin)) s"
done
exit $failed
