#!/usr/bin/env bash
# Runs the network and the commands of docs/bring-your-own.md on the data that docs/data.md shows how to write.
# Usage: bring_your_own_test.sh DIRECTORY_OF_PROGRAMS DOCS; 77 means skipped.
set -euo pipefail
programs=$1 docs=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

for python in "${PYTHON:-python3}" /usr/bin/python3; do
  "$python" -c 'import h5py, numpy' 2> /dev/null && break
  python=
done
if [ -z "$python" ]; then
  echo "skipped: no Python with h5py (Debian: python3-h5py)"
  exit 77
fi

# block FILE LANGUAGE NUMBER
block() {
  awk -v start="\`\`\`$2" -v number="$3" '$0 == "```" { inside = 0 } inside { print } $0 == start && ++seen == number { inside = 1 }' "$1"
}
cd "$directory"
block "$docs/data.md" python 1 > write.py
"$python" write.py
[ -f train.h5 ] && [ -f test.h5 ] || fail "docs/data.md writes no train.h5 and test.h5"
block "$docs/bring-your-own.md" ini 1 > net.ini
block "$docs/bring-your-own.md" sh 1 > commands.sh
[ "$(wc -l < commands.sh)" = 4 ] || fail "docs/bring-your-own.md shows other commands: $(cat commands.sh)"
sed -i '/^sluice-train/s/$/ --run.threads=1/' commands.sh
sed 's/^/echo "@@@"; /' commands.sh > run.sh
PATH=$programs:$PATH bash -eu run.sh > out 2> err || fail "$(cat err)"
[ ! -s err ] || fail "the commands are not quiet: $(cat err)"

# part NUMBER: what the command of that number printed
part() { awk -v number="$1" '$0 == "@@@" { ++seen; next } seen == number { print }' out; }
part 1 | grep -qE '^body\.conv +cg_conv ' || fail "no gated convolution in the layer table: $(part 1)"
part 2 | grep -qE ', density [0-9.]+ %, cost ' || fail "training does not show gate densities: $(part 2)"
part 3 | grep -qE '^density +[0-9.]+ %' || fail "evaluation does not show gate densities: $(part 3)"
part 3 | grep -q 'top\.conv' || fail "evaluation does not show layers: $(part 3)"
if part 4 | grep -qwE 'density|cost'; then fail "the dense twin has gates: $(part 4)"; fi
[ -f dense/weights.h5 ] || fail "no dense twin"

# The task is easy: bright images or dark ones.
accuracy=$("$programs/sluice-eval" gated/weights.h5 --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["accuracy"])')
"$python" -c "import sys; sys.exit(not float('$accuracy') > 0.9)" || fail "the gated network learned nothing: accuracy $accuracy"

# The other key of the page that changes the network.
"$programs/sluice-train" net.ini --dry-run --type.cg_conv.granularity=slice > /dev/null 2> err || fail "$(cat err)"
"$programs/sluice-train" net.ini --run.dir=twin --run.threads=1 --train.epochs=1 --train.init=dense/weights.h5 --train.init_partial=yes \
  > out 2> err || fail "$(cat err)"
grep -q 'starts from the weights of dense/weights.h5' out || fail "$(cat out)"
