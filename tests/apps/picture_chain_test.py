"""What somebody does with a folder of pictures: 600 of them in 3 classes are packed, a network learns them from scratch, another one
begins with imported weights and a last layer of its own, is gated and deployed in int8, and answers for the folder by names of files."""
import csv
import io
import json
import os
import re
import subprocess
import sys

from harness import TOOLS, Sandbox

CLASSES = ["dusk", "noon", "snow"]
EACH = {"train": 150, "val": 50}
NETWORK = """\
[define]
inner_conv = conv
classes = 3
[network]
input = 3x16x16
[layer.conv1]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.bn1]
type = batchnorm
[layer.relu1]
type = relu
[layer.conv2]
type = ${inner_conv}
channels = 32
kernel = 3
stride = 2
pad = 1
[layer.bn2]
type = batchnorm
[layer.relu2]
type = relu
[layer.conv3]
type = ${inner_conv}
channels = 32
kernel = 3
pad = 1
[layer.bn3]
type = batchnorm
[layer.relu3]
type = relu
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = ${classes}
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[train]
batch = 16
epochs = 3
[optimizer]
lr = 0.05
[run]
threads = 1
"""
# Of another task, with ten classes.
DONOR = "include = network.ini\n[data]\nkind = synthetic\nsynthetic_image = 3x16x16\nsynthetic_size = 320\nvalidation = 64\n"
# sluice-pack prints the lines of [data].
PICTURES = """\
transforms = random_resized_crop(16, 0.5), flip
eval_transforms = resize(18), center_crop(16)
"""
OTHER_END = """\
include = scratch.ini
[layer.fc]
remove = yes
[layer.head]
type = linear
features = 3
after = fc
[train]
init_partial = yes
"""
GATED = """\
include = tuned.ini
[define]
inner_conv = cg_conv
[type.cg_conv]
partitions = 4
threshold_init = -1
[gating_loss]
penalty = 0.01
target = 1
"""
FOLDER = ["--data.kind=folder", "--data.dir=set"]
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def write_pictures(box):
    """Noise around three levels, in three forms and many sizes."""
    arguments = []
    for split, each in EACH.items():
        for label, name in enumerate(CLASSES):
            os.makedirs(box.at(f"set/{split}/{name}"))
            for i in range(each):
                ending = ("png", "jpg", "webp")[i % 3]
                arguments += [box.at(f"set/{split}/{name}/{i}.{ending}"), str(18 + i % 13), str(33 - i % 11), str(45 * label + i % 9)]
    for first in range(0, len(arguments), 400):
        subprocess.run([os.path.join(TOOLS, "write_pictures"), *arguments[first:first + 400]], check=True)


def names_of(split):
    return sorted(f"{name}/{i}.{('png', 'jpg', 'webp')[i % 3]}" for name in CLASSES for i in range(EACH[split]))


def evaluation(box, weights, *options):
    return json.loads(box.ok("sluice-eval", weights, "--json", *options).out)


def packs(box):
    write_pictures(box)
    result = box.ok("sluice-pack", "set", "-o", "set.h5")
    expect(result.out.startswith("wrote set.h5: 450 training and 150 test pictures of 3 classes; 0 could not be read\n"), result.out)
    return result.out.split("\n", 1)[1]


def learns_from_scratch(box):
    box.ok("sluice-train", "scratch.ini", "--run.dir=scratch")
    report = evaluation(box, "scratch/weights.h5")
    expect(report["images"] == 150 and report["accuracy"] > 0.9, f"from scratch: {report['accuracy']} of {report['images']}")


def imports(box):
    """A state_dict is flat data sets, which sluice-export writes as PyTorch's users do."""
    box.ok("sluice-train", "donor.ini", "--run.dir=donor", "--define.classes=10", "--train.epochs=1")
    box.ok("sluice-export", "donor/weights.h5", "-o", "state.h5")
    box.ok("sluice-import", "state.h5", "donor.ini", "-o", "imported.h5", "--define.classes=10", "--data.mean=0.5", "--data.std=0.25")


def fine_tunes(box):
    refused = box.run("sluice-train", "tuned.ini", "--run.dir=refused", "--train.init=imported.h5", "--train.init_partial=no")
    expect(refused.code == 5 and "train.init_partial = yes takes what both have" in refused.err, refused.err)
    result = box.ok("sluice-train", "tuned.ini", "--run.dir=tuned", "--train.init=imported.h5")
    for line in ("starts from the weights of imported.h5", "  without weights/head/weight, weights/head/bias, which start anew",
                 "  leaves out weights/fc/weight, weights/fc/bias"):
        expect(line in result.out.splitlines(), f"fine-tuning does not say '{line}': {result.out}")
    report = evaluation(box, "tuned/weights.h5")
    expect(report["accuracy"] > 0.9, f"fine-tuned: {report['accuracy']}")


def gates(box):
    box.ok("sluice-train", "gated.ini", "--run.dir=gated", "--train.init=tuned/weights.h5")
    report = evaluation(box, "gated/weights.h5")
    expect(report["accuracy"] > 0.85 and 0 < report["gate_density"] < 1, f"gated: {report['accuracy']}, {report['gate_density']}")
    expect(report["macs_executed"] < report["macs_dense"], f"gated: {report['macs_executed']} of {report['macs_dense']}")


def deploys(box):
    deployed = json.loads(box.ok("sluice-deploy", "gated/weights.h5", "-o", "small.h5", "--precision=int8", "--json").out)
    expect(deployed["images"] == 150 and deployed["accuracy_after"] > deployed["accuracy_before"] - 0.05, f"deployed: {deployed}")
    return deployed["accuracy_after"]


def answers_for_the_folder(box, accuracy):
    """The packed set and the folder have the same answers, by the files' names; so has each picture alone."""
    answers = {}
    for kind, options in (("packed", []), ("folder", FOLDER)):
        report = evaluation(box, "small.h5", f"--predictions={kind}.csv", *options)
        rows = list(csv.DictReader(io.StringIO(box.text(kind + ".csv"))))
        expect(report["images"] == 150 and abs(report["accuracy"] - accuracy) < 1e-9, f"{kind}: {report['accuracy']}, deployed {accuracy}")
        expect(sorted(row["file"] for row in rows) == names_of("val"), f"{kind}: files {rows[:2]}")
        right = sum(row["label"] == row["prediction"] for row in rows)
        expect(right == report["correct"], f"{kind}: {right} right in the table, {report['correct']} in the report")
        expect(all(CLASSES[int(row["label"])] == row["file"].split("/")[0] for row in rows), f"{kind}: labels")
        answers[kind] = {row["file"]: row["prediction"] for row in rows}
    expect(answers["packed"] == answers["folder"], "the folder is answered otherwise than the packed set")
    table = csv.DictReader(io.StringIO(box.ok("sluice-predict", "small.h5", "set/val", "--csv", "--top=1").out))
    alone = {row["file"][len("set/val/"):]: str(CLASSES.index(row["name"])) for row in table}
    differing = {name for name in alone if alone[name] != answers["folder"].get(name)}
    expect(sorted(alone) == names_of("val") and not differing, f"pictures alone: {len(alone)}, {sorted(differing)[:5]}")


def main():
    with Sandbox() as box:
        data = packs(box)
        expect(re.match(r"\[data\]\nkind = hdf5\n", data), data)
        box.write("network.ini", NETWORK)
        box.write("donor.ini", DONOR)
        box.write("scratch.ini", "include = network.ini\n" + data + PICTURES)
        box.write("tuned.ini", OTHER_END)
        box.write("gated.ini", GATED)
        learns_from_scratch(box)
        imports(box)
        fine_tunes(box)
        gates(box)
        answers_for_the_folder(box, deploys(box))


if __name__ == "__main__":
    if not os.path.exists(os.path.join(TOOLS, "write_pictures")):
        print("skipped: this build reads no pictures")
        sys.exit(77)
    main()
    sys.exit(1 if failures else 0)
