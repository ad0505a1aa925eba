"""A run that is stopped by signals or its time budget, and resumed, ends exactly as one that was not interrupted."""
import csv
import io
import json
import os
import random
import re
import signal
import sys
import time

from harness import NET, TOOLS, Paced, Sandbox

TIMES = {"seconds", "images_per_second", "data_wait_percent"}
# 60 steps in an epoch, and more of them than the stops below use up; a line for each.
PLAIN = """\
include = net.ini
[data]
synthetic_size = 488
[train]
epochs = 14
[schedule]
type = cosine
[log]
interval = 1e-9
"""
EVERYTHING = """\
include = net.ini
[data]
synthetic_size = 488
augment = yes
crop_padding = 1
workers = 2
[train]
epochs = 14
[schedule]
type = cosine
warmup_epochs = 2
[optimizer]
type = adamw
clip_norm = 0.5
no_decay = norm, bias
[ema]
decay = 0.98
[run]
threads = 2
[log]
interval = 1e-9
"""
# Every step is the last of its epoch.
ONE_STEP_EPOCHS = """\
include = net.ini
[train]
batch = 48
epochs = 700
[checkpoint]
every_epochs = 50
[log]
interval = 1e-9
"""

# With a layer whose work depends on its images, evaluated in partial batches, also by averaged weights.
COUNTED_NET = NET.replace("[layer.pool]", """\
[layer.gate]
type = test_gate
macs = 100
conditional_macs = 300
[layer.pool]""") + f"[plugins]\nload = {TOOLS}/plugin_gate.so\n[eval]\nbatch = 5\n"
COUNTED = PLAIN.replace("epochs = 14", "epochs = 14\nevaluate_every = 2") + "[ema]\ndecay = 0.9\n"

# With images that are mixed with each other, steps in two parts, and a teacher that answers for these.
MIXED = EVERYTHING.replace("crop_padding = 1", "crop_padding = 1\nmixup = 0.3\ncutmix = 1").replace("[train]", "[train]\naccumulate = 2")
DISTILLED = MIXED + "[distillation]\nteacher = teacher/weights.h5\nweight = 0.7\ntemperature = 3\n"

# Evaluated also within epochs, by averages whose running statistics are measured anew.
EVALUATED = MIXED.replace("epochs = 14", "epochs = 14\nevaluate_every = 3\nevaluate_every_steps = 23").replace(
    "decay = 0.98", "decay = 0.98\nstatistics_batches = 3")

# With gates whose cost evaluations correct.
GATED_NET = NET.replace("type = conv\n", "type = cg_conv\npartitions = 2\n", 1).replace("[layer.conv]", "[layer.drop]\ntype = dropout\n[layer.conv]")
COST = EVALUATED + "[gating_loss]\nform = cost\ncost_target = 0.7\nramp_epochs = 2\n"

MOSTLY_EVALUATION = """\
include = net.ini
[data]
synthetic_size = 3016
validation = 3000
[train]
epochs = 30
[eval]
batch = 1
"""

rng = random.Random(int(os.environ.get("SLUICE_TEST_SEED", "3")))
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def rows(box, name):
    """The metrics of a run without times."""
    text = box.text("run/" + name)
    found = list(csv.DictReader(io.StringIO(text))) if name.endswith("csv") else [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in found]


def expect_same_end(name, box, reference):
    for what in ["metrics.csv", "metrics.jsonl"]:
        for ours, theirs in zip(rows(box, what), rows(reference, what)):
            if ours != theirs:
                expect(False, f"{name}: {what}: {ours}, uninterrupted {theirs}")
                break
        expect(len(rows(box, what)) == len(rows(reference, what)), f"{name}: {what}: {len(rows(box, what))} rows")
    for file in [box.newest(), "run/checkpoints/best.h5", "run/weights.h5"]:
        ours, theirs = box.header(file)["content_digest"], reference.header(file)["content_digest"]
        expect(ours == theirs, f"{name}: {file}: digest {ours}, uninterrupted {theirs}\n" +
               box.run("sluice-inspect", file, "--diff=" + reference.at(file)).out)
    # Where checkpoints are written by the clock their steps differ.
    files, wanted = ([path for path in sorted(each.tree()) if "/checkpoint-" not in path] for each in (box, reference))
    expect(files == wanted, f"{name}: files {files}, uninterrupted {wanted}")


def stop(name, box, number, first):
    """Runs until a random step, stops there by a signal; returns where the checkpoint stands."""
    before = 0 if first else box.header(box.newest())["state"]["step"]
    paced = Paced(box, "sluice-train", "run.ini", rng.choice(["--resume", "--auto-resume"]) if not first else "--auto-resume")
    expect(paced.steps(rng.randint(1, 60)), f"{name}: ended before {number.name}")
    paced.process.send_signal(number)
    code = paced.end()
    expect(code == 75, f"{name}: exit code {code} after {number.name}")
    last = paced.lines[-1]
    expect(re.fullmatch(rf"stopped (at epoch \d+, step \d+|before the evaluation (of epoch|at step) \d+): received {number.name}; "
                        r"continue with --resume\n", last), f"{name}: last line {last}")
    state = box.header(box.newest())["state"]
    expect(state["step"] > before, f"{name}: step {state['step']} after {before}")
    return state


def write_configuration(box, net, text):
    box.write("net.ini", net)
    box.write("run.ini", text)
    if text == DISTILLED:
        box.ok("sluice-train", "net.ini", "--run.dir=teacher", "--run.seed=7", "--layer.conv.channels=5")


def interrupted_run(name, net, text, reference):
    with Sandbox() as box:
        write_configuration(box, net, text)
        signals = [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT]
        rng.shuffle(signals)
        states = [stop(name, box, number, first=i == 0) for i, number in enumerate(signals)]
        if text != ONE_STEP_EPOCHS:
            expect(any(state["batch"] > 0 for state in states), f"{name}: never stopped inside an epoch: {states}")
        box.ok("sluice-train", "run.ini", "--resume")
        expect_same_end(name, box, reference)


def stopped_in_evaluations():
    """A signal during an evaluation: the epoch's row is written once, by the run that resumes."""
    with Sandbox() as reference, Sandbox() as box:
        for each in (reference, box):
            each.write("run.ini", MOSTLY_EVALUATION)
        reference.ok("sluice-train", "run.ini", "--auto-resume")
        inside, longest = 0, 0.3
        for _ in range(40):
            process = box.start("sluice-train", "run.ini", "--auto-resume")
            time.sleep(rng.uniform(0.1, longest))
            process.terminate()
            out, err = process.communicate()
            if process.returncode == -signal.SIGTERM or "before the first step" in err:
                longest *= 1.5  # a machine that is busy, or slow
                continue
            expect(process.returncode in (0, 75), f"evaluation: exit code {process.returncode}: {err}")
            inside += "stopped before the evaluation of epoch " in out
            if process.returncode != 75 or inside == 3:
                break
        # On a machine so slow that the run ends before the signal comes there is nothing to see.
        expect(inside > 0 or process.returncode == 0, "evaluation: never stopped inside one")
        box.ok("sluice-train", "run.ini", "--auto-resume")
        expect_same_end("evaluation", box, reference)


def time_budget(reference):
    """train.max_time stops like a signal. (The configuration then differs, and with it the file of the best epoch.)"""
    with Sandbox() as box:
        box.write("run.ini", PLAIN)
        paced = Paced(box, "sluice-train", "run.ini", "--train.max_time=1.5")
        paced.steps(1)
        time.sleep(1.6)
        code = paced.end()
        expect(code == 75, f"time budget: exit code {code}")
        expect(re.fullmatch(r"stopped (at epoch \d+, step \d+|before the evaluation of epoch \d+): what comes next does not fit into "
                            r"the time budget of 1\.5 s \(\d+\.\d s elapsed\); continue with --resume\n", paced.lines[-1]),
               f"time budget: last line {paced.lines[-1]}")
        expect(box.header(box.newest())["state"]["step"] < 14 * 60, "time budget: the run ended")
        box.ok("sluice-train", "run.ini", "--resume")
        expect(rows(box, "metrics.csv") == rows(reference, "metrics.csv"), "time budget: the metrics differ")
        expect(box.header(box.newest())["content_digest"] == reference.header(box.newest())["content_digest"],
               "time budget: the last checkpoint differs")


def second_signal():
    """A second SIGINT or SIGTERM does not wait for the step to end."""
    for number in [signal.SIGINT, signal.SIGTERM]:
        with Sandbox() as box:
            box.write("run.ini", PLAIN)
            paced = Paced(box, "sluice-train", "run.ini")
            paced.steps(10)
            time.sleep(0.3)  # it now waits for somebody to read its output
            paced.process.send_signal(number)
            time.sleep(0.3)
            expect(paced.process.poll() is None, f"second signal: {number.name}: ended after one")
            paced.process.send_signal(number)
            code = paced.process.wait(60)
            expect(code == 128 + number, f"second signal: {number.name}: exit code {code}")
            paced.end()
            box.ok("sluice-train", "run.ini", "--resume", "--train.epochs=1", "--extend")


def after_the_end():
    """Resuming a run that has ended changes nothing, and says how it would go on: so it does."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        digests = {file: box.header(file)["content_digest"] for file in [box.newest(), "run/weights.h5"]}
        metrics = box.text("run/metrics.csv")
        box.ok("sluice-train", "net.ini", "--resume")
        for file, digest in digests.items():
            expect(box.header(file)["content_digest"] == digest, f"after the end: {file} changed")
        expect(box.text("run/metrics.csv") == metrics, "after the end: metrics changed")
    done = r"complete: 2 epochs are done{}; nothing is left to do; to go on give --resume {}, for example"
    early = r", and it stopped early: val_accuracy has not improved on \d+(\.\d+)? % \(epoch 1\) for 1 epoch"
    for first, why, more in [([], "", "--train.epochs=4"), (["--schedule.type=cosine"], "", "--train.epochs=4 --extend"),
                             (["--train.epochs=9", "--optimizer.lr=1e-30", "--early_stopping.patience=1"], early,
                              "--early_stopping.patience=2")]:
        with Sandbox() as box:
            box.ok("sluice-train", "net.ini", *first)
            out = box.ok("sluice-train", "net.ini", *first, "--resume").out
            expect(any(re.fullmatch(done.format(why, more), line) for line in out.splitlines()), f"complete, {first}: {out}")
            kept = [word for word in first if word.split("=")[0] not in more]
            box.ok("sluice-train", "net.ini", *kept, "--resume", *more.split())
            last = box.text("run/metrics.csv").splitlines()[-1]
            expect(int(last.split(",")[0]) > 2, f"going on after the end, {first}: {last}")


def another_build():
    """A checkpoint of another program: resuming says what is not as it was, and that bits may change; nothing else does."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        newest = box.newest()
        state = box.header(newest)["state"]
        version = box.ok("sluice-train", "--version").out.split()
        expect(state["sluice"] == version[1], f"another build: sluice is {state['sluice']}, the program {version}")
        changes = {"compiler": "GCC 7.1.0", "onednn": "1.7.0 (OMP)", "sluice": "0.0.9"}
        box.forge("edit", newest, newest, *(f"state={key}:{value}" for key, value in changes.items()))
        resumed = box.ok("sluice-train", "net.ini", "--resume", "--train.epochs=3")
        wanted = ["warning: changed since the checkpoint: [train] epochs: 2 -> 3; the run ends after them"]
        wanted += [f"warning: {key} was {value}, is {state[key]}: results may differ in the last bits"
                   for key, value in changes.items()]
        expect(resumed.err.splitlines() == wanted, f"another build: {resumed.err}")
        now = box.header(box.newest())["state"]
        expect({key: now[key] for key in changes} == {key: state[key] for key in changes}, f"another build: {now}")
        again = box.ok("sluice-train", "net.ini", "--resume", "--train.epochs=4")
        expect(again.err == "warning: changed since the checkpoint: [train] epochs: 3 -> 4; the run ends after them\n",
               f"another build: {again.err}")


if __name__ == "__main__":
    variants = [("plain", NET, PLAIN), ("everything", NET, EVERYTHING), ("epochs of one step", NET, ONE_STEP_EPOCHS),
                ("counted", COUNTED_NET, COUNTED), ("distilled", NET, DISTILLED), ("evaluated", NET, EVALUATED),
                ("cost", GATED_NET, COST)]
    for name, net, text in variants:
        with Sandbox() as reference:
            write_configuration(reference, net, text)
            reference.ok("sluice-train", "run.ini", "--auto-resume")
            interrupted_run(name, net, text, reference)
            if name == "plain":
                time_budget(reference)
    stopped_in_evaluations()
    second_signal()
    after_the_end()
    another_build()
    sys.exit(1 if failures else 0)
