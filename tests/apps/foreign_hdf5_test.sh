#!/bin/sh
# sluice-inspect on a file that h5py wrote, with what Sluice's own files never have: cycles, links to nowhere and to other files,
# compression, booleans, half precision, records, a data set far larger than memory.
# Usage: foreign_hdf5_test.sh SLUICE_INSPECT; 77 means skipped.
set -eu
inspect=$1
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
for python in "${PYTHON:-python3}" /usr/bin/python3; do
  "$python" -c 'import h5py' 2> /dev/null && break
  python=
done
if [ -z "$python" ]; then
  echo "skipped: no Python with h5py (Debian: python3-h5py)"
  exit 77
fi
file=$directory/foreign.h5
"$python" - "$file" << 'PYTHON'
import h5py, numpy as np, sys
with h5py.File(sys.argv[1], "w") as f:
    f.attrs["shuffle"] = True
    f.attrs["steps"] = [1, 2, 3]
    f.attrs["texts"] = ["a", "b"]
    f["conv1.weight"] = np.arange(24, dtype="f4").reshape(2, 3, 4)
    f["half"] = np.arange(5, dtype="f2")
    f["flags"] = np.array([True, False])
    f["text"] = "of variable length"
    f["records"] = np.zeros(3, dtype=[("x", "f4"), ("y", "i4")])
    f["group/cycle"] = f["/"]
    f["group/dangling"] = h5py.SoftLink("/nowhere")
    f["group/elsewhere"] = h5py.ExternalLink("other.h5", "/x")
    f["group/same"] = f["half"]
    f["packed"] = f.create_dataset("zipped", data=np.zeros((1000, 100)), compression="gzip")
    f["null"] = h5py.Empty("f4")
    f.create_dataset("huge", (1 << 40,), dtype="f8", chunks=(1024,))
PYTHON

expect() {  # expect PATTERN: a line of the output matches
  grep -q -- "$1" "$directory/out" || { echo "no line matches: $1" >&2; cat "$directory/out" >&2; exit 1; }
}

"$inspect" "$file" > "$directory/out"
expect '^contents  2 groups, 10 data sets; no readable Sluice checkpoint$'
expect '^problem   /group/dangling: is neither group nor data set'
expect '^problem   /group/elsewhere: is neither group nor data set'
expect '^/  *shuffle = 1$'
expect '^ *steps = 1 2 3$'
expect '^ *texts = a, b$'
expect '^conv1.weight  float32  2x3x4 .* 24 '
expect '^half  *float16  5 .* = group/same$'
expect '^records  *records '
"$inspect" "$file" --stats '--filter=[!h]*' > "$directory/out"
expect '^conv1.weight  .* 0 to 23  *11.5  *6.922  *4.2 '
expect '^zipped  .* 100.0  *0  *0  *= packed$'

code=0
"$inspect" "$file" --stats > "$directory/out" 2>&1 || code=$?
[ "$code" = 5 ] || { echo "exit code $code, expected 5" >&2; exit 1; }
expect 'foreign.h5: /huge: its chunk at 0 was never written (0 of 1073741824 chunks are stored); complete the file'
