#!/usr/bin/env bash
# Builds the fuzzers and lets libFuzzer look for inputs that break them, one after another.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../apps/setup.sh"

usage="usage: tests/fuzz/run.sh [SECONDS] [HARNESS...]

Runs each harness (default: all) for SECONDS (default 600), on what it finds as well as on the seeds in tests/fuzz/seeds.
What it learns stays in build/fuzz/corpus/HARNESS, inputs that break something in build/fuzz/findings/HARNESS: give one to
build/fuzz/tests/fuzz/fuzz_HARNESS to see it again. Crashes inside of HDF5's library, from which its own process keeps programs
away, stand apart in HARNESS.hdf5. Exit code 1 where there are others, 77 without Clang."

case ${1:-} in -h | --help) echo "$usage"; exit 0 ;; esac
seconds=600
[[ ! ${1:-} =~ ^[0-9]+$ ]] || { seconds=$1; shift; }
[ $# -gt 0 ] || set -- ini command_line idx cifar hdf5 checkpoint metrics import picture mat onnx

(sluice_install "${sluice_build_packages[@]}" clang-14 libclang-rt-14-dev) || { sluice_say "skipped: no Clang"; exit 77; }
SLUICE_TARGETS=fuzzers sluice_build fuzz >&2
cd "$sluice_root/build/fuzz"
# HDF5 and its errors leak, and it may ask malloc for more than there is, as long as it takes no for an answer.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1

# of_hdf5 HARNESS INPUT: whether the input crashes HDF5's library rather than us: whose function comes first on the stack?
of_hdf5() {
  { timeout 120 "$PWD/tests/fuzz/fuzz_$1" "$PWD/$2" 2>&1 || true; } | grep -oE -m1 'libhdf5|in sluice::' | head -1 | grep -q hdf5
}

summary=() found=0
for name in "$@"; do
  sluice_say "$name, $seconds s"
  mkdir -p "corpus/$name" "findings/$name"
  log=findings/$name.log
  # In a child process, so that it goes on after a finding. Whole paths: a fuzzer may work in a folder of its own.
  "$PWD/tests/fuzz/fuzz_$name" -fork=1 -ignore_crashes=1 -ignore_ooms=1 -ignore_timeouts=1 -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=2048 -malloc_limit_mb=1024 -artifact_prefix="$PWD/findings/$name/" "$PWD/corpus/$name" "$sluice_root/tests/fuzz/seeds/$name" \
    >"$log" 2>&1 || true
  runs=$(awk '/^#[0-9]+:/ { sub(/:.*/, ""); last = substr($0, 2) } END { print last + 0 }' "$log")
  mkdir -p "findings/$name.hdf5"
  for input in "findings/$name"/*; do
    [ ! -f "$input" ] || ! of_hdf5 "$name" "$input" || mv "$input" "findings/$name.hdf5/"
  done
  count=$(find "findings/$name" -type f | wc -l)
  [ "$count" = 0 ] || found=1
  summary+=("$(printf '%-14s %10d inputs, %6d kept, %3d findings, %d in HDF5' "$name" "$runs" "$(find "corpus/$name" -type f | wc -l)" \
    "$count" "$(find "findings/$name.hdf5" -type f | wc -l)")")
done
printf '%s\n' "${summary[@]}"
exit "$found"
