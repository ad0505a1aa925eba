#!/usr/bin/env bash
# Debian packages from a bare Debian to another one: tests/packages/run.sh [SUITE], by default bookworm. As an image of
# cmake/packaging is made: make.sh in one system; install.sh and smoke.sh in the next; then a prefix with its modulefile.
# Wants root and debootstrap, which takes its own mirror unless SLUICE_DEBIAN_MIRROR names one; else it ends with 77
# and says why.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../apps/setup.sh"
suite=${1:-bookworm}
systems=$sluice_root/build/systems/$suite
skip() { echo "skipped: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "debootstrap needs root"
command -v debootstrap >/dev/null || skip "no debootstrap here"
unshare --mount --pid --fork true 2>/dev/null || skip "mounts are not allowed here"

# within SYSTEM COMMAND...: a command in one of the systems, with mounts that end with it.
within() {
  local system=$systems/$1 cache=${CCACHE_DIR:-$HOME/.cache/ccache}
  shift
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --propagation private sh -euc '
    system=$1 cache=$2
    shift 2
    mount -t proc proc "$system/proc"
    mount --rbind /dev "$system/dev"
    mount -t tmpfs tmpfs "$system/tmp"
    cp /etc/resolv.conf "$system/etc/resolv.conf"
    if [ -d "$cache" ]; then
      mkdir -p "$system/ccache"
      mount --bind "$cache" "$system/ccache"
    fi
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG="${LANG-C.UTF-8}" DEBIAN_FRONTEND=noninteractive \
      CCACHE_DIR=/ccache CCACHE_NOHASHDIR=1 chroot "$system" "$@"
  ' within "$system" "$cache" "$@"
}

# fresh SYSTEM: a bare one.
fresh() {
  rm -rf "${systems:?}/$1"
  cp -a "$systems/bare" "$systems/$1"
}

mkdir -p "$systems"
if [ ! -e "$systems/bare/done" ]; then
  rm -rf "$systems/bare"
  debootstrap --variant=minbase "$suite" "$systems/bare" ${SLUICE_DEBIAN_MIRROR:+"$SLUICE_DEBIAN_MIRROR"} || skip "debootstrap could not make a system of $suite"
  touch "$systems/bare/done"
fi

sluice_say "making packages in a bare $suite"
fresh make
mkdir "$systems/make/src"
git -C "$sluice_root" ls-files -z --cached --others --exclude-standard | (cd "$sluice_root" && xargs -0 cp --parents -t "$systems/make/src")
within make sh -c 'apt-get -q update && apt-get -q install -y --no-install-recommends ccache lintian' >/dev/null
within make /src/cmake/packaging/make.sh debs -DSLUICE_WERROR=ON
# Who builds packages may have no address that others can write to.
within make sh -c 'lintian --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog /src/build/packages/debs/*.deb'

sluice_say "installing them in another"
fresh use
mkdir "$systems/use/src"
cp -r "$systems/make/src/build/packages/debs" "$sluice_root/cmake/packaging" "$sluice_root/tests/own_service/hello.cpp" "$systems/use/src"
within use /src/packaging/install.sh /src/debs
within use /src/packaging/smoke.sh
within use sh -c 'apt-get -q update && apt-get -q install -y --no-install-recommends man-db g++ pkg-config environment-modules' >/dev/null
for page in "$systems"/use/usr/share/man/man1/sluice-*.1.gz; do
  within use man -w "$(basename "$page" .1.gz)" >/dev/null
done
# The program of docs/serving.md with a network of sluice-pretrained.
# shellcheck disable=SC2016
within use sh -euc '
  cd /src
  g++ -O1 hello.cpp $(pkg-config --cflags --libs sluice) -o hello
  { printf "P6\n32 32\n255\n"; head -c 3072 /dev/zero; } >black.ppm
  ./hello /usr/share/sluice/configs/pretrained/cifar10_resnet20_dense.h5 black.ppm >classes
  [ "$(wc -l <classes)" = 5 ]'

sluice_say "a prefix and its modulefile"
within make /src/cmake/packaging/make.sh prefix /opt/sluice -DSLUICE_WERROR=ON
cp -r "$systems/make/opt/sluice" "$systems/use/opt"
within use bash -lc 'module use /opt/sluice/share/sluice/modulefiles && module load sluice && /src/packaging/smoke.sh /opt/sluice'
echo "the packages and the prefix work in a bare $suite"
