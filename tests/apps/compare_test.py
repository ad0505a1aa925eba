"""sluice-eval with several checkpoints and with --shift: one table whose numbers are those of single evaluations."""
import csv
import io
import json
import re

from harness import NET, Case, Sandbox, run_table

failures = []
GATED = "--type.cg_conv.partitions=2 --gating_loss.penalty=0.1 --gating_loss.target=1".split()


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def trained(box):
    box.write("gated.ini", NET.replace("type = conv\n", "type = cg_conv\n", 1))
    box.ok("sluice-train", "net.ini")
    box.ok("sluice-train", "gated.ini", "--run.dir=gated", *GATED)


DENSE, GATES = "run/weights.h5", "gated/weights.h5"
SAME = ("accuracy", "loss", "macs_executed", "macs_dense", "flop_reduction", "average_bits", "bit_operations_executed",
        "bit_operations_dense", "parameters", "images")


def several():
    with Sandbox() as box:
        trained(box)
        single = {name: json.loads(box.ok("sluice-eval", name, "--json").out) for name in (DENSE, GATES)}
        table = json.loads(box.ok("sluice-eval", DENSE, GATES, "--json").out)
        expect([row["checkpoint"] for row in table] == [DENSE, GATES], f"--json: {table}")
        for row in table:
            one = single[row["checkpoint"]]
            expect({key: row[key] for key in SAME} == {key: one[key] for key in SAME}, f"{row} against {one}")
        expect({row["split"] for row in table} == {"test"}, f"--json: {table}")
        expect(table[0]["gate_density"] is None and table[1]["gate_density"] == single[GATES]["gate_density"], f"density: {table}")
        rows = list(csv.DictReader(io.StringIO(box.ok("sluice-eval", DENSE, GATES, "--csv").out)))
        expect([float(row["loss"]) for row in rows] == [row["loss"] for row in table], f"--csv: {rows}")
        expect(rows[0]["gate_density"] == "", f"--csv of a network without gates: {rows[0]}")
        timed = json.loads(box.ok("sluice-eval", DENSE, GATES, "--time", "--eval.batch=5", "--json").out)
        expect(all(row["milliseconds"] > 0 and row["batch"] == 5 for row in timed), f"--time: {timed}")
        timed = json.loads(box.ok("sluice-eval", DENSE, GATES, "--time", "--json").out)
        expect(all(row["batch"] == 20 for row in timed), f"--time of a small set: {timed}")
        text = box.ok("sluice-eval", DENSE, GATES, "--time", "--eval.batch=5", env={"COLUMNS": "60"}).out.splitlines()
        titles = next(line for line in text if line.startswith("checkpoint "))
        expect(re.fullmatch(r"on 20 test images; deployed and timed on \d+ threads?", text[0]) and titles.endswith("  ms, batch 5"),
               f"--time at 60 columns: {text}")
        markdown = box.ok("sluice-eval", DENSE, GATES, "--markdown").out.splitlines()
        expect(markdown[:2] == ["on 20 test images", ""] and len(markdown) == 6, f"--markdown: {markdown}")
        expect(markdown[4].startswith(f"| {DENSE} | ") and " % |" in markdown[4], f"--markdown: {markdown}")
        text = box.ok("sluice-eval", DENSE, GATES, env={"COLUMNS": "60"}).out.splitlines()
        titles = next(i for i, line in enumerate(text) if line.startswith("checkpoint "))
        same = " ".join(text[1:titles])
        expect(text[0] == "on 20 test images", f"60 columns: {text}")
        expect(same.startswith("all checkpoints: ") and re.search(r"[ ,]dense \d+$", same), f"60 columns: {text}")
        expect(text[titles].split()[-3:] == ["loss", "density", "cost"], f"60 columns: {text}")
        expect([line.split()[0] for line in text[titles + 1:titles + 3]] == ["run", "gated"]
               and text[titles + 3:] == ["checkpoint: */weights.h5", "no room for: multiply-adds"], f"60 columns: {text}")
        # Of sets of their own each has its number of images.
        box.ok("sluice-train", "net.ini", "--run.dir=other", "--data.synthetic_test_size=30")
        text = box.ok("sluice-eval", DENSE, "other/weights.h5").out.splitlines()
        titles = text[1].split("  ")
        expect(text[0] == "each on the test images of its own set" and "images" in [title.strip() for title in titles], f"two sets: {text}")
        rows = json.loads(box.ok("sluice-eval", DENSE, "other/weights.h5", "--json").out)
        expect([row["images"] for row in rows] == [20, 30], f"two sets: {rows}")


def shifted():
    with Sandbox() as box:
        trained(box)
        before = box.tree()
        rows = json.loads(box.ok("sluice-eval", GATES, "--shift=-9:9:3", "--json").out)
        expect([row["shift"] for row in rows] == [-9, -6, -3, 0, 3, 6, 9], f"amounts: {rows}")
        densities = [row["gate_density"] for row in rows]
        expect(densities == sorted(densities, reverse=True) and densities[0] == 1 and densities[-1] == 0, f"densities: {densities}")
        expect(rows[0]["macs_executed"] == rows[0]["macs_dense"] and rows[-1]["macs_executed"] < rows[-1]["macs_dense"], f"cost: {rows}")
        # In the middle nothing is moved; images are those held out.
        plain = json.loads(box.ok("sluice-eval", GATES, "--split=validation", "--json").out)
        expect({key: rows[3][key] for key in SAME} == {key: plain[key] for key in SAME}, f"{rows[3]} against {plain}")
        test = json.loads(box.ok("sluice-eval", GATES, "--shift=0", "--split=test", "--json").out)
        expect(len(test) == 1 and test[0]["images"] == 20 and test[0]["split"] == "test", f"--split=test: {test}")
        expect({(row["split"], row["images"]) for row in rows} == {("validation", plain["images"])}, f"images: {rows}")
        text = box.ok("sluice-eval", GATES, "--shift=0").out
        expect(text.startswith(f"on {plain['images']} validation images\nshift "), f"a curve: {text}")
        expect(box.tree() == before, "an evaluation changed a file")
        tenths = [row["shift"] for row in json.loads(box.ok("sluice-eval", GATES, "--shift=-0.1:0.3:0.1", "--json").out)]
        expect(tenths == [-0.1, 0, 0.1, 0.2, 0.3], f"tenths: {tenths}")
        # Deployed with its thresholds moved: the numbers of the curve.
        box.ok("sluice-deploy", GATES, "--shift=-3", "--eval.batch=4", "-o", "open.h5")
        moved = json.loads(box.ok("sluice-eval", "open.h5", "--split=validation", "--json").out)
        expect(moved["gate_density"] == rows[2]["gate_density"] and moved["accuracy"] == rows[2]["accuracy"], f"{moved} against {rows[2]}")
        thresholds = [json.loads(box.ok("sluice-inspect", name, "--gates", "--json").out)["gates"][0]["threshold"]["mean"]
                      for name in ("open.h5", GATES)]
        expect(abs(thresholds[0] - thresholds[1] + 3) < 1e-5, f"thresholds: {thresholds}")


def another_gate():
    """A gate of a plug-in joins by the group of its parameters."""
    with Sandbox() as box:
        import os
        plugin = os.path.join(os.environ["SLUICE_TOOLS"], "plugin_gate.so")
        text = NET.replace("[layer.relu]\ntype = relu\n", "[layer.relu]\ntype = test_gate\nthreshold = 0.1\n")
        box.write("net.ini", text)
        box.ok("sluice-train", "net.ini", f"--plugins.load={plugin}")
        rows = json.loads(box.ok("sluice-eval", DENSE, f"--plugins.load={plugin}", "--shift=-9:9:9", "--json").out)
        plain = json.loads(box.ok("sluice-eval", DENSE, f"--plugins.load={plugin}", "--split=validation", "--json").out)
        expect([row["open_share"] for row in rows] == [1, plain["open_share"], 0] and 0 < plain["open_share"] < 1
               and [row["closed_share"] for row in rows] == [0, plain["closed_share"], 1], f"shares of a plug-in's gate: {rows}, {plain}")
        expect(rows[1]["loss"] == plain["loss"] and len({row["loss"] for row in rows}) == 3, f"losses of a plug-in's gate: {rows}, {plain}")
        table = box.ok("sluice-eval", DENSE, f"--plugins.load={plugin}", "--shift=-9:9:9").out.splitlines()
        expect(table[1].split()[:4] == ["shift", "accuracy", "loss", "open_share"] and "closed_share" not in table[1], f"a table: {table}")


USAGE = "command line: "
RANGE = USAGE + "--shift: expected FROM:TO:STEP, as -1:1:0.1, or a number, got "
BAD = [
    Case("eval: no checkpoint but flags", "sluice-eval --csv", 2, USAGE + "expected a checkpoint, got 0 files"),
    Case("eval: predictions of two", f"sluice-eval {DENSE} {GATES} --predictions=p.csv", 2,
         USAGE + "--predictions goes with one checkpoint as it is"),
    Case("eval: two shifted", f"sluice-eval {DENSE} {GATES} --shift=1", 2, USAGE + "--shift goes with one checkpoint"),
    Case("eval: one timed", f"sluice-eval {DENSE} --time", 2, USAGE + "--time goes with several checkpoints; sluice-bench times one"),
    Case("eval: CSV of one", f"sluice-eval {DENSE} --csv", 2, USAGE + "--csv goes with several checkpoints, or --shift"),
    Case("eval: nothing to shift", f"sluice-eval {DENSE} --shift=1", 2,
         USAGE + "--shift: no layer of this network has thresholds (parameters of the group 'threshold')", make=trained),
    Case("eval: a missing one of two", f"sluice-eval {DENSE} nothing.h5", 5, "nothing.h5: cannot open: No such file or directory",
         make=trained),
    Case("deploy: a range", f"sluice-deploy {DENSE} -o d.h5 --shift=0:1:1", 2, USAGE + "--shift: expected one number, got a range",
         make=trained),
    Case("deploy: levels of a dense network", f"sluice-deploy {DENSE} -o d.h5 --weight-levels=signed", 2,
         USAGE + "--weight-levels: no layer of this network quantises its weights", make=trained),
    Case("deploy: other levels", f"sluice-deploy {DENSE} -o d.h5 --weight-levels=bytes", 2,
         USAGE + "--weight-levels: expected signed or full, got 'bytes'", make=trained),
    *[Case(f"eval: shift {text}", f"sluice-eval {DENSE} --shift={text}", 2, f"{RANGE}'{text}'")
      for text in ("x", "1:2", "1:0:0.1", "0:1:0", "0:1:-1", "0:1:1:1", "nan", "0:inf:1", "1:")],
    Case("eval: many shifts", f"sluice-eval {DENSE} --shift=0:1:0.0001", 2,
         USAGE + "--shift: expected at most 1000 steps, got '0:1:0.0001'"),
]

if __name__ == "__main__":
    for test in (several, shifted, another_gate):
        test()
    run_table(BAD, 18, len(failures))
