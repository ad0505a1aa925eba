#!/bin/sh
# Runs what docs/import.md shows with a network that PyTorch makes: the logits are PyTorch's, and the weights come back the same.
# Usage: import_test.sh DIRECTORY_OF_PROGRAMS DOCUMENT; 77 means skipped.
set -eu
programs=$1
document=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

for python in "${PYTHON:-python3}" /usr/bin/python3; do
  "$python" -c 'import h5py, torch' 2> /dev/null && break
  python=
done
if [ -z "$python" ]; then
  echo "skipped: no Python with h5py and PyTorch (Debian: python3-h5py, python3-torch)"
  exit 77
fi
cd "$directory"

cat > model.py << 'END'
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.conv3 = self.conv2
        self.linear = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.conv3(torch.relu(self.conv2(x))))
        return self.linear(x.mean((2, 3)))
END

cat > net.ini << 'END'
[network]
input = 3x9x7
[layer.conv1]
type = conv
channels = 6
kernel = 3
stride = 2
pad = 1
bias = yes
[layer.bn1]
type = batchnorm
[layer.relu1]
type = relu
[layer.conv2]
type = conv
channels = 6
kernel = 3
pad = 1
[layer.relu2]
type = relu
[layer.conv3]
type = conv
channels = 6
kernel = 3
pad = 1
share = conv2
[layer.relu3]
type = relu
[layer.pool]
type = global_pool
[layer.linear]
type = linear
features = 4
[layer.loss]
type = softmax_cross_entropy
from = linear, labels
[data]
kind = hdf5
dir = .
END

cat > make.py << 'END'
import h5py, numpy, torch
from model import Net
torch.manual_seed(1)
net = Net()
with torch.no_grad():
    net.bn1.running_mean.normal_()
    net.bn1.running_var.uniform_(0.5, 2)
    net.bn1.weight.uniform_(0.5, 2)
torch.save(net.state_dict(), "net.pt")
images = numpy.random.default_rng(1).integers(0, 256, (11, 9, 7, 3)).astype("uint8")
with h5py.File("test.h5", "w") as file:
    file["images"] = images
    file["images"].attrs["layout"] = "NHWC"
    file["labels"] = numpy.arange(11) % 4
net.eval()
with torch.no_grad():
    logits = net((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25)
numpy.save("logits.npy", logits.numpy())
END
"$python" make.py

# The document's snippets in order: Python that writes weights.h5, the commands, Python that reads it.
block() {  # block LANGUAGE NUMBER
  awk -v start="\`\`\`$1" -v number="$2" '$0 == "```" { inside = 0 } inside { print } $0 == start && ++seen == number { inside = 1 }' "$document"
}
block python 1 > save.py
block sh 1 > commands.sh
block python 2 > restore.py
"$python" save.py
sed -i 's/^sluice-eval .*/& --predictions=predictions.csv/' commands.sh
PATH=$programs:$PATH sh -eu commands.sh > out
grep -qx 'weights.h5: 9 of 9 tensors of the network matched' out || { cat out >&2; exit 1; }
grep -q '^skipped 1 counter num_batches_tracked' out

mv weights.h5 original.h5
"$programs/sluice-import" --export net.h5 -o weights.h5
cat restore.py - > check.py << 'END'
import csv, numpy
expected = numpy.load("logits.npy")
with open("predictions.csv") as file:
    rows = list(csv.DictReader(file))
found = numpy.array([[float(row[f"logit_{c}"]) for c in range(4)] for row in rows])
worst = abs(found - expected).max() / abs(expected).max()
assert worst < 1e-5, f"logits differ by {worst}"
original = torch.load("net.pt")
for name, tensor in net.state_dict().items():
    if name != "bn1.num_batches_tracked":
        assert torch.equal(tensor, original[name]), name
END
"$python" check.py

# The published code's names, in a state_dict as DataParallel saves it, through apps/pt2h5.py and back.
rm weights.h5  # pt2h5.py writes over no file
root=$(cd "$(dirname "$document")/.." && pwd)
ln -s "$root/apps" apps
ln -s "$root/configs" configs
mkdir save_CIFAR10_model
cat > published.py << 'END'
import sys
import h5py, torch
state = {}
with h5py.File(sys.argv[1]) as file:
    for name, data in file["cg/after"].items():
        values = torch.tensor(data[()])
        state["module." + name] = values.long() if name.endswith("num_batches_tracked") else values
        if name.endswith("conv1.threshold"):
            state["module." + name.replace("threshold", "mask")] = torch.ones(4, 4, 3, 3)
torch.save({"epoch": 3, "state_dict": state}, "save_CIFAR10_model/resnet-20.pt")
END
"$python" published.py "$root/tests/golden/networks.h5"
block sh 2 | sed "s|^python3 |$python |; s|cifar10_resnet20_cg.ini|& --define.blocks=1|; /^sluice-eval /d" > commands.sh
[ "$(wc -l < commands.sh)" = 2 ] || { echo "the document shows other commands" >&2; cat commands.sh >&2; exit 1; }
PATH=$programs:$PATH sh -eu commands.sh > out
expect() { grep -qF -- "$1" out || { echo "missing: $1; got:" >&2; cat out >&2; exit 1; }; }
expect 'weights.h5: 46 tensors'
expect 'took module. from 46 names'
expect 'skipped 10 counters: module.bn1.num_batches_tracked, ...'
expect 'skipped 3 masks (Sluice makes them from partitions and group): module.layer1.0.conv1.mask, ...'
expect 'weights.h5: 46 of 46 tensors of the network matched'
"$programs/sluice-import" --export cg.h5 -o back.h5
mkdir published
mv back.h5 published/weights.h5
cat > published/model.py << 'END'
import h5py, torch
from torch import nn


class Net(nn.Module):
    """A module with the names and shapes of the published network, and nothing in it."""
    def __init__(self):
        super().__init__()
        for name, tensor in torch.load("../save_CIFAR10_model/resnet-20.pt")["state_dict"].items():
            *path, last = name.split(".")[1:]
            module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module._modules[part]
            module.register_buffer(last, torch.zeros_like(tensor))
END
cat restore.py - > published/compare.py << 'END'
published = torch.load("../save_CIFAR10_model/resnet-20.pt")["state_dict"]
for name, tensor in net.state_dict().items():
    if not name.endswith(("mask", "num_batches_tracked")):
        assert torch.equal(tensor, published["module." + name]), name
with h5py.File("weights.h5") as file:
    assert len(file) == 46 and not [name for name in file if "mask" in name or "gate_" in name], list(file)
END
(cd published && "$python" compare.py)

# What is no state_dict is refused in words.
"$python" -c 'import torch; torch.save(torch.ones(2), "tensor.pt")'
if "$python" apps/pt2h5.py tensor.pt no.h5 2> err; then echo "pt2h5.py took a tensor" >&2; exit 1; fi
grep -q '^tensor.pt: holds a Tensor, expected what torch.save(net.state_dict(), ...) writes$' err || { cat err >&2; exit 1; }
if "$python" apps/pt2h5.py gone.pt no.h5 2> err; then echo "pt2h5.py took what is not there" >&2; exit 1; fi
grep -q '^gone.pt: .*No such file' err || { cat err >&2; exit 1; }
