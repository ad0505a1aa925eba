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

from exchanged import NETWORKS, train
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


def main():
    cases = [(name, lambda box, n=network, t=text: check_network(box, n, t)) for name, network, text in NETWORKS]
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
