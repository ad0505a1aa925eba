#!/usr/bin/env bash
# From a bare machine to a trained network: installs what is needed, builds, trains on Fashion-MNIST, evaluates and inspects.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage="usage: apps/quickstart.sh [--section.key=value ...]

Installs the packages that are missing (apt-get, as root or through sudo), builds Sluice into build/release, trains a small
residual network on Fashion-MNIST for about two minutes (2 processors), evaluates it and shows what the checkpoint holds.
Overrides go to sluice-train, for example --train.epochs=1, --run.dir=DIR, or --data.dir=DIR for a folder with the four
files of the data set. A second call continues where the first one stopped."

run_dir=runs/fashion_mnist
packages=("${sluice_build_packages[@]}" "${sluice_quickstart_packages[@]}")
for argument in "$@"; do
  case $argument in
    -h | --help) echo "$usage"; exit 0 ;;
    --run.dir=*) run_dir=${argument#*=} ;;
    --data.dir=*) packages=("${sluice_build_packages[@]}") ;;
    --*.*=*) ;;
    *) echo "$usage" >&2; exit 2 ;;
  esac
done

# Shows a command before it runs: these are the ones to use from now on.
show() {
  printf '\n$ %s\n' "$*" >&2
  "$@"
}

sluice_install "${packages[@]}"
sluice_build release -DSLUICE_BUILD_TESTS=OFF
cd "$sluice_root"
bin=build/release/bin
show $bin/sluice-train configs/experiments/fashion_mnist.ini --auto-resume "--run.dir=$run_dir" "$@"
show $bin/sluice-eval "$run_dir/weights.h5"
show $bin/sluice-inspect "$run_dir/weights.h5"
cat <<END

The run lies in $run_dir: config.ini (every setting), metrics.csv, log.txt, checkpoints/ and weights.h5. What next:

  $bin/sluice-train --help                                         every key of a configuration
  $bin/sluice-train configs/experiments/fashion_mnist.ini --dry-run       the layers, their shapes, costs and kernels
  $bin/sluice-train configs/experiments/fashion_mnist.ini --define.blocks=3 --run.dir=runs/deeper       a deeper network
  apps/get-data.sh cifar10 data && $bin/sluice-train configs/experiments/cifar10_resnet20_dense.ini       CIFAR-10
  $bin/sluice-inspect $run_dir/weights.h5 --stats                  the weights
  tests/run.sh                                                                the tests

docs/ describes configurations, checkpoints, building elsewhere, and adding layers of your own.
END
