#!/bin/bash
# The job templates with stand-ins for Slurm's commands: what is run, and when a job goes back into the queue.
# Usage: cluster_test.sh SOURCE_DIRECTORY DIRECTORY_OF_PROGRAMS
set -eu
templates=$1/configs/cluster
network=$1/configs/networks/resnet20.ini
programs=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
mkdir bin

# srun leaves what it would have run, and ends as told; "cancel" is what scancel does: SIGTERM to the script as well.
cat > bin/srun <<'END'
#!/bin/bash
printf '%s\n' "$@" > ran
[ "$FAKE_SRUN" != cancel ] || { kill -TERM "$PPID"; exit 75; }
[ "$FAKE_SRUN" != print ] || { shift; exec "$@" --print-config > printed; }
exit "$FAKE_SRUN"
END
cat > bin/scontrol <<'END'
#!/bin/bash
echo "$@" >> requeued
exit "${FAKE_SCONTROL:-0}"
END
chmod +x bin/*
export PATH=$directory/bin:$PATH SLUICE_BIN=$programs SLURM_CPUS_PER_TASK=3 SLURM_JOB_ID=17
unset SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_RESTART_COUNT

fail() { echo "cluster_test.sh: $*" >&2; exit 1; }

# job EXIT_CODE REQUEUED TEMPLATE ARGUMENT...: runs the template and checks how it ends.
job() {
  local code=$1 requeued=$2 found=0
  shift 2
  rm -f ran requeued
  bash "$templates/$1" "${@:2}" 2> err || found=$?
  [ "$found" = "$code" ] || fail "$*: exit code $found, expected $code; $(cat err)"
  [ "$(cat requeued 2> /dev/null)" = "$requeued" ] || fail "$*: '$(cat requeued)', expected '$requeued'"
}
ran() { [ "$(paste -sd ' ' ran)" = "$*" ] || fail "ran '$(paste -sd ' ' ran)', expected '$*'"; }

for code in 0 2 4 75; do
  FAKE_SRUN=$code job $code '' single.sbatch a.ini --train.epochs=3
done
ran --cpus-per-task=3 sluice-train a.ini --train.epochs=3 --run.threads=3 --auto-resume

for code in 0 2 4; do
  FAKE_SRUN=$code job $code '' requeue.sbatch a.ini
done
FAKE_SRUN=75 job 75 'requeue 17' requeue.sbatch a.ini
ran --cpus-per-task=3 sluice-train a.ini --run.threads=3 --auto-resume
SLURM_RESTART_COUNT=99 FAKE_SRUN=75 job 75 'requeue 17' requeue.sbatch a.ini
SLURM_RESTART_COUNT=100 FAKE_SRUN=75 job 75 '' requeue.sbatch a.ini
FAKE_SRUN=cancel job 75 '' requeue.sbatch a.ini
FAKE_SCONTROL=1 FAKE_SRUN=75 job 75 'requeue 17' requeue.sbatch a.ini
grep -q 'submit it again' err || fail "a failed requeue is not reported"

printf '%s\n' '--optimizer.lr=0.05 --run.seed=1' '--optimizer.lr=0.1  --run.seed=2' > lr.txt
FAKE_SRUN=0 job 2 '' sweep.sbatch lr.txt a.ini
grep -q 'submit with --array' err || fail "without --array: $(cat err)"
export SLURM_ARRAY_JOB_ID=20 SLURM_ARRAY_TASK_ID=2
FAKE_SRUN=0 job 0 '' sweep.sbatch lr.txt a.ini --train.epochs=3
ran --cpus-per-task=3 sluice-train a.ini --train.epochs=3 --optimizer.lr=0.1 --run.seed=2 --run.dir=runs/lr/optimizer.lr=0.1,run.seed=2 \
  --run.threads=3 --auto-resume
FAKE_SRUN=75 job 75 'requeue 20_2' sweep.sbatch lr.txt a.ini
printf -- '--optimizer.lr=0.05\n--data.dir=/a/b --note.text=%s\n' "$(printf 'x%.0s' {1..300})" > long.txt
FAKE_SRUN=0 job 0 '' sweep.sbatch long.txt a.ini
grep -qxE -- '--run.dir=runs/long/data.dir=_a_b,note.text=x{86}-[0-9a-f]{16}' ran || fail "a long line: $(cat ran)"
FAKE_SRUN=cancel job 75 '' sweep.sbatch lr.txt a.ini
SLURM_ARRAY_TASK_ID=3 FAKE_SRUN=0 job 2 '' sweep.sbatch lr.txt a.ini
grep -q 'lr.txt has no line 3' err || fail "a missing line: $(cat err)"
FAKE_SRUN=0 job 2 '' sweep.sbatch absent.txt a.ini

# What the templates pass is what the program takes.
FAKE_SRUN=print job 0 '' sweep.sbatch lr.txt "$network" --data.kind=synthetic
for line in 'seed = 2' 'threads = 3' 'dir = runs/lr/optimizer.lr=0.1,run.seed=2' 'lr = 0.1'; do
  grep -q "^$line  *# command line" printed || fail "no '$line' in: $(cat printed)"
done

if command -v shellcheck > /dev/null; then
  shellcheck "$templates"/*.sbatch "$1/tests/configs/cluster_test.sh"
else
  echo "shellcheck is not installed: the templates were not checked by it"
fi
