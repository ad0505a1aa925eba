#!/bin/sh
# Runs the Python of docs/checkpoint-format.md on a checkpoint, and HDF5's own tools where they are installed.
# Usage: checkpoint_format_test.sh PROGRAM_THAT_WRITES_A_CHECKPOINT DOCUMENT; 77 means skipped.
set -eu
writer=$1
document=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
file=$directory/sample.h5
"$writer" "$file"

expect() {  # expect FILE TEXT: the file has that line
  grep -qxF -- "$2" "$1" || { echo "missing: $2; got:" >&2; cat "$1" >&2; exit 1; }
}

if command -v h5ls > /dev/null; then
  h5ls -r "$file" > "$directory/h5ls"
  grep -q '^/weights/conv1/weight  *Dataset {5, 3, 3, 2}$' "$directory/h5ls" || { cat "$directory/h5ls" >&2; exit 1; }
  grep -q '^/weights/linear/weight  *Dataset, same as /weights/layer1.0.conv1/weight$' "$directory/h5ls" ||
    { cat "$directory/h5ls" >&2; exit 1; }
  h5dump -d /config "$file" | grep -q 'input = 3x32x32'
  cp "$file" "$directory/copy.h5"
  h5diff "$file" "$directory/copy.h5"
else
  echo "h5ls is not installed (Debian: hdf5-tools): HDF5's own tools were not tried"
fi

if command -v xxhsum > /dev/null; then
  digest=$(tail -c 24 "$file" | head -c 16 | od -An -v -tx1 | tr -d ' \n')
  head -c -48 "$file" | xxhsum -H2 | grep -q "^$digest " || { echo "xxhsum does not agree with the seal" >&2; exit 1; }
fi

for python in "${PYTHON:-python3}" /usr/bin/python3; do
  "$python" -c 'import h5py' 2> /dev/null && break
  python=
done
if [ -z "$python" ]; then
  echo "skipped: no Python with h5py (Debian: python3-h5py)"
  exit 77
fi
{
  echo "path = '$file'"
  sed -n '/^```python$/,/^```$/p' "$document" | sed '/^```/d'
} > "$directory/snippet.py"
"$python" "$directory/snippet.py" > "$directory/out"
expect "$directory/out" "full of format 1.5"
expect "$directory/out" "weights/conv1/weight float32 (5, 3, 3, 2)"
expect "$directory/out" "weights/linear/scale float32 ()"
expect "$directory/out" "columns epoch train_loss density.layer1.0.gate"
expect "$directory/out" "epochs 1.0 2.0 3.0"
expect "$directory/out" "step 1234"
expect "$directory/out" "config [network]"
expect "$directory/out" "statistics layer1.0.gate {'density': 0.375, 'images': 10000}"
expect "$directory/out" "evaluation layer1.0.gate energy=0.5 open=3 total=8"
expect "$directory/out" "cost layer1.0.gate 1000 1000 3000"
