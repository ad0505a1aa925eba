"""An afternoon of a researcher: three runs with other targets, looked at with every program. Their numbers agree with each other and
with a count made outside: of predictions against labels, and of open gates in pictures of decisions."""
import csv
import io
import json
import os
import sys

from harness import TOOLS, Sandbox
from predict_test import INI, pictures, read_png

TARGETS = ("0.5", "1", "2")
GATED = ["--type.cg_conv.partitions=3", "--gating_loss.penalty=0.5", "--train.epochs=4", "--data.validation=6"]
PICTURES, PIXELS, CHANNELS = 18, 8 * 7, 6
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def near(a, b, within=1e-6):
    return abs(float(a) - float(b)) <= within * max(1, abs(float(b)))


def table(box, *arguments):
    return list(csv.DictReader(io.StringIO(box.ok(*arguments).out)))


def predicted_outside(box, weights):
    """Accuracy, from the classes of single pictures and the folders that they lie in."""
    rows = [row for row in table(box, "sluice-predict", weights, "set/val", "--csv", "--top=1") if row["rank"] == "1"]
    expect(len(rows) == PICTURES, f"{weights}: {len(rows)} pictures")
    return sum(row["file"].split("/")[2] == row["name"] for row in rows) / len(rows)


def gates_outside(box, weights, maps):
    """Open gates and all of them, counted in PNG files."""
    box.ok("sluice-predict", weights, "set/val", f"--maps={maps}")
    grey = 0
    for name in os.listdir(box.at(maps)):
        width, height, channels, rows, _ = read_png(box.read(f"{maps}/{name}/01-conv.png"))
        expect((width * height, channels) == (PIXELS, 1), f"{name}: {width}x{height}")
        grey += sum(round(CHANNELS * value / 255) for row in rows for value in row)
    return grey, PICTURES * PIXELS * CHANNELS


def cost_outside(open_share):
    """Multiply-adds of one image: a third of the sources always, the others where gates are open; then the dense layer."""
    whole = CHANNELS * 3 * 3 * 3 * PIXELS
    return whole / 3 + 2 * whole / 3 * open_share + CHANNELS * 3, whole + CHANNELS * 3


def afternoon():
    with Sandbox() as box:
        pictures(box)
        box.write("folder.ini", INI)
        box.write("gated.ini", "include = folder.ini\n[layer.conv]\ntype = cg_conv\nchannels = 6\n")
        runs = [f"runs/target-{target}" for target in TARGETS]
        for run, target in zip(runs, TARGETS):
            box.ok("sluice-train", "gated.ini", f"--run.dir={run}", f"--gating_loss.target={target}", *GATED)
        weights = [run + "/weights.h5" for run in runs]
        evaluated = table(box, "sluice-eval", *weights, "--csv")
        singles = [json.loads(box.ok("sluice-eval", name, "--json").out) for name in weights]
        known = {row["run"]: row for row in table(box, "sluice-runs", "runs", "--csv")}
        box.ok("sluice-report", *runs, "-o", "all.html")
        page = box.text("all.html")
        report = json.loads(page[page.index('id="data">') + 10:].split("</script>", 1)[0])["subjects"]
        expect(sorted(known) == sorted(runs) and [row["checkpoint"] for row in evaluated] == weights, f"{known} {evaluated}")
        expect([known[run]["gating_loss.target"] for run in runs] == list(TARGETS), f"what differs: {known}")
        for i, run in enumerate(runs):
            row, single, shown = evaluated[i], singles[i], report[i]["evaluation"]
            for key in ("accuracy", "loss", "macs_executed", "macs_dense"):
                expect(near(row[key], single[key]) and near(shown[key], single[key]), f"{run}: {key}: {row}, {single[key]}, {shown[key]}")
            expect(near(row["gate_density"], single["gate_density"]), f"{run}: {row}")
            expect(near(single["accuracy"], predicted_outside(box, weights[i])), f"{run}: accuracy {single['accuracy']}")
            is_open, gates = gates_outside(box, weights[i], f"maps-{i}")
            expect(near(single["gate_density"], is_open / gates), f"{run}: density {single['gate_density']}, counted {is_open} of {gates}")
            executed, dense = cost_outside(is_open / gates)
            expect(near(single["macs_executed"], executed) and near(single["macs_dense"], dense),
                   f"{run}: {single['macs_executed']} of {single['macs_dense']}, counted {executed} of {dense}")
            shifts_agree(box, run, known[run], weights[i])
        densities = [float(row["gate_density"]) for row in evaluated]
        expect(len(set(densities)) == 3, f"three targets, densities {densities}")


def shifts_agree(box, run, known, weights):
    """The knob's middle is the run's best epoch; further up fewer gates are open, and so is what it costs."""
    curve = table(box, "sluice-eval", weights, "--shift=-0.5:0.5:0.25", "--csv")
    middle = curve[2]
    expect(float(middle["shift"]) == 0 and len(curve) == 5, f"{run}: {curve}")
    for ours, theirs in (("accuracy", "val_accuracy"), ("loss", "val_loss"), ("gate_density", "val_gate_density"),
                         ("macs_executed", "val_macs_executed")):
        expect(near(middle[ours], known[theirs], 1e-5), f"{run}: {ours} {middle[ours]}, in metrics.csv {known[theirs]}")
    for column in ("gate_density", "macs_executed"):
        values = [float(row[column]) for row in curve]
        expect(values == sorted(values, reverse=True), f"{run}: {column} {values}")
    best = [row for row in table_of(box, run) if row["epoch"] == known["best_epoch"]]
    expect(len(best) == 1 and best[0]["val_accuracy"] == known["val_accuracy"], f"{run}: {best} {known}")


def table_of(box, run):
    return list(csv.DictReader(io.StringIO(box.text(run + "/metrics.csv"))))


if __name__ == "__main__":
    if not os.path.exists(os.path.join(TOOLS, "write_pictures")):
        print("skipped: this build reads no pictures")
        sys.exit(77)
    afternoon()
    sys.exit(1 if failures else 0)
