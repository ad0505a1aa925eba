#!/usr/bin/env bash
# Set-up shared by apps/quickstart.sh, tests/run.sh and .ci/run, which source it: installs Debian packages, builds a preset.
# shellcheck disable=SC2034

sluice_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# ocl-icd-opencl-dev: CMake's configuration of libdnnl-dev wants it, the package merely recommends it.
sluice_build_packages=(g++ cmake ninja-build libdnnl-dev ocl-icd-opencl-dev libtbb-dev libhdf5-dev
  libboost-program-options-dev zlib1g-dev libxxhash-dev librandom123-dev nlohmann-json3-dev
  protobuf-compiler libprotobuf-dev libjpeg-dev libturbojpeg0-dev libpng-dev libwebp-dev libarchive-dev)
sluice_test_packages=(pkg-config libgtest-dev libgmock-dev hdf5-tools xxhash python3 python3-h5py python3-numpy curl wget)
sluice_quickstart_packages=(dataset-fashion-mnist)

sluice_say() { printf '== %s\n' "$*" >&2; }
sluice_fail() { printf '%s: %s\n' "${0##*/}" "$1" >&2; exit "${2:-6}"; }

# Runs a command as root, where that is possible without a question that nobody could answer.
sluice_as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

sluice_may_be_root() {
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null || return 1
  [ -t 0 ] || sudo -n true 2>/dev/null
}

# sluice_install PACKAGE...: installs what is missing. Where that is impossible it says what to do, and goes on only if
# CMAKE_PREFIX_PATH says that the dependencies are somewhere else.
sluice_install() {
  local missing=() package
  if command -v dpkg-query >/dev/null; then
    for package in "$@"; do
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
  else
    missing=("$@")
  fi
  [ ${#missing[@]} = 0 ] && return 0
  if command -v apt-get >/dev/null && sluice_may_be_root; then
    sluice_say "installing ${missing[*]}"
    sluice_as_root apt-get -q update </dev/null >&2 || sluice_fail "apt-get update failed; is there a network?"
    sluice_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" \
      </dev/null >&2 || sluice_fail "apt-get could not install ${missing[*]}"
    return 0
  fi
  if [ -n "${CMAKE_PREFIX_PATH:-}" ]; then
    sluice_say "not installed as Debian packages: ${missing[*]}; looking under CMAKE_PREFIX_PATH=$CMAKE_PREFIX_PATH"
    return 0
  fi
  sluice_fail "these Debian packages are missing and cannot be installed from here: ${missing[*]}
Ask an administrator to run:  apt-get install ${missing[*]}
or build without root as docs/building.md describes (dependencies under a prefix, CMAKE_PREFIX_PATH set)."
}

# sluice_build PRESET [CMAKE_OPTION...]: configures and builds into build/PRESET; SLUICE_TARGETS limits what is built.
sluice_build() {
  local preset=$1
  shift
  local options=("$@")
  if command -v ccache >/dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
    export CCACHE_BASEDIR=$sluice_root
  fi
  sluice_say "building the preset $preset into build/$preset"
  (cd "$sluice_root" && cmake --preset "$preset" "${options[@]}" && cmake --build "build/$preset" ${SLUICE_TARGETS:+--target $SLUICE_TARGETS})
}
