"""What scripts and readers rely on: help, versions, the layer table, configurations that load back, JSON keys, predictions,
early stopping, divergence."""
import csv
import json
import math
import os
import re
import sys

from harness import BIN, NET, SOURCE, Sandbox

PROGRAMS = sorted(name for name in os.listdir(BIN) if name.startswith("sluice-") and name != "sluice-get-data")  # a script
CONFIGURED = ["sluice-bench", "sluice-deploy", "sluice-eval", "sluice-import", "sluice-predict", "sluice-report", "sluice-train"]
ONLY_USE = {"sluice-deploy", "sluice-eval", "sluice-export", "sluice-predict", "sluice-report"}  # and do not train
FOREIGN = {f"[{name}]" for name in ("train", "optimizer", "group.NAME", "schedule", "ema", "distillation", "early_stopping", "checkpoint",
                                    "log", "gating_loss", "distributed")}
RESNET = os.path.join(SOURCE, "configs/networks/resnet20.ini")
ENTRIES = re.compile(r"^(?:\[(?P<section>[^\]]+)\].*|(?P<key>[\w-]+) = (?P<value>.*?)(?: +#.*)?)$", re.MULTILINE)

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def values(text):
    """(section, key) -> value of a resolved configuration."""
    found, section = {}, ""
    for match in ENTRIES.finditer(text):
        section = match["section"] or section
        if match["key"]:
            found[section, match["key"]] = match["value"]
    return found


def documented(text):
    """Heading -> keys in a help text."""
    found, heading = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            heading = line.split(":")[0] if " type = " in line else line.split("]")[0] + "]"
            found.setdefault(heading, set())
        elif re.match(r"  [a-z]\w*(  |$)", line):
            found.setdefault(heading, set()).add(line.split()[0])
    return found


def help_and_versions():
    with Sandbox() as box:
        for program in PROGRAMS:
            text = box.ok(program, "--help").out
            expect(text.startswith(f"Usage: {program} ") and "\nExit codes: 0 " in text, f"{program} --help: {text[:200]}")
            expect(box.ok(program, "-h").out == text, f"{program} -h differs from --help")
            lines = box.ok(program, "--version").out.splitlines()
            expect(re.fullmatch(rf"{program} \d+\.\d+\.\d+", lines[0]), f"{program} --version: {lines[0]}")
            names = [line.split()[0] for line in lines[1:]]
            expect({"compiler", "oneDNN", "HDF5", "processor"} <= set(names), f"{program} --version: {names}")
        expect(re.fullmatch(r"sluice-get-data \d+\.\d+\.\d+\n", box.ok("sluice-get-data", "--version").out), "sluice-get-data --version")


def help_is_one_screen():
    """... at every width, with each section behind it, and no word cut."""
    with Sandbox() as box:
        for program in PROGRAMS:
            whole = box.ok(program, "--help").out.split()
            for columns in (60, 80, 200):
                text = box.ok(program, "--help", env={"COLUMNS": str(columns)}).out
                lines = text.splitlines()
                expect(max(map(len, lines)) <= min(columns, 100), f"{program} --help at {columns} columns: {max(lines, key=len)!r}")
                expect(columns == 60 or len(lines) <= 46, f"{program} --help at {columns} columns has {len(lines)} lines")
                expect(text.split() == whole, f"{program} --help at {columns} columns says something else")
            expect(("--help SECTION" in " ".join(whole)) == (program in CONFIGURED or program == "sluice-export"), f"{program} --help: sections")
        usual = " ".join(box.ok("sluice-train", "--help").out.split())
        expect("--train.max_time stop with a checkpoint before this much time is used up" in usual and "a bare number is seconds" in usual,
               f"--help does not show the keys that most runs set: {usual}")
        data = box.ok("sluice-train", "--help", "data").out
        expect(data.startswith("[data]\n") and "\n[" not in data and "eval_transforms" in data, f"--help data: {data[:200]}")
        layer = box.ok("sluice-train", "--help", "layer").out
        expect(layer.startswith("[layer.NAME] layers in their order") and " cg_conv, " in layer.split("\nTypes: ")[1], f"--help layer: {layer}")
        expect(box.ok("sluice-train", "-h", "cg_conv").out.startswith("[layer.NAME] type = cg_conv: "), "-h cg_conv")
        expect("gate_density" in box.ok("sluice-eval", "--help", "metrics").out, "--help metrics")
        everything = box.ok("sluice-train", "--help", "all").out
        expect(data in everything and len(everything.splitlines()) > 200, "--help all")
        expect(box.ok("sluice-train", "net.ini", "--help").out == box.ok("sluice-train", "--help").out, "a file beside --help")
        for arguments, text in [
                (("sluice-train", "--help", "dta"), "sluice-train: command line: --help: no section or layer type 'dta'; did you mean 'data'?"),
                (("sluice-eval", "--help", "optimizer"), "sluice-eval: command line: --help: no section or layer type 'optimizer'; there are: ")]:
            result = box.run(*arguments)
            expect(result.code == 2 and result.err.startswith(text), f"{arguments}: {result}")


def words_of_others_are_understood():
    with Sandbox() as box:
        for word, meant in [("--lr=0.1", "--optimizer.lr=0.1"), ("--epochs=5", "--train.epochs=5"), ("--wd=1e-4", "--optimizer.weight_decay=1e-4"),
                            ("--learning-rate=1", "--optimizer.lr=1"),
                            ("--batch-size=64", "--train.batch=64 or --distributed.batch=64 or --eval.batch=64"), ("--num-workers=2", "--data.workers=2")]:
            result = box.run("sluice-train", "net.ini", word)
            expect(result.code == 2 and result.err == f"sluice-train: command line: unknown option '{word.split('=')[0]}'; did you mean {meant}?\n",
                   f"{word}: {result.err}")


def every_key_is_documented():
    with Sandbox() as box:
        box.write("many.ini", "include = net.ini\n[optimizer]\ntype = adamw\n[group.bias]\nlr_scale = 2\n[plugins]\nload =\n"
                              "[schedule]\ntype = one_cycle\n")
        # Some keys appear only with the choice that uses them.
        resolved = [box.ok("sluice-train", *arguments, "--print-config").out for arguments in
                    [("many.ini",), ("net.ini", "--schedule.type=step"), (RESNET,),
                     ("net.ini", "--schedule.type=multistep", "--schedule.milestones=1"),
                     ("net.ini", "--schedule.type=polynomial", "--schedule.warmup_epochs=1")]]
        for program in CONFIGURED:
            known = documented(box.ok(program, "--help", "all").out)
            foreign = FOREIGN if program in ONLY_USE else set()
            expect(not foreign & set(known), f"{program} --help all: has sections of training")
            for text in resolved:
                every = values(text)
                for section, key in every:
                    heading = f"[{section}]"
                    if heading in foreign or section.startswith("group.") and foreign:
                        continue
                    keys = known.get(heading, set())
                    if section.startswith("layer."):
                        heading = f"[layer.NAME] type = {every[section, 'type']}"
                        keys = known.get(heading, set()) | known["[layer.NAME]"]
                    elif section.startswith("group."):
                        keys = known["[group.NAME]"]
                    expect(key in keys, f"{program} --help: no key {key} under {heading}")
        known = documented(box.ok("sluice-train", "--help", "all").out)
        # And what is documented is read: as a wrong value, not as an unknown key.
        sections = {"[group.NAME]": "group.bias"}
        overrides = []
        for heading, keys in known.items():
            if heading in ("[layer.NAME]", "[block.NAME]", "[define]", "[type.TYPE]", "") or " type = " in heading:
                continue
            overrides += [f"--{sections.get(heading, heading[1:-1])}.{key}=\x7f" for key in keys]
        expect(len(overrides) > 70, f"only {len(overrides)} keys are documented")
        result = box.run("sluice-train", "net.ini", *overrides)
        unknown = [line for line in result.err.splitlines() if "unknown" in line]
        expect(result.code == 2 and not unknown, f"documented, but {unknown}")


def layer_table():
    with Sandbox() as box:
        text = box.ok("sluice-train", RESNET, "--dry-run", "--data.kind=synthetic", "--train.batch=2",
                      "--data.synthetic_size=20").out
        expect("269,722 parameters" in text, f"--dry-run: parameters\n{text[-400:]}")
        expect("a training step of 2 images in fp32: " in text, f"--dry-run: precision\n{text[-400:]}")
        expect("40.55 M dense multiply-adds" in text, f"--dry-run: MACs\n{text[-400:]}")
        expect(re.search(r"^layer3\.2\.conv2 +conv +64x8x8 +64x8x8 +36,864 +2\.36 M ", text, re.MULTILINE),
               f"--dry-run: the row of layer3.2.conv2\n{text}")
        for overrides, warning in [
                (["--data.kind=idx", "--data.dir=d"], "command line: [data] dir: d: expected the folder of the IDX files, got nothing; "
                                                         "set [data] dir"),
                (["--network.input=2x7x7"], "synthetic: images are 2x6x5, the network takes 2x7x7; set "
                                            "data.synthetic_image = 2x7x7 or data.pad_to = 7 or network.input = 2x6x5"),
                (["--train.batch=49"], "synthetic: 48 images do not fill a batch of 49; use a smaller batch")]:
            result = box.ok("sluice-train", "net.ini", "--dry-run", *overrides)
            expect(result.err == f"warning: training cannot start: {warning}\n" and "total: 6 layers" in result.out,
                   f"--dry-run {overrides}: {result.err}")
        expect(box.ok("sluice-train", "net.ini", "--dry-run").err == "", "--dry-run warns of nothing")
        expect(sorted(box.tree()) == ["net.ini"], f"--dry-run leaves {sorted(box.tree())}")


# A gated convolution's result in some places: the layers behind it, and whether --dry-run warns.
BEHIND_A_GATE = [
    ("[layer.r]\ntype = relu\n", False),
    ("[layer.b]\ntype = batchnorm\n[layer.r]\ntype = pact_relu\n", False),
    ("[layer.b]\ntype = batchnorm\n[layer.a]\ntype = add\nfrom = b, stem\n[layer.r]\ntype = relu\n", False),
    ("[layer.b]\ntype = batchnorm\n", True),
    ("[layer.p]\ntype = max_pool\nkernel = 2\n[layer.r]\ntype = relu\n", True),
    ("[layer.b]\ntype = batchnorm\n[layer.a]\ntype = add\nfrom = b, stem\n", True),
    ("[layer.c]\ntype = conv\nchannels = 4\nkernel = 1\n[layer.r]\ntype = relu\n", True),
    # One of two users is not an activation.
    ("[layer.r]\ntype = relu\n[layer.a]\ntype = add\nfrom = r, gated\n", True)]


def activations_behind_gates():
    with Sandbox() as box:
        for behind, warns in BEHIND_A_GATE:
            for gated in ["cg_conv", "conv"]:
                box.write("gated.ini", "[network]\ninput = 3x8x8\n[layer.stem]\ntype = conv\nchannels = 4\nkernel = 1\n"
                                       f"[layer.gated]\ntype = {gated}\nchannels = 4\nkernel = 3\npad = 1\n{behind}"
                                       "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 3\n"
                                       "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n[data]\n"
                                       "kind = synthetic\nsynthetic_image = 3x8x8\nsynthetic_size = 200\nclasses = 3\n"
                                       "[run]\nthreads = 1\n")
                warnings = box.ok("sluice-train", "gated.ini", "--dry-run", "--data.validation=8").err
                expected = ("warning: layer gated (cg_conv) has no activation behind it: what it leaves out shows in the result as "
                            "it is; add a relu or pact_relu, after a batchnorm if you like\n")
                expect(warnings == (expected if warns and gated == "cg_conv" else ""),
                       f"--dry-run of {gated} and behind it {behind!r} warns: {warnings!r}")


def unread_layers():
    """A layer that no other names is told by --dry-run; losses and the answer are read by nobody either."""
    with Sandbox() as box:
        before, after = NET.split("[layer.pool]\n")
        before += "[layer.left]\ntype = relu\nfrom = bn\n[layer.right]\ntype = sigmoid\nfrom = bn\n[layer.sum]\ntype = add\n"
        unread = ("warning: layer right (sigmoid) is read by no layer: it costs time and changes nothing; name it in a from, "
                  "or remove it\n")
        for sources, expected in [("left, right", ""), ("left, left", unread)]:
            box.write("net.ini", f"{before}from = {sources}\n[layer.pool]\n{after}".replace("[layer.relu]\ntype = relu\n", ""))
            warnings = box.ok("sluice-train", "net.ini", "--dry-run").err
            expect(warnings == expected, f"--dry-run of a sum of {sources}: {warnings!r}")
        box.write("net.ini", NET[:NET.index("[layer.loss]")] + NET[NET.index("[data]"):])  # its answer is fc
        warnings = box.run("sluice-train", "net.ini", "--dry-run").err
        expect("read by no layer" not in warnings, f"--dry-run without a loss: {warnings!r}")


def slow_kernels():
    """A training warns of reference kernels as --dry-run does, on the screen and in its log."""
    with Sandbox() as box:
        box.write("net.ini", NET.replace("channels = 4", "channels = 32\nstride = 2").replace("2x6x5", "32x6x5"))
        train = ["sluice-train", "net.ini", "--train.epochs=1"]
        if "avx512" in box.ok("sluice-train", "--version").out:  # others refuse it
            train.append("--run.layout=blocked")
        dry = box.ok(*train, "--dry-run")
        slow = [line for line in dry.err.splitlines(True) if "fell to a reference kernel" in line]
        expect(bool(slow) == bool(re.search("[ :]ref", dry.out)), f"--dry-run warns of {slow}\n{dry.out}")
        told = box.ok(*train).err
        expect(told == "".join(slow), f"a training warns of {told!r}, --dry-run of {slow}")
        expect(all(line in box.text("run/log.txt") for line in slow), "warnings of slow kernels are not in log.txt")


PIECES = """\
include = ${env:SLUICE_TEST_REST}
[define]
width = 5
act = relu
[network]
input = 2x6x5
[layer.conv]
type = conv
channels = ${width}
kernel = 3
[layer.body]
block = two
repeat = 2
width = 4
[block.two]
parameters = width, first=3
first_only = first
[block.two.conv]
type = conv
channels = ${width}
kernel = ${first}
pad = 1
[block.two.act]
type = ${act}
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 3
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[type.conv]
bias = yes
[data]
augment = yes
class_names = "a # b", "${env:SLUICE_TEST_NAME:-c;d}", "$${act}"
"""


def configurations_load_back():
    """The printed and the saved configuration describe the same run: same weights, same metrics, same configuration."""
    with Sandbox() as box:
        box.write("pieces.ini", PIECES)
        box.write("rest.ini", NET[NET.index("[data]"):])
        arguments = ["pieces.ini", "--optimizer.nesterov=yes", "--run.seed=7"]
        env = {"SLUICE_TEST_REST": "rest.ini"}
        printed = box.ok("sluice-train", *arguments, "--print-config", env=env).out
        box.ok("sluice-train", *arguments, env=env)
        saved = box.text("run/config.ini")
        expect("# The accuracies of this run are shares from 0 to 1.\n" + printed == saved,
               "--print-config differs from the saved config.ini")
        expect("# command line" in printed and "# pieces.ini:9" in printed and "# default" in printed,
               f"origins are missing:\n{printed[:500]}")
        for what, text in [("printed", printed), ("saved", saved),
                           ("checkpoint's", box.ok("sluice-inspect", box.newest(), "--config").out)]:
            with Sandbox() as again:
                again.write("resolved.ini", text)
                expect(values(again.ok("sluice-train", "resolved.ini", "--print-config").out) == values(printed),
                       f"the {what} configuration reads back differently")
                again.ok("sluice-train", "resolved.ini")
                for file in [box.newest(), "run/checkpoints/best.h5", "run/weights.h5"]:
                    diff = json.loads(again.run("sluice-inspect", file, "--diff=" + box.at(file), "--json").out)
                    expect(diff["differing"] == 0 and not diff["only_in_a"] and not diff["only_in_b"] and
                           diff["tensors"] and all("config" in other for other in diff["other"]),
                           f"the {what} configuration makes another run: {file}: {diff}")


def evaluation():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--train.epochs=3")
        report = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", "--predictions=p.csv").out)
        for key in ["images", "accuracy", "loss", "macs_dense", "macs_executed", "images_per_second"]:
            expect(isinstance(report.get(key), (int, float)), f"eval --json: {key} is {report.get(key)}")
        expect(report["images"] == 20 and report["macs_dense"] == 2172, f"eval --json: {report}")
        rows = list(csv.DictReader(box.text("p.csv").splitlines()))
        expect([int(row["index"]) for row in rows] == list(range(20)), "predictions: every image once, in order")
        loss = 0.0
        confusion = [[0] * 3 for _ in range(3)]
        for row in rows:
            logits = [float(row[f"logit_{c}"]) for c in range(3)]
            expect(logits.index(max(logits)) == int(row["prediction"]), f"predictions: {row}")
            loss += (math.log(sum(map(math.exp, logits))) - logits[int(row["label"])]) / 20
            confusion[int(row["label"])][int(row["prediction"])] += 1
        correct = sum(confusion[c][c] for c in range(3))
        expect(report["accuracy"] == correct / 20, f"predictions: {correct} of 20, eval says {report['accuracy']}")
        expect(abs(report["loss"] - loss) < 1e-5, f"predictions: loss {loss}, eval says {report['loss']}")
        expect(report["confusion"] == confusion, f"predictions: {confusion}, eval says {report['confusion']}")
        per_class = [entry["correct"] for entry in report["classes"]]
        expect(per_class == [confusion[c][c] for c in range(3)], f"predictions: {confusion}, classes {report['classes']}")
        history = json.loads(box.ok("sluice-inspect", "run/checkpoints/best.h5", "--history", "--json").out)["history"]
        said = dict(zip(history["columns"], history["rows"][-1]))["val_accuracy"]
        again = json.loads(box.ok("sluice-eval", "run/checkpoints/best.h5", "--json", "--split=validation").out)
        expect(said == again["accuracy"] and again["images"] == 8,
               f"the metrics say {said} for the best epoch, eval says {again['accuracy']}")
        batches = [json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", f"--eval.batch={batch}").out)
                   for batch in (1, 7, 64)]
        expect(all(each["correct"] == correct for each in batches), "accuracy depends on eval.batch")


def benchmark():
    with Sandbox() as box:
        for source in ["net.ini", "run/weights.h5"]:
            report = json.loads(box.ok("sluice-bench", source, "--json", "--steps=2", "--train.batch=4", "--run.threads=1").out)
            for phase in ["train", "infer"]:
                expect(report.get(phase + "_images_per_second", 0) > 0, f"bench {source}: {report}")
                layers = report[phase + "_layers"]
                expect([layer["name"] for layer in layers if layer["type"] == "conv"] == ["conv"] and
                       all(layer["forward_ms"] >= 0 for layer in layers), f"bench {source}: {layers}")
            expect(report["threads"] == 1 and report["train_batch"] == 4, f"bench {source}: {report}")
            if source == "net.ini":
                expect(sorted(box.tree()) == ["net.ini"], f"bench leaves {sorted(box.tree())}")
                box.ok("sluice-train", "net.ini")


def divergence():
    """Exit code 4 names the layer and leaves what was saved as it was."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        files = {path: digest for path, digest in box.tree().items() if path.startswith("run/checkpoints/")}
        weights = box.read("run/weights.h5")
        result = box.run("sluice-train", "net.ini", "--resume", "--train.epochs=9", "--optimizer.lr=1e30",
                         "--accept-changes")
        message = (r"sluice-train: training diverged at epoch 3, step \d+: (loss|gradient norm) is -?(nan|inf); (layer (conv|bn|"
                   r"relu|pool|fc|loss) is the first whose result is not finite|(parameter|the gradient of) (conv|bn|fc)\.\w+ "
                   r"(is|are) not finite|parameter (conv|bn|fc)\.\w+ is not finite); lower optimizer\.lr, or add "
                   r"schedule\.warmup_epochs or optimizer\.clip_norm; earlier checkpoints are untouched\n")
        last = result.err.splitlines(True)[-1]
        expect(result.code == 4 and re.fullmatch(message, last), f"divergence: exit code {result.code}, {result.err}")
        expect({path: digest for path, digest in box.tree().items() if path.startswith("run/checkpoints/")} == files and
               box.read("run/weights.h5") == weights, "divergence: a checkpoint changed")
        box.ok("sluice-train", "net.ini", "--resume", "--train.epochs=3")
    with Sandbox() as box:  # batches normalise what the running variance can no longer hold
        result = box.run("sluice-train", f"{SOURCE}/configs/experiments/cifar10_resnet20_cg.ini", "--define.blocks=1", "--define.width=8",
                         "--data.kind=synthetic", "--data.synthetic_size=800", "--data.synthetic_test_size=300", "--data.validation=200",
                         "--data.mean=0.5,0.5,0.5", "--data.std=0.25,0.25,0.25", "--optimizer.lr=1e6", "--train.epochs=1",
                         "--run.threads=1", "--run.dir=run")
        message = r"sluice-train: training diverged at epoch 1, step \d: (the loss of the evaluation|loss|gradient norm) is -?(nan|inf); .*"
        expect(result.code == 4 and re.fullmatch(message, result.err.splitlines()[-1]), f"evaluation: {result.code}, {result.err}")
        expect(not os.path.exists(box.at("run/weights.h5")), "weights of a network that answers nothing")


def early_stopping():
    with Sandbox() as box:
        command = ["sluice-train", "net.ini", "--train.epochs=50", "--early_stopping.patience=2",
                   "--early_stopping.min_delta=1"]
        result = box.ok(*command)
        out = result.out
        expect(result.err.splitlines().count(
            "warning: [early_stopping] min_delta: accuracies are shares from 0 to 1, so that only an improvement by more than "
            "100 % of the images counts; for 1 % write 0.01") == 1, f"early stopping: {result.err}")
        match = re.search(r"^stopped early: val_accuracy has not improved on [\d.]+ % \(epoch (\d+)\) by more than 100 % for 2 "
                          r"epochs$", out, re.MULTILINE)
        expect(match, f"early stopping: {out}")
        epochs = len(box.text("run/metrics.csv").splitlines()) - 1
        expect(match and epochs == int(match[1]) + 2, f"early stopping: {epochs} epochs")
        expect("stopped early" in box.text("run/log.txt"), "early stopping: not in log.txt")
        out = box.ok(*command, "--resume").out
        expect("stopped early: " in out and len(box.text("run/metrics.csv").splitlines()) - 1 == epochs,
               f"early stopping: goes on when resumed: {out}")


if __name__ == "__main__":
    for part in [help_and_versions, help_is_one_screen, words_of_others_are_understood, every_key_is_documented, layer_table,
                 activations_behind_gates, unread_layers, slow_kernels, configurations_load_back, evaluation, benchmark, divergence,
                 early_stopping]:
        part()
    sys.exit(1 if failures else 0)
