#!/usr/bin/env bash
# Installs a build into a fresh prefix and builds the plug-in of tests/plugin against it, out of the tree.
# usage: run.sh SOURCE_DIR BUILD_DIR WORK_DIR CXX_COMPILER
set -euo pipefail
source=$1 build=$2 work=$3 compiler=$4
fail() { echo "FAILED: $*" >&2; exit 1; }

rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
cp -r "$source/tests/plugin" "$work/swish"

# Nothing installed may lean on the tree it came from.
if grep -rlF -e "$source" -e "$build" "$work/prefix" --include='*.cmake' --include='*.hpp'; then
  fail "these installed files name the source or build folder"
fi
for library in "$work"/prefix/lib*/libsluice_*.so "$work"/prefix/lib*/*/libsluice_*.so "$work"/prefix/bin/*; do
  [ -f "$library" ] || continue
  readelf -d "$library" | grep -E 'R(UN)?PATH' | grep -F "$build" && fail "$library looks for libraries in the build folder"
done

configure() { cmake -S "$1" -B "$2" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" "${@:3}"; }

configure "$work/swish" "$work/build" -DCMAKE_BUILD_TYPE=Release
cmake --build "$work/build"
ctest --test-dir "$work/build" --output-on-failure --no-tests=error

# Another minor version is not accepted.
sed 's/find_package(sluice 0.1/find_package(sluice 0.2/' -i "$work/swish/CMakeLists.txt"
if configure "$work/swish" "$work/newer" >"$work/newer.log" 2>&1; then fail "find_package accepted another version"; fi
grep -q 'sluiceConfig.cmake, version: 0.1' "$work/newer.log" || fail "not a word about the version in newer.log"

# The installed programs load it when the user names it, and only then.
bin=$work/prefix/bin
"$bin/sluice-train" "$source/tests/install/swish.ini" --plugins.load="$work/build/libswish.so" --run.dir="$work/run"
"$bin/sluice-eval" "$work/run/weights.h5" 2>"$work/eval.log" && fail "sluice-eval loaded a plug-in that a checkpoint names"
grep -q "add --plugins.load=$work/build/libswish.so" "$work/eval.log" || fail "$(cat "$work/eval.log")"
"$bin/sluice-eval" "$work/run/weights.h5" --plugins.load="$work/build/libswish.so"
echo "the plug-in works against the installed package"
