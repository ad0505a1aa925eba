#!/usr/bin/env bash
# Installs what the tests need, builds Sluice and runs them. May be run again at any time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../apps/setup.sh"

usage="usage: tests/run.sh [--preset release|debug|asan|tsan] [--werror] [CTEST_OPTION...]

Installs the packages that are missing (apt-get, as root or through sudo), builds into build/PRESET and runs ctest there;
further options go to ctest, for example:  tests/run.sh -R checkpoint"

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
sluice_build "$preset" -DSLUICE_BUILD_TESTS=ON "${options[@]}"
cd "$sluice_root/build/$preset"
exec ctest --output-on-failure --no-tests=error --timeout 300 --parallel "$(nproc)" "$@"
