#!/usr/bin/env bash
# Times networks and draws docs/pictures/accuracy_time.svg: docs/pictures/accuracy_time.sh CIFAR-10-FOLDER NAME=CHECKPOINT...
# Each is deployed for fp32 and int8, for batches of 128 and of 1, on two threads; those of one kind are timed in turn in one process.
# Wants a quiet machine, and matplotlib. The figures go to docs/pictures/accuracy_time.csv.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${2:?a folder with CIFAR-10 and NAME=CHECKPOINT...}"
data=$1
shift
programs=$root/build/release/bin
figures=$root/docs/pictures/accuracy_time.csv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

echo "network,precision,batch,accuracy,milliseconds,share" >"$folder/figures.csv"
for precision in fp32 int8; do
  for batch in 128 1; do
    files=()
    for network in "$@"; do
      files+=("$folder/${network%%=*}.h5")
      "$programs/sluice-deploy" "${network#*=}" -o "${files[-1]}" --force --data.dir="$data" --eval.batch=$batch --run.threads=2 \
        --precision=$precision --images=validation >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
    done
    "$programs/sluice-eval" "${files[@]}" --data.dir="$data" --eval.batch=$batch --run.threads=2 --time --csv >"$folder/table.csv"
    python3 - "$folder/table.csv" $precision $batch >>"$folder/figures.csv" <<'PYTHON'
import csv, os, sys

table, precision, batch = sys.argv[1:]
for row in csv.DictReader(open(table)):
    share = float(row["macs_executed"]) / float(row["macs_dense"])
    name = os.path.basename(row["checkpoint"])[:-len(".h5")]
    print(name, precision, batch, row["accuracy"], round(float(row["milliseconds"]), 4), round(share, 4), sep=",")
PYTHON
  done
done
mv "$folder/figures.csv" "$figures"
python3 "$root/docs/pictures/accuracy_time.py" "$figures" "${figures%.csv}.svg"
