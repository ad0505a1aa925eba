#!/usr/bin/env bash
# From a bare machine to a trained gated network: installs what is needed, builds, trains on Fashion-MNIST, evaluates and inspects.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage="usage: apps/quickstart.sh [--section.key=value ...]

Installs the packages that are missing (apt-get, as root or through sudo), builds Sluice into build/release, trains a small
residual network with channel gating on Fashion-MNIST for about two minutes (2 processors), evaluates it with the densities of its
gates, shows its thresholds and what they save, and writes a report with pictures of that.
Overrides go to sluice-train, for example --train.epochs=1, --run.dir=DIR, or --data.dir=DIR for a folder with the four
files of the data set. A second call continues where the first one stopped."

config=configs/experiments/fashion_mnist_cg.ini
run_dir=runs/fashion_mnist_cg
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
show $bin/sluice-train $config --auto-resume "--run.dir=$run_dir" "$@"
show $bin/sluice-eval "$run_dir/weights.h5"
show $bin/sluice-inspect "$run_dir/weights.h5" --gates
show $bin/sluice-report "$run_dir" -o "$run_dir/report.html"
cat <<END

The run lies in $run_dir: config.ini (every setting), metrics.csv, log.txt, checkpoints/ and weights.h5. What next:

  $bin/sluice-train --help all                                     every key of a configuration
  $bin/sluice-train $config --dry-run      the layers, their shapes, costs and kernels
  $bin/sluice-train $config --gating_loss.target=2.5 --run.dir=runs/sparser      skips more, at some accuracy
  $bin/sluice-train configs/experiments/fashion_mnist.ini --run.dir=runs/dense      the same network without gates
  $bin/sluice-get-data cifar10 data && $bin/sluice-train configs/experiments/cifar10_resnet20_cg.ini       CIFAR-10, the published recipe
  $bin/sluice-inspect $run_dir/weights.h5 --stats                  the weights
  $bin/sluice-runs runs                       all runs side by side
  tests/run.sh                                                                the tests

docs/gating.md says what gates are and how to train them, docs/bring-your-own.md how to gate a network of your own.

Curves, layers, and where the network computes, to be opened in a browser:
$(realpath "$run_dir/report.html")
END
