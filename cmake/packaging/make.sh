#!/usr/bin/env bash
# From the source and a bare Debian to something that can be installed: make.sh debs, or make.sh prefix FOLDER; options of CMake may
# follow. Installs what a build needs. Packages lie in build/packages/debs then; a prefix, which may be moved, has a modulefile.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../apps/setup.sh"

case ${1:-} in
  debs)
    sluice_install "${sluice_build_packages[@]}" dpkg-dev file
    sluice_build packages "${@:2}"
    cd "$sluice_root/build/packages"
    cpack
    ;;
  prefix)
    sluice_install "${sluice_build_packages[@]}"
    sluice_build release -DSLUICE_BUILD_TESTS=OFF "${@:3}"
    cmake --install "$sluice_root/build/release" --prefix "${2:?make.sh prefix FOLDER}"
    ;;
  *) sluice_fail "expected debs, or prefix FOLDER" 2 ;;
esac
