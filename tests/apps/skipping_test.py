"""Inference that skips, as users see it: both backends agree, the plan is told, deployed files remember it."""
import json
import os
import re
import sys

from harness import NET, SOURCE, Sandbox

# A gated network, with an activation behind each gate.
GATED = NET.replace("[layer.pool]", """\
[layer.gated]
type = cg_conv
channels = 16
kernel = 3
pad = 1
own_chunk = yes
partitions = 2
[layer.bn2]
type = batchnorm
[layer.relu2]
type = relu
[layer.pool]""") + "[gating_loss]\ntarget = 0.5\n"

# Whole channels of an image are closed between two convolutions.
CHANNELS = NET.replace("channels = 4", "channels = 16").replace("[layer.pool]", """\
[layer.before]
type = conv
channels = 32
kernel = 3
pad = 1
[layer.relu2]
type = relu
[layer.gate]
type = channel_gate
from = relu2, relu
init_scale = 1
threshold_init = 0
[layer.behind]
type = conv
channels = 16
kernel = 3
stride = 2
pad = 1
[layer.relu3]
type = relu
[layer.pool]""").replace("dir = run", "dir = closing")

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def evaluation(box):
    reports = {}
    for backend in ["skip", "dense"]:
        reports[backend] = json.loads(box.ok("sluice-eval", "run/weights.h5", "--backend=" + backend, "--json").out)
        key = json.loads(box.ok("sluice-eval", "run/weights.h5", "--run.backend=" + backend, "--json").out)
        expect(key["correct"] == reports[backend]["correct"], f"--backend={backend} is not --run.backend={backend}")
    skip, dense = reports["skip"], reports["dense"]
    for key in ["images", "correct", "gate_density", "macs_executed"]:
        expect(skip[key] == dense[key], f"{key}: {skip[key]} skipping, {dense[key]} dense")
    expect(abs(skip["loss"] - dense["loss"]) < 1e-5, f"loss: {skip['loss']} skipping, {dense['loss']} dense")
    expect(0 < skip["gate_density"] < 1, f"gates are all alike: {skip['gate_density']}")

    compared = json.loads(box.ok("sluice-eval", "run/weights.h5", "--compare", "--json").out)
    decisions = 20 * 16 * 30
    expect(compared["split"] == "test", f"compare: {compared}")
    expect(compared["images"] == compared["equal"] == 20 and compared["equal_share"] == 1, f"compare: {compared}")
    expect(compared["decisions"] == decisions and compared["different"] == 0, f"compare: {compared}")
    expect(compared["layers"] == [{"name": "gated", "decisions": decisions, "different": 0}], f"compare: {compared}")
    expect(compared["accuracy_skip"] == compared["accuracy_dense"] == skip["accuracy"], f"compare: {compared}")
    for flag in ["--predictions=p.csv", "--confusion", "--backend=dense"]:
        refused = box.run("sluice-eval", "run/weights.h5", "--compare", flag)
        name = flag.split("=")[0]
        expect(refused.code == 2 and refused.err == f"sluice-eval: command line: {name} does not go with --compare\n",
               f"compare {flag}: {refused}")
    last = json.loads(box.ok("sluice-eval", "run/weights.h5", "--compare", "--json", "--eval.batch=7").out)
    expect(last["equal"] == 20 and last["decisions"] == decisions, f"compare by sevens: {last}")
    text = box.ok("sluice-eval", "run/weights.h5", "--compare").out
    expect(text.startswith("skip against dense, on 20 test images\n"), f"compare: {text}")
    expect(f"gates        0 of {decisions} decided otherwise" in text, f"compare: {text}")


def has_entry(what, row):
    """The glossary says what each way of a layer is."""
    with open(os.path.join(SOURCE, "docs/glossary.md"), encoding="utf-8") as glossary:
        section = glossary.read().split("\n## Ways\n")[1].split("\n## ")[0]
    expect(set(row["ms"]) <= set(re.findall(r"^\| `(.+?)`", section, re.MULTILINE)), f"{what}: not in docs/glossary.md: {row}")


def benchmark(box):
    report = json.loads(box.ok("sluice-bench", "run/weights.h5", "--only=infer", "--steps=2", "--eval.batch=4",
                               "--images=test", "--plan", "--json").out)
    for key in ["infer_ms", "infer_dense_ms", "infer_dense_direct_ms", "speedup_over_dense", "speedup_over_dense_direct"]:
        expect(report.get(key, 0) > 0, f"bench: {key} is {report.get(key)}")
    expect([layer["type"] for layer in report["infer_dense_layers"]][:2] == ["conv", "conv"], f"bench: {report}")
    row = report["plan"][0]
    expect(row["name"] == "gated" and set(row["ms"]) == {"dots", "hybrid", "lanes", "all", "dense"},
           f"bench: {row}")
    has_entry("bench", row)
    expect(row["ms"][row["chosen"]] == min(row["ms"].values()), f"the plan does not choose the fastest: {row}")
    expect(0 < row["density"] < 1 and "break_even" in row and row["dense_ms"] > 0, f"bench: {row}")
    # Whether the layer is slower than its twin is said once, by whatever noise.
    for twin, even in (("dense_ms", row["break_even"]), ("dense_direct_ms", row["break_even_direct"])):
        slower = row["ms"][row["chosen"]] > row[twin]
        expect(even is not None and even < row["density"] if slower else even is None or even >= row["density"], f"{twin}: {row}")
    expect(row["spread"] >= 0 and (report["infer_split"], report["infer_images"]) == ("test", 20), f"bench: {report}")
    text = box.ok("sluice-bench", "run/weights.h5", "--only=infer", "--steps=2", "--plan").out
    expect("\nplan: " in text and "dense twin: " in text, f"bench: {text}")
    expect("\ninference: milliseconds, batch 128 of random images\n" in text, f"bench: {text}")
    text = box.ok("sluice-bench", "run/weights.h5", "--only=infer", "--steps=1", "--eval.batch=4", "--images=test").out
    expect("\ninference: milliseconds, batch 4, 20 test images\n" in text, f"bench: {text}")
    for arguments, text in [(["--only=train", "--plan"], "--plan is about inference; leave out --only=train"),
                            (["--only=train", "--images=test"], "--images is about inference; leave out --only=train"),
                            (["net.ini"], "a checkpoint stands alone; use overrides to change its configuration")]:
        refused = box.run("sluice-bench", "run/weights.h5", *arguments)
        expect(refused.code == 2 and refused.err == f"sluice-bench: command line: {text}\n", f"bench {arguments}: {refused}")
    refused = box.run("sluice-bench", "run/weights.h5", "--images=all")
    expect(refused.code == 2 and refused.err == "sluice-bench: command line: --images: expected test, validation or train, "
           "got 'all'\n", f"bench: {refused}")
    # A set that has not one batch is one.
    text = box.ok("sluice-bench", "run/weights.h5", "--only=infer", "--steps=1", "--plan", "--images=test").out
    expect("\ninference: milliseconds, batch 20, 20 test images\n" in text and "\nplan: " in text, f"bench: {text}")
    text = box.ok("sluice-deploy", "run/weights.h5", "--images=test", "-o", "small.h5").out
    expect(text.startswith("plan: milliseconds for 20 test images ") and "\nms for a batch of 20 on " in text, f"deploy: {text}")
    text = box.ok("sluice-eval", "run/weights.h5").out
    expect(" images per second by batches of 20 on " in text, f"eval: {text}")
    expect(json.loads(box.ok("sluice-eval", "run/weights.h5", "--json").out)["batch"] == 20, "eval: the batch")


def deployment(box):
    report = json.loads(box.ok("sluice-deploy", "run/weights.h5", "-o", "net.h5", "--eval.batch=5", "--json").out)
    expect(report["images"] == 20 and report["accuracy_before"] == report["accuracy_after"], f"deploy: {report}")
    expect((report["split"], report["batch"], report["plan_split"]) == ("test", 5, "training") and report["threads"] >= 1
           and report["ms_before"] > 0 and report["ms_after"] > 0, f"deploy: {report}")
    expect(list(report["plan"]) == ["gated"], f"deploy: {report}")
    header = json.loads(box.ok("sluice-inspect", "net.h5", "--json").out)
    expect(header["kind"] == "deployable" and header["plan"] == report["plan"] and "instruction_set" in header["state"],
           f"deploy: {header}")
    box.ok("sluice-inspect", "net.h5", "--verify")
    text = box.ok("sluice-inspect", "net.h5").out
    expect("(docs/glossary.md says what each way is)" in text, f"inspect: {text}")
    totals = json.loads(box.ok("sluice-inspect", "net.h5", "--gates", "--json").out)["gate_totals"]
    expect((totals["split"], totals["images"]) == ("test", 20), f"inspect --gates: {totals}")
    deployed = json.loads(box.ok("sluice-eval", "net.h5", "--json").out)
    expect(deployed["accuracy"] == report["accuracy_after"], f"deploy: {deployed['accuracy']}, {report}")
    for way in ["dots", "all"]:  # at most one of them is the fastest
        box.forge("edit", "net.h5", "planned.h5", f"plan=gated:{way}")
        row = json.loads(box.ok("sluice-bench", "planned.h5", "--only=infer", "--steps=2", "--json").out)["plan"][0]
        expect(row["chosen"] == way, f"bench: {row} with a plan of {way}")
    box.forge("edit", "net.h5", "foreign.h5", "state=instruction_set:another")
    for program in ["sluice-eval", "sluice-bench"]:
        another = "another processor or number of threads"
        for file, batch, wanted in [("foreign.h5", 5, another), ("foreign.h5", 7, another + ", and batches of 5"),
                                    ("net.h5", 5, ""), ("net.h5", 7, "batches of 5")]:
            said = box.run(program, file, f"--eval.batch={batch}", *(["--only=infer", "--steps=1"] if program == "sluice-bench" else []))
            note = f"note: {file}: its plan was made for {wanted}; it works, and sluice-deploy makes a faster one for this\n"
            expect(said.code == 0 and said.err == (note if wanted else ""), f"{program}: {said}")
    box.forge("edit", "net.h5", "young.h5", "kind=weights_only", "state=epoch", "state=step")
    box.ok("sluice-deploy", "young.h5", "-o", "old.h5", "--eval.batch=5")
    again = box.ok("sluice-deploy", "run/checkpoints/best.h5", "-o", "full.h5", "--eval.batch=8", "--run.threads=1").out
    expect(again.startswith("plan: milliseconds for 8 training images of the way that a layer runs, "), f"deploy: {again}")
    lines = [r" +before +after", r"accuracy on 20 test images +\d+\.\d\d % +\d+\.\d\d %",
             r"ms for a batch of 8 on 1 thread( +(0\.\d{3}|\d\.\d\d|\d\d\.\d|\d{3,})){2}"]
    expect(re.search("\n" + "\n".join(lines) + "\n(the times of .*\n)?wrote full.h5\n$", again), f"deploy: {again}")
    names = [tensor["path"] for tensor in json.loads(box.ok("sluice-inspect", "full.h5", "--json").out)["tensors"]]
    expect(names and not [name for name in names if "optimizer" in name], f"deploy keeps the optimiser: {names}")

    for arguments, code, text in [
            (["run/weights.h5"], 2, "command line: expected -o FILE, the file to write"),
            (["run/weights.h5", "-o", "net.ini"], 2, "net.ini: is there already, and sluice-deploy did not write it; name another file, or replace it with --force"),
            (["-o", "new.h5"], 2, "command line: expected one checkpoint, got 0 files"),
            (["run/weights.h5", "-o", "new.h5", "--precision=int3"], 2,
             "command line: [run] precision: expected one of fp32, bf16, int8, got 'int3'"),
            (["net.ini", "-o", "new.h5"], 5, "net.ini: "),
            (["run/weights.h5", "-o", ""], 2, "command line: expected -o FILE, the file to write"),
            (["run/weights.h5", "-o", "run"], 6, "run: is a directory, expected the name of a file"),
            (["run/weights.h5", "-o", "x" * 300], 6, "x" * 300 + ": "),
            (["run/weights.h5", "-o", "no/such/new.h5"], 6, "no/such/new.h5: ")]:
        files = box.tree()
        refused = box.run("sluice-deploy", *arguments)
        expect(refused.code == code and refused.err.startswith("sluice-deploy: " + text) and refused.err.count("\n") == 1,
               f"deploy {arguments}: {refused}")
        expect(box.tree() == files, f"deploy {arguments} leaves something behind")


def bytes_too(box):
    report = json.loads(box.ok("sluice-deploy", "run/weights.h5", "-o", "bytes.h5", "--precision=int8", "--eval.batch=5", "--json").out)
    expect(abs(report["accuracy_before"] - report["accuracy_after"]) <= 0.1, f"int8: {report}")
    header = json.loads(box.ok("sluice-inspect", "bytes.h5", "--json").out)
    expect(header["ranges"].get("gated", 0) > 0, f"int8: ranges {header['ranges']}")
    box.ok("sluice-inspect", "bytes.h5", "--verify")
    deployed = json.loads(box.ok("sluice-eval", "bytes.h5", "--json").out)
    plain = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json").out)
    expect(deployed["accuracy"] == report["accuracy_after"], f"int8: {deployed['accuracy']}, {report}")
    expect(0 < abs(deployed["loss"] - plain["loss"]) < 0.05, f"int8: loss {deployed['loss']} after {plain['loss']}")
    table = box.ok("sluice-bench", "bytes.h5", "--only=infer", "--steps=2").out
    expect(":int8" in table and "int8" in table.split("\n")[0] + table, f"int8: bench {table}")
    alone = json.loads(box.ok("sluice-bench", "bytes.h5", "--steps=2", "--json").out)
    expect("infer_ms" in alone and "train_ms" not in alone, f"int8: bench measures {list(alone)}")
    compared = json.loads(box.ok("sluice-eval", "bytes.h5", "--compare", "--json").out)
    expect(compared["equal"] >= 18 and compared["different"] < compared["decisions"] / 20, f"int8: {compared}")
    box.ok("sluice-bench", "net.ini", "--only=infer", "--steps=2", "--run.precision=int8", "--json")
    none = "run.precision = int8 needs a file that was deployed in int8; sluice-deploy CHECKPOINT.h5 -o "
    train = "run.precision = int8 is for inference; train in fp32 or bf16, then run sluice-deploy --precision=int8"
    for program, arguments, text in [("sluice-eval", ["run/weights.h5", "--run.precision=int8"], none),
                                     ("sluice-train", ["net.ini", "--run.dir=other", "--run.precision=int8"],
                                      "command line: [run] precision: int8 is for inference; train in fp32 or bf16, "),
                                     ("sluice-bench", ["net.ini", "--only=train", "--run.precision=int8"], train)]:
        refused = box.run(program, *arguments)
        expect(refused.code == 2 and refused.err.startswith(f"{program}: {text}") and refused.err.count("\n") == 1,
               f"int8, {program} {arguments}: {refused}")


def channels_too(box):
    """Around closed channels every way of an int8 deployment, in floats and in int8, does what computing everything does."""
    box.write("channels.ini", CHANNELS)
    box.ok("sluice-train", "channels.ini")
    dense = json.loads(box.ok("sluice-eval", "closing/weights.h5", "--backend=dense", "--json").out)
    expect(0 < dense["gate_density"] < 1, f"channels: gates are all alike: {dense['gate_density']}")
    report = json.loads(box.ok("sluice-deploy", "closing/weights.h5", "-o", "closing.h5", "--precision=int8", "--eval.batch=5",
                               "--json").out)
    expect(report["accuracy_before"] == dense["accuracy"], f"channels: {report}, dense {dense['accuracy']}")
    rows = json.loads(box.ok("sluice-bench", "closing.h5", "--only=infer", "--steps=2", "--plan", "--json").out)["plan"]
    expect([row["name"] for row in rows] == ["before", "behind"] == list(report["plan"]), f"channels: {rows}")
    for row in rows:
        expect({"fp32", "int8", "channels", "int8-channels"} <= set(row["ms"]), f"channels: ways of {row}")
        has_entry("channels", row)
        expect(row["chosen"] == report["plan"][row["name"]], f"channels: another way than the plan's: {row}, {report}")
        for way in row["ms"]:
            box.forge("edit", "closing.h5", "way.h5", f"plan={row['name']}:{way}")
            one = json.loads(box.ok("sluice-eval", "way.h5", "--json").out)
            expect(abs(one["loss"] - dense["loss"]) < 0.02 and one["images"] == 20, f"channels, {row['name']} {way}: {one['loss']}, "
                   f"dense {dense['loss']}")
            expect(abs(one["gate_density"] - dense["gate_density"]) < 0.02, f"channels, {row['name']} {way}: {one['gate_density']}")
            compared = json.loads(box.ok("sluice-eval", "way.h5", "--compare", "--json").out)
            expect(compared["equal"] >= 18 and compared["different"] < compared["decisions"] / 20, f"channels: {compared}")


if __name__ == "__main__":
    with Sandbox() as sandbox:
        sandbox.write("net.ini", GATED)
        sandbox.ok("sluice-train", "net.ini")
        for part in [evaluation, benchmark, deployment, bytes_too, channels_too]:
            part(sandbox)
    sys.exit(1 if failures else 0)
