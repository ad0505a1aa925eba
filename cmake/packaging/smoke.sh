#!/bin/sh
# Whether an installed Sluice works: trains two steps of a small gated network, evaluates and exports it. smoke.sh [PREFIX], else /usr
set -eu
prefix=${1:-/usr}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
[ "$(command -v sluice-train)" = "$prefix/bin/sluice-train" ] || { echo "sluice-train is not that of $prefix" >&2; exit 1; }
sluice-train --version
cat >small.ini <<INI
include = $prefix/share/sluice/configs/experiments/cifar10_resnet20_cg.ini
[define]
blocks = 1
[data]
kind = synthetic
synthetic_image = 3x32x32
synthetic_size = 64
synthetic_test_size = 32
validation = 0
[train]
epochs = 1
batch = 32
INI
sluice-train small.ini --run.dir=run
[ -f run/checkpoints/checkpoint-0000000002.h5 ] || { echo "these were not two steps" >&2; exit 1; }
sluice-eval run/weights.h5
sluice-inspect run/weights.h5 --verify
sluice-export run/weights.h5 -o model.onnx
[ -s model.onnx ]
