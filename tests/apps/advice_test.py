"""Warnings that save an afternoon, and that they are not there where nothing is wrong."""
import csv
import io
import os
import re
import sys

from harness import NET, TOOLS, Sandbox

failures = []
GATED = NET.replace("type = conv\n", "type = cg_conv\npartitions = 2\n", 1)
WEAK = ["--gating_loss.target=2", "--gating_loss.penalty=0.03", "--optimizer.momentum=0", "--optimizer.lr=0.05"]


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def warnings(result):
    return [line for line in result.err.splitlines() if line.startswith("warning: ")]


def weight_decay_on_thresholds():
    with Sandbox() as box:
        box.write("gated.ini", GATED + "[optimizer]\nweight_decay = 0.001\nno_decay = norm\n")
        text = ("warning: [optimizer] no_decay: weight decay pulls the parameters of group threshold, by which layers decide what they "
                "compute, to 0; add threshold to it, or set [group.threshold] weight_decay")
        expect(warnings(box.ok("sluice-train", "gated.ini", "--dry-run")) == [text], "no_decay: --dry-run")
        expect(text in box.ok("sluice-train", "gated.ini", "--train.epochs=1").err, "no_decay: training")
        for wanted in (["--optimizer.no_decay=norm,threshold"], ["--optimizer.no_decay="], ["--optimizer.weight_decay=0"],
                       ["--group.threshold.weight_decay=0.0001"]):
            expect(warnings(box.ok("sluice-train", "gated.ini", "--dry-run", *wanted)) == [], f"no_decay: with {wanted}")


def more_outputs_than_classes():
    with Sandbox() as box:
        text = ("warning: synthetic: has 2 classes, the network tells 3 apart; set the features of its last layer (define.classes in "
                "the shipped networks)")
        expect(warnings(box.ok("sluice-train", "net.ini", "--dry-run", "--data.classes=2")) == [text], "classes: --dry-run")
        expect(warnings(box.ok("sluice-train", "net.ini", "--data.classes=2")) == [text], "classes: training")
        expect(warnings(box.ok("sluice-train", "net.ini", "--dry-run")) == [], "classes: as many")


def nothing_held_out():
    with Sandbox() as box:
        text = "warning: no images are held out for validation: the best checkpoint is chosen on the test set; set data.validation"
        for options in (["--dry-run"], []):
            expect(warnings(box.ok("sluice-train", "net.ini", "--data.validation=0", *options)) == [text], f"validation: {options}")


def gates_that_decide_alike():
    with Sandbox() as box:
        box.write("gated.ini", GATED)
        cases = [(9, "warning: layer conv (cg_conv) has a density of 0: what is decided about is computed for no image"),
                 (-9, "warning: layer conv (cg_conv) has a density of 1: all is computed for every image, and deciding costs more than "
                      "it saves")]
        for threshold, text in cases:
            run = f"--run.dir=run{threshold}"
            result = box.ok("sluice-train", "gated.ini", f"--layer.conv.threshold_init={threshold}", run)
            expect(warnings(result) == [text], f"alike: training with {threshold}: {result.err}")
            expect(box.ok("sluice-runs", f"run{threshold}", "--csv").out.splitlines()[1].split(",")[1] == "finished", "state of the run")
            expect(warnings(box.ok("sluice-eval", f"run{threshold}/weights.h5")) == [text], f"alike: evaluation with {threshold}")
        result = box.ok("sluice-train", "gated.ini", "--run.dir=mixed")
        expect(warnings(result) == [] and warnings(box.ok("sluice-eval", "mixed/weights.h5")) == [], f"alike: mixed gates: {result.err}")


def thresholds_that_are_far_from_their_target():
    """Who follows the advice comes near the target."""
    with Sandbox() as box:
        box.write("gated.ini", GATED)
        text = "\n".join(warnings(box.ok("sluice-train", "gated.ini", *WEAK, "--train.epochs=4")))
        found = re.fullmatch(r"warning: thresholds are (\S+) on average, where \[gating_loss\] target is 2 and threshold_init 0\.00: the "
                             r"pull was too weak, or too short; a penalty of (\S+) \(it was 0\.03\), or training (\S+) times as long, "
                             r"would bring them near it", text)
        expect(found, f"far thresholds: {text}")
        if not found:
            return
        expect(abs(float(found[2]) / 0.03 - float(found[3])) <= 0.1 * float(found[3]), f"far thresholds: {text}")
        strong = [f"--gating_loss.penalty={found[2]}", "--train.epochs=4", "--run.dir=strong"]
        result = box.ok("sluice-train", "gated.ini", *WEAK[:1], *WEAK[2:], *strong)
        expect("thresholds are" not in result.err, f"far thresholds: the advice does not help: {result.err}")
        # A run that had ended says nothing more; no pull is what somebody wants.
        expect(warnings(box.ok("sluice-train", "gated.ini", *WEAK, "--train.epochs=4", "--resume")) == [], "far thresholds: resumed")
        none = box.ok("sluice-train", "gated.ini", "--gating_loss.target=2", "--gating_loss.penalty=0", "--run.dir=none")
        expect(warnings(none) == [], f"far thresholds: without a pull: {none.err}")


COST = ["--gating_loss.form=cost", "--gating_loss.cost_target=0.6", "--gating_loss.ramp_epochs=0", "--train.epochs=6"]


def a_cost_that_is_missed():
    """Who follows the advice comes nearer; the figures are those of sluice-eval on the same images."""
    with Sandbox() as box:
        box.write("gated.ini", GATED)
        form = (r"warning: the network does (\S+) % of its multiply-adds \(density (\S+) %\), where \[gating_loss\] cost_target is "
                r"0\.6: the pull was too weak, or too short; a cost_penalty of (\S+) \(it was 1\), or a longer training, would "
                r"bring it nearer")
        text = "\n".join(warnings(box.ok("sluice-train", "gated.ini", *COST, "--gating_loss.cost_penalty=1")))
        found = re.fullmatch(form, text)
        expect(found, f"missed cost: {text}")
        if not found:
            return
        last = list(csv.DictReader(io.StringIO(box.text("run/metrics.csv"))))[-1]
        expect(found[2] == f"{100 * float(last['val_gate_density']):.1f}" and found[1] == f"{100 / float(last['val_flop_reduction']):.1f}",
               f"missed cost: {text}, {last}")
        box.ok("sluice-train", "gated.ini", *COST, f"--gating_loss.cost_penalty={found[3]}", "--run.dir=strong")
        strong = list(csv.DictReader(io.StringIO(box.text("strong/metrics.csv"))))[-1]
        expect(abs(1 / float(strong["val_flop_reduction"]) - 0.6) < abs(float(found[1]) / 100 - 0.6) / 2,
               f"missed cost: the advice does not help: {text}, {strong}")
        none = box.ok("sluice-train", "gated.ini", *COST, "--gating_loss.cost_penalty=0", "--run.dir=none")
        expect(warnings(none) == [], f"missed cost: without a pull: {none.err}")
        below = ["--gating_loss.cost_target=0.95", "--layer.conv.threshold_init=1", "--gating_loss.cost_penalty=1e-9"]
        result = box.ok("sluice-train", "gated.ini", *COST, *below, "--run.dir=below")
        expect("cost_target is 0.95: more is closed than was asked for; " in result.err, f"missed cost: below: {result.err}")


def a_ramp_that_is_too_long():
    with Sandbox() as box:
        box.write("gated.ini", GATED + "[gating_loss]\nform = cost\ncost_target = 0.6\nramp_epochs = 8\n")
        line = GATED.count("\n") + 4
        text = (f"warning: gated.ini:{line}: [gating_loss] ramp_epochs: the training ends after 2 of 8 epochs of the ramp, where 0.9 of "
                "the cost is wanted, not cost_target = 0.6; lower ramp_epochs to a part of train.epochs, or train longer")
        expect(warnings(box.ok("sluice-train", "gated.ini", "--dry-run")) == [text], "long ramp: --dry-run")
        told = warnings(box.ok("sluice-train", "gated.ini"))
        expect(told[:1] == [text] and told[1].endswith(": the training ended within the ramp of 8 epochs; lower ramp_epochs, or train on"),
               f"long ramp: {told}")
        expect(warnings(box.ok("sluice-train", "gated.ini", "--gating_loss.ramp_epochs=2", "--dry-run")) == [], "a ramp that fits")


def gates_that_skip_nothing():
    with Sandbox() as box:
        plugin = f"--plugins.load={os.path.join(TOOLS, 'plugin_gate.so')}"
        box.write("gate.ini", NET.replace("[layer.conv]", "[layer.gate]\ntype = test_gate\nmacs = 100\nconditional_macs = 300\n[layer.conv]"))
        box.ok("sluice-train", "gate.ini", plugin)
        text = ("warning: layer gate (test_gate) computes also what its gates close: multiply-adds are saved in counts, not in time")
        expect(warnings(box.ok("sluice-eval", "run/weights.h5", plugin)) == [text], "a gate that skips nothing")
        expect(warnings(box.ok("sluice-eval", "run/weights.h5", plugin, "--backend=dense")) == [], "nothing is to be skipped")


def speed_of_what_is_not_deployed():
    def speed(file):
        return re.search(r"^speed .*$", box.ok("sluice-eval", file).out, re.MULTILINE)[0]

    with Sandbox() as box:
        box.write("gated.ini", GATED)
        box.ok("sluice-train", "gated.ini", "--run.dir=gated")
        box.ok("sluice-train", "net.ini")
        note = "; not deployed: sluice-deploy chooses kernels that skip"
        expect(re.fullmatch(r"speed +\d+ images per second by batches of 20 on \d+ threads?, data included" + note, speed("gated/weights.h5")),
               speed("gated/weights.h5"))
        box.ok("sluice-deploy", "gated/weights.h5", "--eval.batch=5", "-o", "deployed.h5")
        expect("not deployed" not in speed("deployed.h5") + speed("run/weights.h5"), "speed: deployed, or with nothing to skip")
        for file, deployed in (("deployed.h5", "true"), ("gated/weights.h5", "false")):
            told = box.ok("sluice-eval", file, "--json", "--run.threads=1").out
            expect(f'"deployed": {deployed},' in told and '"threads": 1,' in told and '"batch": ' in told, f"--json of {file}: {told}")


if __name__ == "__main__":
    for part in [weight_decay_on_thresholds, more_outputs_than_classes, nothing_held_out, gates_that_decide_alike,
                 thresholds_that_are_far_from_their_target, a_cost_that_is_missed, a_ramp_that_is_too_long, gates_that_skip_nothing, speed_of_what_is_not_deployed]:
        part()
    sys.exit(1 if failures else 0)
