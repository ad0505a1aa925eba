"""Figures of layers whose work depends on their images: counted here from the files, told by training, evaluation and inspection."""
import csv
import io
import json
import os
import re
import struct
import sys

from harness import NET, TOOLS, Sandbox

# On the images themselves, so that what is open can be counted here; and behind a convolution.
GATED = NET.replace("2x6x5", "1x6x5").replace("kind = synthetic", "kind = idx\ndir = d").replace("[layer.conv]", """\
[layer.gate0]
type = test_gate
threshold = 0.2
macs = 100
conditional_macs = 300
[layer.conv]""").replace("[layer.pool]", """\
[layer.gate1]
type = test_gate
macs = 1000
weight_bits = 8
activation_bits = 3
first_bits = 2
[layer.pool]""") + f"[plugins]\nload = {TOOLS}/plugin_gate.so\n[eval]\nbatch = 5\n"
GATED = re.sub(r"synthetic_\w+ = .*\n", "", GATED)
PLUGIN = f"--plugins.load={TOOLS}/plugin_gate.so"
TESTED = 23
DENSE = {"gate0": 400, "conv": 4 * 9 * 30, "gate1": 1000, "fc": 12}

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def close(a, b):
    return abs(a - b) <= 1e-12 * max(abs(a), abs(b))


def pixels(count, seed):
    state, found = seed, bytearray()
    for _ in range(count * 30):
        state = (1103515245 * state + 12345) % 2**31
        found.append(state >> 16 & 255)
    return bytes(found)


def write_data(box):
    """48 images for training and 23 for testing, of which gate0 opens for pixels above 0.2: (b / 255 - 0.5) / 0.25 > 0.2."""
    box.write("net.ini", GATED)
    for name, count in [("train", 48), ("t10k", TESTED)]:
        box.write(f"d/{name}-images-idx3-ubyte", struct.pack(">IIII", 0x803, count, 6, 5) + pixels(count, count))
        box.write(f"d/{name}-labels-idx1-ubyte", struct.pack(">II", 0x801, count) + bytes(i % 3 for i in range(count)))


def rows(box):
    return list(csv.DictReader(io.StringIO(box.text("run/metrics.csv"))))


def evaluation():
    """sluice-eval counts exactly, whatever the batches are, and its figures follow from the counts."""
    with Sandbox() as box:
        write_data(box)
        box.ok("sluice-train", "net.ini")
        opened = sum(byte > 140 for byte in pixels(TESTED, TESTED))
        for batch in (1, 5, TESTED, 64):
            report = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", PLUGIN, f"--eval.batch={batch}").out)
            layers = {layer["name"]: layer for layer in report["layers"]}
            first, second = (layers[name]["statistics"] for name in ("gate0", "gate1"))
            expect(first == {"passed": opened, "seen": TESTED * 30}, f"batch {batch}: {first}, {opened} are above the threshold")
            expect(second["seen"] == TESTED * 120 and 0 < second["passed"] < second["seen"], f"batch {batch}: {second}")
            check_report(f"batch {batch}", report, layers, first, second)
        text = box.ok("sluice-eval", "run/weights.h5", PLUGIN).out
        check_text(text, report, layers)


def check_report(name, report, layers, first, second):
    a, b = first["passed"] / first["seen"], second["passed"] / second["seen"]
    both = (first["passed"] + second["passed"]) / (first["seen"] + second["seen"])
    expect(layers["gate0"]["open_share"] == a and layers["gate1"]["open_share"] == b and report["open_share"] == both,
           f"{name}: open_share {report['open_share']}, {both} was counted")
    expect(close(report["closed_share"], 1 - both), f"{name}: closed_share {report['closed_share']}")
    expect("open_share" not in layers["conv"] and "macs_dense" not in layers["loss"], f"{name}: {layers}")
    executed = {**DENSE, "gate0": 100 + 300 * a}
    for layer, dense in DENSE.items():
        got = layers[layer]
        expect(got["macs_dense"] == dense and close(got["macs_executed"], executed[layer]) and
               close(got["flop_reduction"], dense / executed[layer]), f"{name}: {got}")
    bits = {"gate0": 32, "conv": 32, "gate1": 2 + b, "fc": 32}
    for layer, width in bits.items():
        weight = 8 if layer == "gate1" else 32
        expect(close(layers[layer]["average_bits"], width) and
               close(layers[layer]["bit_operations_executed"], executed[layer] * weight * width), f"{name}: {layers[layer]}")
    macs = sum(executed.values())
    expect(report["macs_dense"] == 2492 and close(report["macs_executed"], macs) and
           close(report["flop_reduction"], 2492 / macs), f"{name}: {report['macs_executed']} of {report['macs_dense']}")
    expect(close(report["average_bits"], sum(executed[layer] * bits[layer] for layer in bits) / macs),
           f"{name}: average_bits {report['average_bits']}")
    expect(report["bit_operations_dense"] == (400 + 1080 + 12) * 1024 + 1000 * 24, f"{name}: {report['bit_operations_dense']}")


def check_text(text, report, layers):
    """The lines that a person quotes say the same."""
    share = rf"{report['open_share']:.4g}"
    expect(re.search(rf"^open_share  {share}$", text, re.MULTILINE), f"eval: no line for open_share\n{text}")
    cost = report["macs_executed"] / 2492
    expect(re.search(rf"^cost        {100 * cost:.1f} % \({report['macs_executed']:.0f} multiply-adds for one image, dense 2492\)$", text,
                     re.MULTILINE), f"eval: no line for the cost\n{text}")
    expect(re.search(rf"^bits        {report['average_bits']:.2f} on average$", text, re.MULTILINE), f"eval: bits\n{text}")
    for name in ("gate0", "gate1"):
        layer = layers[name]
        expect(re.search(rf"^  {name} +{layer['open_share']:.4g} +{layer['macs_executed']:.0f} +{layer['macs_dense']:.0f} +"
                         rf"{100 * layer['macs_executed'] / layer['macs_dense']:.1f} % +{layer['average_bits']:.2f}$", text, re.MULTILINE),
               f"eval: no line for {name}\n{text}")


def by_layer(box, out, last, report):
    """What each gate did stands in the rows, is what an evaluation counts, and is left out for people."""
    layers = {layer["name"]: layer for layer in report["layers"]}
    gates = {gate["layer"]: gate for gate in json.loads(box.ok("sluice-inspect", box.newest(), "--gates", "--json").out)["gates"]}
    for name in ("gate0", "gate1"):
        expect(last[f"val_density/{name}"] == layers[name]["open_share"], f"density of {name}: {last}, eval {layers[name]}")
        expect(last[f"val_macs_executed/{name}"] == layers[name]["macs_executed"], f"cost of {name}: {last}, eval {layers[name]}")
        expect(close(last[f"threshold/{name}"], gates[name]["threshold"]["mean"]), f"threshold of {name}: {last}, {gates[name]}")
    expect(len([name for name in last if "/" in name]) == 6, f"columns of layers: {list(last)}")
    expect("/gate0" not in out, f"training tells people of single layers\n{out}")
    text = box.ok("sluice-inspect", box.newest(), "--history").out
    expect("/gate0" not in text and text.endswith("6 columns of single layers are not shown; --json has them\n"), f"--history\n{text}")
    header = box.ok("sluice-inspect", box.newest()).out.split("\n\n")[0]
    expect("val_accuracy = " in header and "/gate0" not in header, f"the header tells of single layers\n{header}")


def training():
    """Columns for training and validation, the progress line, the history; and a dense network has none of them."""
    names = ["open_share", "closed_share", "macs_executed", "flop_reduction", "average_bits"]
    with Sandbox() as box:
        write_data(box)
        out = box.ok("sluice-train", "net.ini", "--log.interval=1e-9", "--early_stopping.metric=val_open_share").out
        expect(re.search(r"^epoch 1/2  .* loss \d\.\d+  accuracy \d+\.\d\d %  open_share 0\.\d{4}  lr \S+  ", out, re.MULTILINE),
               f"training: no figures in the progress lines\n{out}")
        found = rows(box)
        columns = list(found[0])
        expect([name for name in columns if name in names] == names and
               [name[4:] for name in columns if name.startswith("val_") and name[4:] in names] == names, f"columns {columns}")
        lines = [json.loads(line) for line in box.text("run/metrics.jsonl").splitlines()]
        for row, line in zip(found, lines):
            for name in names + ["val_" + name for name in names]:
                expect(float(row[name]) == line[name] and float(row[name]) > 0, f"{name}: {row[name]}, {line[name]}")
            expect(close(float(row["open_share"]) + float(row["closed_share"]), 1), f"shares {row}")
        history = json.loads(box.ok("sluice-inspect", box.newest(), "--history", "--json").out)["history"]
        for name in names + ["val_" + name for name in names]:
            at = history["columns"].index(name)
            expect([row[at] for row in history["rows"]] == [line[name] for line in lines], f"history: {name}")
        report = json.loads(box.ok("sluice-eval", box.newest(), "--json", "--split=validation", PLUGIN).out)
        for name in names:
            expect(close(report[name], lines[-1]["val_" + name]), f"{name}: eval {report[name]}, training {lines[-1]}")
        by_layer(box, out, lines[-1], report)
    with Sandbox() as box:
        out = box.ok("sluice-train", "net.ini").out
        expect(not [name for name in rows(box)[0] if "/" in name], f"a dense network: {rows(box)[0]}")
        expect(not set(names) & set(rows(box)[0]) and "val_macs_executed" in rows(box)[0], f"a dense network: {rows(box)[0]}")
        expect("share" not in out, f"a dense network: {out}")
        report = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json").out)
        expect(report["flop_reduction"] == 1 and report["average_bits"] == 32, f"a dense network: {report}")


def channels():
    """Around closed channels the gate alone has a density; its neighbours have their cost, and all programs list the same layers."""
    with Sandbox() as box:
        gate = "[layer.gate]\ntype = channel_gate\nthreshold_init = 0\ninit_scale = 1\n[layer.conv2]\ntype = conv\nchannels = 5\nkernel = 1\n"
        box.write("net.ini", NET.replace("[layer.pool]", gate + "[layer.pool]"))
        box.ok("sluice-train", "net.ini")
        last = json.loads(box.text("run/metrics.jsonl").splitlines()[-1])
        expect([name for name in last if "density/" in name] == ["val_density/gate.decision"], f"densities: {list(last)}")
        shown = json.loads(box.ok("sluice-inspect", box.newest(), "--gates", "--json").out)
        report = json.loads(box.ok("sluice-eval", box.newest(), "--json", "--split=validation").out)
        layers = {layer["name"]: layer for layer in report["layers"]}
        densities = {layer["layer"]: layer["density"] for layer in shown["gates"]}
        expect(densities == {"gate.decision": report["gate_density"], "conv2": None}, f"--gates: {densities}, eval {report['gate_density']}")
        expect(shown["gate_totals"]["density"] == report["gate_density"], f"--gates: {shown['gate_totals']}")
        conv = shown["gates"][1]
        expect(conv["macs_executed"] == layers["conv2"]["macs_executed"] < conv["macs_dense"], f"--gates: {conv}, eval {layers['conv2']}")
        text = box.ok("sluice-eval", box.newest(), "--split=validation").out
        expect(re.search(r"^  gate\.decision +\d+\.\d % +- +- +-$\n^  conv2 +- +\d+ +\d+ +\d+\.\d %$", text, re.MULTILINE), f"eval: {text}")


def averages():
    """With averaged weights, rows and /history speak of the averages, thresholds and densities of single layers among them."""
    with Sandbox() as box:
        box.write("net.ini", NET.replace("type = conv\n", "type = cg_conv\npartitions = 2\n", 1))
        box.ok("sluice-train", "net.ini", "--train.epochs=3", "--optimizer.lr=0.5", "--gating_loss.penalty=0.1", "--gating_loss.target=1",
               "--ema.decay=0.8")
        line = json.loads(box.text("run/metrics.jsonl").splitlines()[-1])
        history = json.loads(box.ok("sluice-inspect", box.newest(), "--history", "--json").out)["history"]
        last = dict(zip(history["columns"], history["rows"][-1]))
        names = ["val_loss", "val_accuracy", "val_gate_density", "val_density/conv", "val_macs_executed/conv", "threshold/conv"]
        expect(all(last[name] == line[name] for name in names), f"/history {last}, metrics.jsonl {line}")
        report = json.loads(box.ok("sluice-eval", box.newest(), "--json", "--split=validation").out)
        conv = {layer["name"]: layer for layer in report["layers"]}["conv"]
        expect([conv["gate_density"], conv["macs_executed"]] == [last["val_density/conv"], last["val_macs_executed/conv"]]
               and close(report["loss"], last["val_loss"]), f"/history {last}, the average {report}")
        means = {tensor["path"]: tensor["stats"]["mean"] for tensor in
                 json.loads(box.ok("sluice-inspect", box.newest(), "--stats", "--json").out)["tensors"]}
        average, newest = means["ema/weights/conv/threshold"], means["weights/conv/threshold"]
        expect(close(last["threshold/conv"], average) and not close(average, newest), f"thresholds {last['threshold/conv']}, {average}, {newest}")


def inspection():
    """What the last evaluation counted stands in the checkpoint, and nothing is loaded to show it."""
    with Sandbox() as box:
        write_data(box)
        box.ok("sluice-train", "net.ini", "--train.epochs=1")
        shown = box.header("run/checkpoints/best.h5")
        expect("gates" not in shown, f"inspect: {shown}")
        shown = json.loads(box.ok("sluice-inspect", "run/checkpoints/best.h5", "--gates", "--json").out)
        report = json.loads(box.ok("sluice-eval", "run/checkpoints/best.h5", "--split=validation", "--json", PLUGIN).out)
        totals, gates = shown["gate_totals"], shown["gates"]
        for key in ["macs_dense", "macs_executed", "flop_reduction", "bit_operations_dense", "bit_operations_executed",
                    "average_bits"]:
            expect(close(totals[key], report[key]), f"inspect: {key} {totals[key]}, eval {report[key]}")
        expect(totals["density"] == report["open_share"] and totals["counted_in"] == "evaluation", f"inspect: {totals}")
        expect((totals["split"], totals["images"]) == ("validation", report["images"]), f"inspect: {totals}")
        expect([gate["layer"] for gate in gates] == ["gate0", "gate1"], f"inspect: {gates}")
        layers = {layer["name"]: layer for layer in report["layers"]}
        for gate in gates:
            layer = layers[gate["layer"]]
            expect(gate["density"] == layer["open_share"] and gate["evaluation"] == layer["statistics"] and
                   gate["macs_saved"] == layer["macs_dense"] - layer["macs_executed"], f"inspect: {gate}, eval {layer}")
        expect(gates[0]["threshold"]["min"] == gates[0]["threshold"]["max"] and abs(gates[0]["threshold"]["mean"] - 0.2) < 1e-7,
               f"inspect: {gates[0]['threshold']}")
        text = box.ok("sluice-inspect", "run/checkpoints/best.h5", "--gates").out
        cost, bits = 100 / totals["flop_reduction"], 100 * totals["bit_operations_executed"] / totals["bit_operations_dense"]
        expect(re.search(r"^gate0 +0\.2 +0\.2 to 0\.2 +\d+\.\d % +\d+\.\d % +\d+ +400 +32\.00 +\d+\.\d %$", text, re.MULTILINE) and
               re.fullmatch(rf"whole network .* {cost:.1f} % .* {bits:.1f} %", text.splitlines()[-2]) and
               text.splitlines()[-1] == "for one image, counted in the last evaluation, on 8 validation images",
               f"inspect: {text}")
        text = box.ok("sluice-inspect", "run/weights.h5", "--gates").out
        expect("counted in the last evaluation" in text, f"inspect: weights\n{text}")
        text = box.ok("sluice-inspect", "run/checkpoints/best.h5", "--gates", "--filter=*1").out
        expect("gate1 " in text and "gate0 " not in text and "whole network" in text, f"inspect: --filter\n{text}")
        box.ok("sluice-inspect", "run/checkpoints/best.h5", "--verify")


if __name__ == "__main__":
    for part in [evaluation, training, channels, averages, inspection]:
        part()
    sys.exit(1 if failures else 0)
