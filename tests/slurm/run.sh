#!/usr/bin/env bash
# The job templates on a real Slurm: tests/slurm/run.sh BUILD_DIRECTORY [OPTION OF templates_test.py...]. Controller and node daemons run
# on this machine, in namespaces that end with this script. 77, with a reason, where they cannot.
set -euo pipefail
build=$(cd "${1:?the build directory}" && pwd)
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
skip() { echo "skipped: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "Slurm's daemons need root"
PATH=$PATH:/usr/sbin
for program in munged slurmctld slurmd srun; do
  command -v $program >/dev/null || skip "no $program here; install slurm-wlm, munge and libpmix-dev"
done
unshare --pid --mount --uts --fork true 2>/dev/null || skip "namespaces are not allowed here"
export SLUICE_BIN=$build/bin SLUICE_TOOLS=$build/tests/apps SLUICE_PLUGINS=$build SLUICE_SOURCE=$here/../.. PYTHONPATH=$here/../apps
exec unshare --pid --mount-proc --uts --fork --kill-child python3 -B "$here/templates_test.py" "$@"
