#!/usr/bin/env bash
# Installs a build into a fresh prefix and builds against it, out of the tree: the installed examples of a plug-in and of
# gates, the training loop that docs/bring-your-own.md shows, and the services of docs/serving.md, by CMake and by pkg-config.
# usage: run.sh SOURCE_DIR BUILD_DIR WORK_DIR CXX_COMPILER GENERATOR
set -euo pipefail
source=$1 build=$2 work=$3 compiler=$4 generator=$5
fail() { echo "FAILED: $*" >&2; exit 1; }

rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
python3 -B "$source/tests/install/names.py" "$work/prefix" "$source" || fail "these installed files name files that are not installed"
examples=$work/prefix/share/sluice/examples
cp -r "$examples/plugin" "$work/swish"

# Nothing installed may lean on the tree it came from.
if grep -rlF -e "$source" -e "$build" "$work/prefix" --include='*.cmake' --include='*.hpp' --include='*.pc'; then
  fail "these installed files name the source or build folder"
fi
for library in "$work"/prefix/lib*/libsluice*.so "$work"/prefix/lib*/*/libsluice*.so "$work"/prefix/bin/* "$work"/prefix/libexec/sluice/*; do
  [[ -f $library && $library != *.py && $library != */sluice-get-data ]] || continue
  readelf -d "$library" | grep -E 'R(UN)?PATH' | grep -F "$build" && fail "$library looks for libraries in the build folder"
done

# The headers are those of the list and no others; programs include four of them. None brings in what Sluice itself is built on.
prefix=$work/prefix
mapfile -t listed < <(sed -n 's/^  \([a-z].*\.hpp\))\{0,1\}$/\1/p' "$source/cmake/SluicePublicHeaders.cmake")
for header in "${listed[@]}" core/plugin/build_id.hpp; do echo "${header#apps/sluice/}"; done | sort >"$work/listed"
(cd "$prefix/include/sluice" && find . -type f | sed 's,^\./,,' | sort) >"$work/found"
diff "$work/listed" "$work/found" >&2 || fail "what is installed is not what cmake/SluicePublicHeaders.cmake lists"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
read -ra cflags <<<"$(pkg-config --cflags sluice)"
for header in "${listed[@]}" ; do
  [[ $header == apps/sluice/* ]] || continue
  echo "#include <${header#apps/}>" | "$compiler" "${cflags[@]}" -Wall -Wextra -Wpedantic -Werror -M -x c++ - >"$work/reached" || fail "<$header>"
  grep -E '/(nlohmann|boost|tbb|oneapi/tbb|hdf5|Random123)/|/(hdf5|H5[A-Za-z]*|xxhash|zlib)\.h' "$work/reached" &&
    fail "<$header> brings in these"
done

# The libraries export nothing but namespace sluice and the entries of plug-ins and engines.
for library in "$prefix"/lib/libsluice*.so; do
  nm -D --defined-only "$library" | awk '$3 !~ /^_Z(T[ISTV]|Th[0-9n]*_|Z|GVZ?)?NK?6sluice|^sluice_(plugin|make_communicator)$/' | grep . &&
    fail "$library exports these"
done

configure() {
  cmake -S "$1" -B "$2" -G "$generator" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" "${@:3}"
}

configure "$work/swish" "$work/build"
grep -q '^CMAKE_BUILD_TYPE:STRING=Release$' "$work/build/CMakeCache.txt" || fail "the example of a plug-in is not optimised"
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

# A gate of one's own: gradients, and everything that training and evaluation make of its declarations.
cp -r "$examples/own_gate" "$source/tests/own_loop" "$source/tests/own_service" "$work"
configure "$work/own_gate" "$work/gate"
grep -q '^CMAKE_BUILD_TYPE:STRING=Release$' "$work/gate/CMakeCache.txt" || fail "the example of a gate is not optimised"
cmake --build "$work/gate"
ctest --test-dir "$work/gate" --output-on-failure --no-tests=error
load=--plugins.load=$work/gate/libcentre_conv.so
"$bin/sluice-train" "$work/own_gate/centre.ini" "$load" --data.validation=10 --dry-run >"$work/dry.log" 2>&1
if grep -E 'warning|error' "$work/dry.log"; then fail "--dry-run complains of the gate"; fi
"$bin/sluice-train" "$work/own_gate/centre.ini" "$load" --run.dir="$work/gated"
for column in gate_density test_gate_density gating_loss; do
  head -1 "$work/gated/metrics.csv" | grep -qE "(^|,)$column(,|\$)" || fail "no $column in $(head -1 "$work/gated/metrics.csv")"
done
"$bin/sluice-eval" "$work/gated/weights.h5" "$load" --json >"$work/gated.json"
for key in gate_density sparsity macs_executed flop_reduction; do
  grep -q "\"$key\"" "$work/gated.json" || fail "no $key in $(cat "$work/gated.json")"
done
# The one that skips: its ways are timed, its decisions are kept, and it has a dense twin.
load=--plugins.load=$work/gate/libcheckered_conv.so
"$bin/sluice-train" "$work/own_gate/centre.ini" "$load" --define.gate=checkered_conv --train.epochs=1 --optimizer.no_decay=norm,bias \
  --run.dir="$work/checkered" 2>&1 | tee "$work/checkered.log"
grep -q 'warning: .*\[gating_loss\]: has no effect' "$work/checkered.log" || fail "nothing says that it has no thresholds"
"$bin/sluice-deploy" "$work/checkered/weights.h5" "$load" -o "$work/checkered.h5" --eval.batch=50 | tee "$work/checkered.log"
grep -Eq '^ *layer +runs +ms +skip +dense$' "$work/checkered.log" && grep -Eq '^ *gated +(skip|dense)( +[0-9.]+){3}$' "$work/checkered.log" ||
  fail "sluice-deploy has not timed the ways"
"$bin/sluice-eval" "$work/checkered.h5" "$load" --compare | tee "$work/checkered.log"
grep -q 'gates  *0 of ' "$work/checkered.log" || fail "the decisions are not kept"
"$bin/sluice-bench" "$work/checkered.h5" "$load" --only=infer --steps=2 --plan | tee "$work/checkered.log"
grep -q 'dense twin' "$work/checkered.log" || fail "sluice-bench has no dense twin"
grep -q 'slower than dense' "$work/checkered.log" && fail "sluice-bench moves thresholds that are not there"
echo "the gates work against the installed package"

# A training loop of one's own, which never speaks of the gating loss, with the network of the same page.
configure "$work/own_loop" "$work/loop" -DCMAKE_BUILD_TYPE=Release
cmake --build "$work/loop"
awk '$0 == "```" { inside = 0 } inside { print } $0 == "```ini" { inside = 1 }' "$source/docs/bring-your-own.md" >"$work/net.ini"
cat >"$work/loop.ini" <<END
include = net.ini
[run]
threads = 2
[data]
kind = synthetic
synthetic_image = 3x24x32
synthetic_size = 900
synthetic_test_size = 100
classes = 2
END
"$work/loop/train_loop" "$work/loop.ini" "$work/own.h5" | tee "$work/loop.log"
awk '{ gating[NR] = $7 } END { exit !(NR == 4 && gating[1] > 0.08 && gating[4] < 0.98 * gating[1]) }' "$work/loop.log" ||
  fail "the loop has forgotten the gating loss"
"$bin/sluice-eval" "$work/own.h5"
echo "the training loop works against the installed package"

# The program of docs/serving.md by pkg-config, and then, below, by CMake. Its pictures are grey all over, but they are pictures.
for grey in 1 2 3; do
  { printf 'P6\n32 24\n255\n'; head -c 2304 /dev/zero | tr '\0' "\\${grey}00"; } >"$work/$grey.ppm"
done
read -ra link <<<"$(pkg-config --cflags --libs sluice)"
"$compiler" "$work/own_service/hello.cpp" "${link[@]}" -Wl,-rpath,"$prefix/lib" -o "$work/hello"
hello=$("$work/hello" "$work/own.h5" "$work/1.ppm")
[ "$(grep -cE '^ *[0-9.]+ %  [01]$' <<<"$hello")" = 2 ] || fail "hello says '$hello'"
# A plug-in, likewise.
read -ra link <<<"$(pkg-config --cflags --libs sluice)"
"$compiler" -O2 -shared -fPIC "$work/swish/swish.cpp" "${link[@]}" -o "$work/libswish.so"
"$bin/sluice-train" "$source/tests/install/swish.ini" --plugins.load="$work/libswish.so" --run.dir="$work/run_of_pkgconfig"

# A program that serves what the loop has trained.
configure "$work/own_service" "$work/service" -DCMAKE_BUILD_TYPE=Release
cmake --build "$work/service"
"$work/service/classify" "$work/own.h5" "$work"/[123].ppm | tee "$work/service.log"
[ "$(grep -cE '^.*/[123]\.ppm: .' "$work/service.log")" = 3 ] || fail "no class for each image"
[ "$("$work/service/hello" "$work/own.h5" "$work/1.ppm")" = "$hello" ] || fail "hello says something else where CMake builds it"
cat >>"$work/loop.ini" <<END
[train]
epochs = 1
END
"$bin/sluice-train" "$work/loop.ini" --run.dir="$work/trained"
"$bin/sluice-deploy" "$work/trained/weights.h5" -o "$work/deployed.h5" --eval.batch=50
for file in trained/weights.h5 deployed.h5; do "$work/service/classify" "$work/$file" "$work/1.ppm" | grep -q '1.ppm: .'; done
if "$work/service/classify" "$work/own.h5" "$work/own.h5" 2>"$work/service.log"; then fail "a checkpoint passed for an image"; fi
grep -q '^classify: .*own.h5: it is an HDF5 file, expected JPEG, PNG' "$work/service.log" || fail "$(cat "$work/service.log")"
echo "the service works against the installed package"
