"""Step by step, ranks compute what one process does: ResNet-8, and the same with channel and precision gates, whose statistics are
those of the whole batch."""
import csv
import os
import sys

from harness import BIN, SOURCE, Sandbox
from launchers import LAUNCHERS, launch

TRAIN = os.path.join(BIN, "sluice-train")
STEPS = 20
FIRST = 1e-5  # how far apart losses of the first step may be
# What a ReLU, a gate or a level that tips over makes of rounding by chance: threads may tip none where ranks tip one.
CHANCE = {"dense": 2e-4, "channel gates": 3e-2, "precision gates": 5e-2, "cost as the target": 3e-2, "whole channels": 3e-2}
problems = []

# An epoch is a step.
NET = f"""\
include = {SOURCE}/configs/networks/resnet20.ini
[define]
blocks = 1
[data]
kind = synthetic
synthetic_size = 32
synthetic_test_size = 8
validation = 8
[train]
epochs = {STEPS}
batch = 24
[optimizer]
lr = 0.01
weight_decay = 1e-4
[distributed]
sync_batchnorm = yes
[run]
threads = 1
"""
COST = ("--gating_loss.form=cost", "--gating_loss.ramp_epochs=0")
NETWORKS = {"dense": (), "channel gates": ("--define.gated_conv=cg_conv",),
            "precision gates": ("--define.gated_conv=pg_conv", "--define.activation=pact_relu"),
            "cost as the target": ("--define.gated_conv=cg_conv", "--gating_loss.cost_target=0.85", *COST),
            "whole channels": ("--type.channel_gate.threshold_init=0", "--gating_loss.cost_target=0.3", *COST)}


def losses(box, run):
    """With what gates add to it."""
    with open(box.at(run + "/metrics.csv"), encoding="utf-8", newline="") as file:
        return [float(row["train_loss"]) + float(row.get("gating_loss") or 0) for row in csv.DictReader(file)]


def distance(ours, theirs):
    """The largest of all steps, relative."""
    return max(abs(a - b) / abs(b) for a, b in zip(ours, theirs))


def expect(what, right):
    if not right:
        problems.append(what)


def compare(launchers, name, options):
    with Sandbox() as box:
        box.write("steps.ini", NET.replace("resnet20.ini", "resnet20_channels.ini") if name == "whole channels" else NET)
        for threads in (1, 2):
            box.ok("sluice-train", "steps.ini", f"--run.dir=t{threads}", f"--run.threads={threads}", *options)
        one = losses(box, "t1")
        apart = distance(losses(box, "t2"), one)
        print(f"{name}: one thread against two: {apart:.2e}")
        expect(f"{name}: {len(one)} steps", len(one) == STEPS)
        for launcher in launchers:
            for count in (1, 2, 3, 4):
                run = f"{launcher.name}{count}"
                result = launch(launcher, count, [TRAIN, "steps.ini", f"--run.dir={run}", *options], cwd=box.path, seconds=400)
                expect(f"{name}, {run}: {result.code} {result.err}", result.code == 0)
                if result.code != 0:
                    continue
                ours = losses(box, run)
                first, all_steps = abs(ours[0] - one[0]) / one[0], distance(ours, one)
                print(f"{name}, {run}: first step {first:.2e}, {STEPS} steps {all_steps:.2e}")
                expect(f"{name}, {run}: the first step's loss is {first} apart", first <= FIRST)
                expect(f"{name}, {run}: {all_steps} apart, two threads {apart}", all_steps <= max(2 * apart, CHANCE[name]))


def main():
    launchers = [each for each in LAUNCHERS if each.is_there(os.path.join(BIN, "..", "lib"))]
    if not launchers:
        print("no MPI launcher with an engine")
        return 77
    for name, options in NETWORKS.items():
        compare(launchers, name, options)
    print("\n".join(problems) or "all right")
    return 1 if problems else 0


sys.exit(main())
