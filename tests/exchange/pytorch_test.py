"""The modules that sluice-export writes for PyTorch give Sluice's logits, decisions, gradients and running statistics.
Wants the packages torch and h5py; skipped without them. A word on the command line chooses among the networks."""
import glob
import os
import sys

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the packages
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

try:
    import h5py
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from exchanged import NETWORKS, TRAIN, train
from harness import SOURCE, Sandbox
from modules import check_answers, check_step


# Of networks that round to levels: so few numbers, and levels, that none lies at an edge.
SMALL = {"pg_conv": ["--define.blocks=1", "--define.width=8", "--network.input=3x8x8"]}
SMALL["quantized_conv"] = [*SMALL["pg_conv"], "--type.quantized_conv.activation_bits=4"]


def check_network(box, network, text):
    checkpoint = train(box, network, text)
    problems = check_answers(box, checkpoint) + check_answers(box, checkpoint, "weights.h5")
    options = next((small for kind, small in SMALL.items() if kind in text), [])
    if options:
        checkpoint = train(box, network, text, "small", [*options, "--data.synthetic_image=3x8x8"])
    return problems + check_step(box, checkpoint, options=options)


# What no network of configs/networks has: parameters shared between parts and inside one, values that leave a part early,
# parts of the channels, a second head, pools with edges, names that Python does not have.
GRAPH = """\
[network]
input = 3x9x7
[layer.stem.0]
type = conv
channels = 8
kernel = 3
pad = 1
bias = yes
[layer.stem.2]
type = pact_relu
[layer.float.conv]
type = conv
channels = 8
kernel = 3
pad = 1
[layer.float.relu]
type = pact_relu
share = stem.2
[layer.lambda.conv]
type = conv
channels = 8
kernel = 3
pad = 1
share = float.conv
[layer.lambda.sum]
type = add
from = lambda.conv, stem.2
[layer.early.relu]
type = pact_relu
[layer.early.conv]
type = conv
channels = 8
kernel = 1
[layer.early.conv2]
type = conv
channels = 8
kernel = 1
share = early.conv
[layer.late]
type = add
from = early.conv2, early.relu
[layer.split]
type = split
[layer.left]
type = leaky_relu
from = split:second
[layer.join]
type = concat
from = left, split
[layer.around]
type = zero_pad
top = 1
right = 2
[layer.pool]
type = average_pool
kernel = 3
stride = 2
pad = 1
ceil_mode = yes
count_include_pad = no
[layer.fc]
type = linear
features = 10
[layer.head]
type = linear
features = 10
from = early.conv
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
"""


def check_graph(box):
    box.write("net.ini", GRAPH)
    box.ok("sluice-train", "net.ini", "--data.synthetic_image=3x9x7", "--run.dir=run", *TRAIN)
    return check_answers(box, "run/weights.h5") + check_step(box, "run/weights.h5")


def main():
    cases = [("graph", check_graph)]
    cases += [(name, lambda box, n=network, t=text: check_network(box, n, t)) for name, network, text in NETWORKS]
    for path in sorted(glob.glob(f"{SOURCE}/configs/pretrained/*.h5")):
        cases.append((os.path.basename(path), lambda box, p=path: check_answers(box, p)))
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"torch {torch.__version__}, h5py {h5py.__version__}")
    torch.set_num_threads(2)
    failed = 0
    for name, case in cases:
        if wanted not in name:
            continue
        print(name, flush=True)
        with Sandbox() as box:
            try:
                problems = case(box)
            except Exception as error:  # what another library throws is a failure of this case alone
                problems = [f"{type(error).__name__}: {error}"]
        failed += bool(problems)
        for problem in problems:
            print(f"FAILED {name}: {problem}")
    print(f"{len(cases)} networks, {failed} failed")
    sys.exit(1 if failed else 0)


main()
