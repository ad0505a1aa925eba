"""With [gating_loss] form = cost it is validation images that cost what cost_target says, though training batches cost something else."""
import csv
import io
import re
import shutil
import sys

from harness import NET, Sandbox

failures = []

BASE = NET.replace("channels = 4", "channels = 8").replace("synthetic_size = 56", "synthetic_size = 1200").replace(
    "validation = 8", "validation = 400").replace("epochs = 2\nbatch = 8", "epochs = 16\nbatch = 16") + """\
[schedule]
type = cosine
[optimizer]
lr = 0.05
[gating_loss]
form = cost
ramp_epochs = 3
"""


def dropped(rate):
    """Makes what gates look at vary more in training."""
    return f"[layer.drop]\ntype = dropout\nrate = {rate}\n"


ELEMENTS = BASE.replace("[layer.pool]", dropped(0.7) + "[layer.gated]\ntype = cg_conv\nchannels = 8\nkernel = 3\npad = 1\n[layer.pool]") + \
    "cost_target = 0.5\n"
CHANNELS = BASE.replace("[layer.pool]", dropped(0.6) + """\
[layer.gate]
type = channel_gate
from = drop
init_scale = 1
noise = 0.3
[layer.conv2]
type = conv
channels = 8
kernel = 3
[layer.pool]""") + "cost_target = 0.5\n"
BITS = BASE.replace("[layer.conv]\ntype = conv\n", dropped(0.6) + "[layer.conv]\ntype = pg_conv\nactivation_bits = 4\nprediction_bits = 2\n"
                    "weight_bits = 8\n") + "cost_target = 0.75\n"


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def last_row(box, run):
    return list(csv.DictReader(io.StringIO(box.text(run + "/metrics.csv"))))[-1]


def train(box, net, *options):
    """What it says of the target, and the last row of its metrics."""
    box.write("gated.ini", net)
    run = f"run{len(box.tree())}"
    done = box.ok("sluice-train", "gated.ini", f"--run.dir={run}", *options)
    told = [line for line in done.err.splitlines() if "cost_target is" in line]
    if net != BITS:  # what is aimed at stands before the density
        epochs = [line for line in done.out.splitlines() if line.startswith("epoch ")]
        expect(epochs and all(re.search(r" cost (\S+ %|-), density .* val_cost (\S+ %|-), val_density ", line) for line in epochs), f"epochs: {epochs[:1]}")
    return told, last_row(box, run)


def reached(box, name, net, *options):
    told, row = train(box, net, *options)
    expect(told == [], f"{name}: {told}")
    if net == BITS:
        return
    trained, evaluated = 1 / float(row["flop_reduction"]), 1 / float(row["val_flop_reduction"])
    print(f"{name}: training {trained:.4f}, validation {evaluated:.4f}")
    expect(abs(evaluated - 0.5) <= 0.01, f"{name}: validation images cost {evaluated}")


def without_validation(box):
    """Images of the test set must not change a weight: their cost is missed, and the advice says how it would not be."""
    told, _ = train(box, BITS, "--data.validation=0", "--data.synthetic_test_size=400")
    form = (r"warning: the network does \S+ % of its bit operations \(density \S+ %\), where \[gating_loss\] cost_target is 0\.75: "
            r"training batches cost more than these images, or the pull was too short; with images held out \(data\.validation\) "
            r"training allows for what they cost")
    expect(len(told) == 1 and re.fullmatch(form, told[0]), f"without validation: {told}")


def resumed(box):
    """The checkpoint has what evaluations said; an older one goes on without until the next."""
    box.write("gated.ini", ELEMENTS)
    box.ok("sluice-train", "gated.ini", "--run.dir=new", "--train.epochs=8", "--schedule.type=constant")
    shutil.copytree(box.at("new"), box.at("old"))
    newest = box.newest("old")
    box.forge("edit", newest, newest, "state=auxiliary_gap_0")
    costs = {}
    for run in ("new", "old"):
        box.ok("sluice-train", "gated.ini", f"--run.dir={run}", "--train.epochs=9", "--schedule.type=constant", "--resume")
        costs[run] = 1 / float(last_row(box, run)["flop_reduction"])
        expect("auxiliary_gap_0" in box.header(box.newest(run))["state"], f"resumed: {run} has no gap")
    expect(costs["new"] > costs["old"] + 0.005, f"resumed: training batches cost {costs}")


if __name__ == "__main__":
    with Sandbox() as box:
        reached(box, "channels", CHANNELS)
        reached(box, "channels that accuracy holds open", CHANNELS + "cost_penalty = 20\n")
        reached(box, "bits", BITS)
        for options in ([], ["--train.evaluate_every=3"], ["--train.evaluate_every_steps=31"], ["--train.accumulate=2"],
                        ["--ema.decay=0.98"]):
            reached(box, f"elements {options}", ELEMENTS, *options)
        without_validation(box)
        resumed(box)
    sys.exit(1 if failures else 0)
