"""Accuracies are shares from 0 to 1. Runs and checkpoints of before, which have them per cent, are read rightly, resumed, and said."""
import csv
import io
import json
import os
import re
import sys

from harness import Sandbox

failures = []

MARK = "# The accuracies of this run are shares from 0 to 1.\n"
TRAIN = ["sluice-train", "net.ini", "--early_stopping.patience=50"]
SHARE = "--early_stopping.min_delta=0.001"
PER_CENT = "--early_stopping.min_delta=0.1"


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def rows(box, run="run"):
    return list(csv.DictReader(io.StringIO(box.text(run + "/metrics.csv"))))


def is_accuracy(column):
    return column in ("train_accuracy", "val_accuracy")


def age(box, run):
    """Makes of a run what an older Sluice would have left."""
    config = box.text(f"{run}/config.ini")
    expect(config.startswith(MARK) and "min_delta = 0.001" in config, f"config.ini: {config[:200]}")
    config = config[len(MARK):].replace("min_delta = 0.001", "min_delta = 0.1")
    box.write(f"{run}/config.ini", config)
    box.write("old.ini", config)
    for name in os.listdir(box.at(f"{run}/checkpoints")):
        path = f"{run}/checkpoints/{name}"
        box.forge("edit", path, "old.h5", "accuracies=100", "config=old.ini", "version=1.4")
        os.replace(box.at("old.h5"), box.at(path))
    table = rows(box, run)
    for row in table:
        for column in filter(is_accuracy, row):
            row[column] = repr(100 * float(row[column]))
    out = io.StringIO()
    writer = csv.DictWriter(out, table[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    box.write(f"{run}/metrics.csv", out.getvalue())
    objects = [json.loads(line) for line in box.text(f"{run}/metrics.jsonl").splitlines()]
    for each in objects:
        each.update({column: 100 * value for column, value in each.items() if is_accuracy(column)})
    box.write(f"{run}/metrics.jsonl", "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in objects))


def same_metrics(what, ours, theirs):
    expect(len(ours) == len(theirs), f"{what}: {len(ours)} and {len(theirs)} rows")
    for one, other in zip(ours, theirs):
        for column in ("train_accuracy", "val_accuracy", "val_loss", "train_loss"):
            a, b = float(one[column]), float(other[column])
            expect(abs(a - b) <= 1e-15, f"{what}: {column} is {a}, expected {b}")


def new_files_hold_shares():
    with Sandbox() as box:
        out = box.ok(*TRAIN, SHARE).out
        last = rows(box)[-1]
        expect(0 < float(last["train_accuracy"]) <= 1 and 0 <= float(last["val_accuracy"]) <= 1, f"{last}")
        said = re.search(r"^epoch 2/2, .*train_accuracy (\S+) %, .*val_accuracy (\S+) %", out, re.MULTILINE)
        expect(said and said[1] == f"{100 * float(last['train_accuracy']):.2f}", f"the console: {out}")
        history = json.loads(box.ok("sluice-inspect", box.newest(), "--history", "--json").out)["history"]
        expect(history["rows"][-1][history["columns"].index("val_accuracy")] == float(last["val_accuracy"]), f"{history}")
        people = box.ok("sluice-inspect", box.newest(), "--history").out.splitlines()[-1]
        expect(f" {100 * float(last['val_accuracy']):.2f} %" in people, f"--history: {people}")
        plot = box.ok("sluice-inspect", box.newest(), "--plot").out
        expect(re.search(rf"^val_accuracy(: last)? {100 * float(last['val_accuracy']):.2f} %", plot, re.MULTILINE), f"--plot: {plot}")


def runs_of_before():
    with Sandbox() as box:
        box.ok(*TRAIN, SHARE)
        new = json.loads(box.ok("sluice-runs", "run", "--json").out)
        table = box.ok("sluice-runs", "run").out
        header = box.header(box.newest())
        age(box, "run")
        expect(json.loads(box.ok("sluice-runs", "run", "--json").out) == new, "sluice-runs --json differs")
        expect(box.ok("sluice-runs", "run").out == table, "sluice-runs differs")
        old = box.header(box.newest())
        expect(old["format_version"] == "1.4" and header["format_version"] == "1.5", f"{old} {header}")
        for key, value in header["last_metrics"].items():
            expect(value is None or abs(old["last_metrics"][key] - value) <= 1e-15, f"last_metrics: {key}")
        box.ok("sluice-inspect", box.newest(), "--verify")
        box.ok("sluice-report", "run", "-o", "report.html", "--no-eval")
        expect("min_delta = 0.001" in box.text("report.html"), "the report has the old min_delta")


def resumed():
    with Sandbox() as box:
        box.ok(*TRAIN, SHARE, "--run.dir=reference")
        box.ok(*TRAIN, SHARE, "--run.dir=reference", "--resume", "--train.epochs=4")
        box.ok(*TRAIN, SHARE)
        age(box, "run")
        path = box.newest()
        result = box.ok(*TRAIN, PER_CENT, "--resume", "--train.epochs=4")
        expect("warning: command line: [early_stopping] min_delta: 0.1 was per cent when this run began, and is read as 0.001; "
               "accuracies are shares from 0 to 1 now: write 0.001\n" in result.err, f"warnings: {result.err}")
        expect(f"{path}: is of an older Sluice, which wrote accuracies per cent; they are shares from 0 to 1 from here on, in the "
               "files of the run too\n" in result.out, f"said: {result.out}")
        same_metrics("metrics.csv", rows(box), rows(box, "reference"))
        same_metrics("metrics.jsonl", *([json.loads(line) for line in box.text(f"{run}/metrics.jsonl").splitlines()]
                                        for run in ("run", "reference")))
        digest = re.compile(r"digest of the last weights (\w+)")
        expect(digest.search(result.out)[1] == digest.findall(box.text("reference/log.txt"))[-1], "weights differ")
        states = [box.header(box.newest(run))["state"] for run in ("run", "reference")]
        expect(all(abs(states[0][key] - states[1][key]) <= 1e-15 for key in ("best", "reference")), f"{states}")
        config = box.text("run/config.ini")
        expect(config.startswith(MARK) and "min_delta = 0.001" in config and not os.path.exists(box.at("run/changes.log")) or
               "min_delta" not in box.text("run/changes.log"), f"{config[:100]}")
        # Who says per cent once more means another value, and is told.
        result = box.ok(*TRAIN, PER_CENT, "--resume", "--train.epochs=5")
        expect("[early_stopping] min_delta: 0.001 -> 0.1" in result.err and "for 0.1 % write 0.001" in result.err,
               f"the second time: {result.err}")


def nothing_left():
    """A run that had ended stays as it is."""
    with Sandbox() as box:
        box.ok(*TRAIN, SHARE)
        age(box, "run")
        before = {name: box.read(f"run/{name}") for name in ("metrics.csv", "metrics.jsonl", "config.ini")}
        box.ok(*TRAIN, PER_CENT, "--resume")
        expect({name: box.read(f"run/{name}") for name in before} == before, "files of a run that had ended changed")


if __name__ == "__main__":
    for part in [new_files_hold_shares, runs_of_before, resumed, nothing_left]:
        part()
    sys.exit(1 if failures else 0)
