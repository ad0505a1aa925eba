#!/usr/bin/env bash
# Installs what the tests need, builds Sluice and runs them. May be run again at any time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

usage="usage: tests/run.sh [--preset NAME] [--werror] [CTEST_OPTION...]

Installs the packages that are missing (apt-get, as root or through sudo), builds into build/NAME and runs ctest there;
further options go to ctest, for example:  tests/run.sh -R checkpoint

  --preset NAME  release (default), debug, asan (address and undefined behaviour), tsan (data races, where no OpenMP
                 runs), onednn3 and onednn3-tbb (oneDNN 3.2, which pip installs below build/)
  --werror       treat compiler warnings as errors"

preset=release
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    --preset=*) preset=${1#*=}; shift ;;
    --werror) options+=(-DSLUICE_WERROR=ON); shift ;;
    -h | --help) echo "$usage"; exit 0 ;;
    --) shift; break ;;
    *) break ;;
  esac
done

sluice_install "${sluice_build_packages[@]}" "${sluice_test_packages[@]}"
runner=()
limit=300  # seconds for one test: a hang, not slowness, is what ends one
case $preset in
  asan)
    limit=1800
    export ASAN_OPTIONS=handle_segv=0  # libhdf5 may crash: what reads for us ends by the signal, as in other builds
    export LSAN_OPTIONS=suppressions=$sluice_root/tests/leaks.txt:print_suppressions=0
    ;;
  onednn3 | onednn3-tbb)
    sluice_install python3-venv
    "$sluice_root/cmake/get-onednn3.sh" "$([ "$preset" = onednn3 ] && echo gomp || echo tbb)"
    ;;
  tsan)
    limit=1800
    # Its runtime cannot live with some randomised memory maps.
    if setarch --addr-no-randomize true 2>/dev/null; then runner=(setarch --addr-no-randomize); fi
    ;;
esac
# Continuous integration asks for fewer processes: to start one costs more than most cases.
options+=(${SLUICE_TEST_SHARDS:+-DSLUICE_TEST_SHARDS="$SLUICE_TEST_SHARDS"})
sluice_build "$preset" -DSLUICE_BUILD_TESTS=ON "${options[@]}"
cd "$sluice_root/build/$preset"
exec "${runner[@]}" ctest --output-on-failure --no-tests=error --timeout "$limit" --parallel "$(nproc)" "$@"
