"""What a checkpoint knows of its data, held against the data at hand: other sets on resume, classes in another order, images
held out that were trained on, normalisation given by half. Exact messages and exit codes."""
import json
import os
import re
import struct

from harness import Case, Sandbox, run_table

HDF5 = "[data]\nkind = hdf5\ndir = d\nmean = measure\nstd = measure\n[network]\ninput = 1x6x5\n"
LAST = "run/checkpoints/checkpoint-0000000008.h5"
TRAIN, TEST = "d/train.h5: /images", "d/test.h5: /images"
GO_ON = f"of {LAST}; put that back, start a new run, or go on with this one by --accept-changes"
RESUMED = ("run/*",)

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def forge(box, name, images=40, **options):
    os.makedirs(box.at("d"), exist_ok=True)
    words = [f"{key}={value}" for key, value in options.items()]
    box.forge("dataset", f"d/{name}.h5", f"images={images}x6x5x1", f"labels={images}", *words)


def trained(*arguments, train=None, test=None, after=None):
    """Trains in `run` on 32 of 40 images, then makes the sets anew as `after` says: name -> options."""
    def make(box):
        forge(box, "train", **(train or {}))
        forge(box, "test", images=20, **(test or {}))
        box.ok("sluice-train", "bad.ini", *arguments)
        for name, options in (after or {}).items():
            forge(box, name, **({"images": 20} if name == "test" else {}) | options)
    return make


def resume(name, code, text, more="", warns="", arguments=(), **sets):
    """A run of two epochs, of which nothing is left: its data are looked at all the same."""
    command = " ".join(["sluice-train bad.ini --resume", *arguments, more])
    return Case(name, command, code, text, ini=HDF5, make=trained(*arguments, **sets), warns=warns, changes=RESUMED)


def use(name, command, code, text, warns="", arguments=(), changes=(), **sets):
    return Case(name, command, code, text, ini=HDF5, make=trained(*arguments, **sets), warns=warns, changes=changes)


APPENDED = {"train": {"images": 80}}
NO_VALIDATION = ("--data.validation=0",)
LAST_OF_ALL = LAST.replace("08.h5", "10.h5")
TEST_WARNING = ("warning: no images are held out for validation: the best checkpoint is chosen on the test set; set "
                "data.validation\n")
RESUME_CASES = [
    resume("the same data", 0, ""),
    resume("the same data elsewhere", 0, "", more="--data.dir=./d"),
    resume("more images", 3, f"{TRAIN}: has 40 more images behind its first 40: it is not the training set {GO_ON}",
           after=APPENDED),
    resume("more images, accepted", 0, "", more="--accept-changes", after=APPENDED,
           warns=f"warning: {TRAIN}: has 40 more images behind its first 40: the new ones are trained on from now on, those "
                 "held out stay the same\n"),
    resume("fewer images", 3,
           f"net.ini:25: [data] validation: the images held out of {TRAIN} are drawn from its first 40, expected at least as many images, "
           "got 30, of which others would be held out; put the old set back, or set validation_from",
           after={"train": {"images": 30}}),
    resume("fewer images, none held out", 3,
           f"{TRAIN}: has 30 images, not 40: it is not the training set {GO_ON}".replace(LAST, LAST_OF_ALL),
           arguments=NO_VALIDATION, after={"train": {"images": 30}}),
    resume("other images", 3,
           f"{TRAIN}: has other images, as many as before (40): the images held out of it may be ones that {LAST} was "
           "trained on; put the old set back, or start a new run from its weights (train.init) with another test set and "
           "validation = 0", after={"train": {"seed": 1}}),
    resume("other images, accepted in vain", 3,
           f"{TRAIN}: has other images, as many as before (40): the images held out of it may be ones that {LAST} was "
           "trained on; put the old set back, or start a new run from its weights (train.init) with another test set and "
           "validation = 0", more="--accept-changes", after={"train": {"seed": 1}}),
    resume("other images, none held out, accepted", 0, "", more="--accept-changes", arguments=NO_VALIDATION,
           after={"train": {"seed": 1}},
           warns=f"warning: {TRAIN}: has other images, as many as before (40): training goes on with it from here\n"
                 + TEST_WARNING),
    resume("other labels", 3,
           f"{TRAIN}: has the same 40 images with other labels: it is not the training set {GO_ON}",
           after={"train": {"from": 1}}, train={"top": 2}),
    resume("other images to test on", 3,
           f"{TEST}: has other images, as many as before (20): it is not the test set {GO_ON}".replace(LAST, LAST_OF_ALL),
           arguments=NO_VALIDATION, after={"test": {"seed": 1}}),
    resume("classes in another order", 3,
           f"{TRAIN}: its classes are cat, bee, ant, those of {LAST} ant, bee, cat: label 0 means 'cat', not 'ant'; write its "
           "labels in that order, or its class_names if only they are wrong", more="--accept-changes",
           train={"names": "ant,bee,cat"}, after={"train": {"names": "cat,bee,ant"}}),
]

OTHER_ORDER = dict(train={"names": "ant,bee,cat"}, test={"names": "cat,ant,bee"})
ORDER_TEXT = (f"{TEST}: its classes are cat, ant, bee, those of run/weights.h5 ant, bee, cat: label 0 means 'cat', not 'ant'; "
              "write its labels in that order, or its class_names if only they are wrong")
USE_CASES = [
    use("eval: classes in another order", "sluice-eval run/weights.h5", 3, ORDER_TEXT, **OTHER_ORDER),
    use("bench: classes in another order", "sluice-bench run/weights.h5 --images=test --eval.batch=4", 3, ORDER_TEXT,
        **OTHER_ORDER),
    use("deploy: classes in another order", "sluice-deploy run/weights.h5 -o deployed.h5", 3, ORDER_TEXT, **OTHER_ORDER),
    Case("train: classes in another order", "sluice-train bad.ini --data.validation=0", 3,
         f"{TEST}: its classes are cat, ant, bee, those of {TRAIN} ant, bee, cat: label 0 means 'cat', not 'ant'; write its "
         "labels in that order, or its class_names if only they are wrong", ini=HDF5,
         make=lambda box: [forge(box, "train", names="ant,bee,cat"), forge(box, "test", names="cat,ant,bee")]),
    Case("train: class_names in another order than the file's", "sluice-train bad.ini --data.class_names=bee,ant,cat", 3,
         "command line: [data] class_names: d/train.h5: /labels has them in another order, ant, bee, cat, got bee, ant, cat; its labels count "
         "in its own order", ini=HDF5, make=lambda box: [forge(box, "train", names="ant,bee,cat"), forge(box, "test")]),
    use("eval: other names", "sluice-eval run/weights.h5", 0, "", train={"names": "ant,bee,cat"}, test={"names": "ant,wasp,cat"},
        warns=f"warning: {TEST}: calls class 1 'wasp', run/weights.h5 'bee': are the classes in the same order?\n"),
    use("eval: the images that were trained on", "sluice-eval run/weights.h5 --data.hdf5_test=train.h5", 0, "",
        warns=f"warning: {TRAIN}: these are the images that run/weights.h5 was trained on; its accuracy on them says little "
              "about others\n"),
    use("eval: another test set", "sluice-eval run/weights.h5", 0, "", arguments=NO_VALIDATION, after={"test": {"seed": 1}},
        warns=f"warning: {TEST}: has other images, as many as before (20): it is not the test set of run/weights.h5\n"),
    use("eval: validation after images were appended", "sluice-eval run/weights.h5 --split=validation", 0, "", after=APPENDED),
    use("eval: training set after images were appended", "sluice-eval run/weights.h5 --split=train", 0, "", after=APPENDED,
        warns=f"warning: {TRAIN}: has 40 more images behind its first 40: it is not the training set of run/weights.h5\n"),
    use("eval: images held out that were trained on", "sluice-eval run/weights.h5 --split=validation --data.validation_seed=2", 3,
        f"[data] validation: of the 8 images held out of {TRAIN}, some are among those that run/weights.h5 was trained on; set "
        "validation = 8, validation_seed = 1 and validation_from = 40 as there, or give --split=test"),
    use("eval: none held out any more", "sluice-eval run/weights.h5 --split=validation --data.validation=0", 3,
        f"[data] validation: no images of {TRAIN} are held out to validate on, got 0; set validation = 8, validation_seed = 1 and "
        "validation_from = 40 as there, or give --split=test"),
    use("shift: all were trained on", "sluice-eval run/weights.h5 --shift=0:1:1", 3,
        f"[data] validation: no images of {TRAIN} are held out to validate on, got 0; give --split=test", arguments=NO_VALIDATION),
    use("shift: images held out that were trained on", "sluice-eval run/weights.h5 --shift=0:1:1 --data.validation=8", 3,
        f"[data] validation: of the 8 images held out of {TRAIN}, all are among those that run/weights.h5 was trained on; give "
        "--split=test", arguments=NO_VALIDATION),
    use("bench: all were trained on", "sluice-bench run/weights.h5 --images=validation", 3,
        f"[data] validation: no images of {TRAIN} are held out to validate on, got 0; give --images=test", arguments=NO_VALIDATION),
    use("eval: fewer of the images held out", "sluice-eval run/weights.h5 --split=validation --data.validation=4", 0, ""),
    use("deploy: other images to measure on", "sluice-deploy run/weights.h5 -o deployed.h5 --eval.batch=8", 0, "",
        after={"train": {"seed": 1}}, changes=("deployed.h5",),
        warns=f"warning: {TRAIN}: has other images, as many as before (40): it is not the training set of run/weights.h5\n"),
    use("init: classes in another order", "sluice-train bad.ini --run.dir=other --train.init=run/weights.h5", 3,
        f"{TRAIN}: its classes are cat, bee, ant, those of run/weights.h5 ant, bee, cat: label 0 means 'cat', not 'ant'; write "
        "its labels in that order, or its class_names if only they are wrong", train={"names": "ant,bee,cat"},
        after={"train": {"names": "cat,bee,ant"}}),
    use("init: images held out that were trained on",
        "sluice-train bad.ini --run.dir=other --train.init=run/weights.h5 --data.validation=9", 3,
        f"[data] validation: of the 9 images held out of {TRAIN}, some are among those that run/weights.h5 was trained on; set "
        "validation = 8, validation_seed = 1 and validation_from = 40 as there, or set validation = 0"),
    use("init: images held out of appended ones",
        "sluice-train bad.ini --run.dir=other --train.init=run/weights.h5", 3,
        f"[data] validation: of the 8 images held out of {TRAIN}, some are among those that run/weights.h5 was trained on; set "
        "validation = 8, validation_seed = 1 and validation_from = 40 as there, or set validation = 0", after=APPENDED),
    use("init: the same images held out of appended ones",
        "sluice-train bad.ini --run.dir=other --train.init=run/weights.h5 --data.validation_from=40", 0, "", after=APPENDED,
        changes=("other/*",)),
    use("init: all were trained on", "sluice-train bad.ini --run.dir=other --train.init=run/weights.h5", 3,
        f"[data] validation: of the 8 images held out of {TRAIN}, all are among those that run/weights.h5 was trained on; set "
        "validation = 0", arguments=NO_VALIDATION),
    use("init: another normalisation", "sluice-train bad.ini --run.dir=other --train.init=run/weights.h5 --data.mean=0.9", 0, "",
        changes=("other/*",),
        warns="warning: [data] mean: is given, and std is measured; give both or neither\n"
              "warning: run/weights.h5: was trained with mean 0.49002, std 0.283497, this run normalises images with mean 0.9, "
              "std 0.283497\n"),
    use("teacher: classes in another order",
        "sluice-train bad.ini --run.dir=other --distillation.teacher=run/weights.h5 --distillation.weight=0.5", 3,
        f"{TRAIN}: its classes are cat, bee, ant, those of the teacher run/weights.h5 ant, bee, cat: label 0 means 'cat', not "
        "'ant'; write its labels in that order, or its class_names if only they are wrong", train={"names": "ant,bee,cat"},
        after={"train": {"names": "cat,bee,ant"}}),
]

KNOWN = "run/weights.h5 was trained with mean 0.49002, std 0.283497"
NORMALISATION_CASES = [
    use("eval: mean alone", "sluice-eval run/weights.h5 --data.mean=0.9", 0, "",
        warns=f"warning: images are normalised with mean 0.9, std 0.283497 as the command line says; {KNOWN}\n"),
    use("eval: std alone", "sluice-eval run/weights.h5 --data.std=0.9", 0, "",
        warns=f"warning: images are normalised with mean 0.49002, std 0.9 as the command line says; {KNOWN}\n"),
    use("eval: both", "sluice-eval run/weights.h5 --data.mean=0.5 --data.std=0.25", 0, "",
        warns=f"warning: images are normalised with mean 0.5, std 0.25 as the command line says; {KNOWN}\n"),
    use("eval: measured", "sluice-eval run/weights.h5 --data.mean=measure --data.std=measure", 0, "",
        arguments=("--data.mean=0.5", "--data.std=0.25"),
        warns=f"warning: images are normalised with mean 0.49002, std 0.283497 as the command line says; {KNOWN}\n".replace(
            KNOWN, "run/weights.h5 was trained with mean 0.5, std 0.25")),
    use("eval: bytes", "sluice-eval run/weights.h5 --data.mean=125.3 --data.std=63", 0, "",
        warns=f"warning: images are normalised with mean 125.3, std 63 as the command line says; {KNOWN}\n"
              "warning: [data] mean: 125.3 is taken as it stands, for pixels scaled to 0..1; divide numbers for bytes by 255\n"
              "warning: [data] std: 63 is taken as it stands, for pixels scaled to 0..1; divide numbers for bytes by 255\n"),
    use("bench: mean alone", "sluice-bench run/weights.h5 --images=test --steps=1 --eval.batch=4 --data.mean=0.9", 0, "",
        warns=f"warning: images are normalised with mean 0.9, std 0.283497 as the command line says; {KNOWN}\n"),
    use("deploy: mean alone", "sluice-deploy run/weights.h5 -o deployed.h5 --eval.batch=8 --data.mean=0.9", 0, "",
        changes=("deployed.h5",),
        warns=f"warning: images are normalised with mean 0.9, std 0.283497 as the command line says; {KNOWN}\n"),
    Case("train: bytes", "sluice-train net.ini --data.mean=0.5 --data.std=63", 0, "", changes=("run/*",),
         warns="warning: [data] std: 63 is taken as it stands, for pixels scaled to 0..1; divide numbers for bytes by 255\n"),
    Case("train: std alone", "sluice-train net.ini --data.mean=measure", 0, "", changes=("run/*",),
         warns="warning: [data] std: is given, and mean is measured; give both or neither\n"),
    use("import: mean alone", "sluice-import w.h5 bad.ini -o imported.h5 --data.mean=0.5", 0, "", changes=("imported.h5",),
        warns="warning: [data] mean: is given, and std is measured; give both or neither\n"),
]


def exported(make):
    def both(box):
        make(box)
        box.ok("sluice-import", "--export", "run/weights.h5", "-o", "w.h5")
    return both


NORMALISATION_CASES[-1].make = exported(NORMALISATION_CASES[-1].make)


def idx(box, count, labels):
    images = bytes((i * 37 + i // 30 * labels[i // 30]) % 251 for i in range(count * 30))
    for split in ("train", "t10k"):
        box.write(f"d/{split}-images-idx3-ubyte", struct.pack(">IIII", 0x803, count, 6, 5) + images)
        box.write(f"d/{split}-labels-idx1-ubyte", struct.pack(">II", 0x801, count) + bytes(labels))


IDX = HDF5.replace("hdf5", "idx")
AT_DIR = f"bad.ini:{IDX.splitlines().index('dir = d') + 2}: [data] dir: "
FROM_ONE = "labels count from 0; if these count from 1, subtract 1 from them"
LABEL_CASES = [
    Case("idx: labels from 1", "sluice-train bad.ini", 3,
         f"{AT_DIR}d/train-labels-idx1-ubyte: byte 10: expected a label below 3, got 3: labels count from 0, and these are 1 to 3; check "
         "[data] classes", ini=IDX, make=lambda box: idx(box, 40, [1 + i % 3 for i in range(40)])),
    Case("idx: labels from 1, classes counted", "sluice-train bad.ini --data.classes=0", 3,
         "d/train-images-idx3-ubyte: has 4 classes, the network tells only 3 apart (no image has the label 0, and each of 1 to 3 "
         f"occurs: {FROM_ONE}); set the features of its last layer (define.classes in the shipped networks)", ini=IDX,
         make=lambda box: idx(box, 60, [1 + i % 3 for i in range(60)])),
    Case("idx: labels from 1 fit", "sluice-train bad.ini --data.classes=0 --layer.fc.features=4", 0, "", ini=IDX,
         make=lambda box: idx(box, 40, [1 + i % 3 for i in range(40)]), changes=("run/*",),
         warns="warning: d/train-images-idx3-ubyte: no image has the label 0, and each of 1 to 3 occurs: " + FROM_ONE + "\n"),
]


def kept():
    """The split and the normalisation that a run began with stay, and all programs hand on what is known of the data."""
    with Sandbox() as box:
        box.write("bad.ini", "include = net.ini\n" + HDF5)
        trained(after={"train": {"images": 80, "seed": 0}})(box)
        known = box.header(LAST)
        expect(known["data"]["training"]["images"] == 40 and known["data"]["training"]["shape"] == "1x6x5", f"{known['data']}")
        expect("test" not in known["data"], f"a test set that was not opened: {known['data']}")
        before = box.ok("sluice-eval", LAST, "--split=validation", "--json").out
        box.ok("sluice-train", "bad.ini", "--resume", "--accept-changes", "--train.epochs=3")
        after = box.header(box.newest())
        expect(after["normalisation"] == known["normalisation"], f"{after['normalisation']}, {known['normalisation']}")
        training = after["data"]["training"]
        expect(training["images"] == 80 and training["held_out_from"] == 40 and training["held_out"] == 8, f"{training}")
        expect(after["state"]["step"] == 8 + 9, f"an epoch of 72 images: {after['state']['step']} steps")
        expect(json.loads(before)["images"] == 8, before)
        box.ok("sluice-deploy", "run/weights.h5", "-o", "deployed.h5", "--eval.batch=8")
        expect(box.header("deployed.h5")["data"] == box.header("run/weights.h5")["data"], "sluice-deploy drops the data")
        inspected = box.ok("sluice-inspect", LAST).out
        digest = known["data"]["training"]["images_digest"]
        expect(f"trained on     40 images of 1x6x5, 8 of them held out, digest {digest}\n" in inspected, inspected)


def time_up():
    """The time that a run may take goes on while the normalisation is measured."""
    with Sandbox() as box:
        box.write("bad.ini", "include = net.ini\n" + HDF5)
        forge(box, "train")
        result = box.run("sluice-train", "bad.ini", "--train.max_time=0.000001")
        wanted = (r"sluice-train: stopped before the first step: what comes next does not fit into the time budget of 0.0 s "
                  r"\(\S+ s elapsed\); nothing is lost, start again with the same command\n")
        expect(result.code == 75 and re.fullmatch(wanted, result.err), f"{result}")
        expect(not os.path.exists(box.at("run")), "a run directory without a run")


def no_images():
    """A class without images has no accuracy."""
    with Sandbox() as box:
        box.write("bad.ini", "include = net.ini\n" + HDF5)
        trained(test={"top": 1})(box)
        out = box.ok("sluice-eval", "run/weights.h5").out
        expect(any(line.split() == ["2", "-", "(0", "of", "0)"] for line in out.splitlines()), out)
        last = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json").out)["classes"][2]
        expect(last == {"name": "2", "images": 0, "correct": 0, "accuracy": None}, f"{last}")


def scales():
    """Quantised layers of an imported network have no scales: said, and measured by sluice-deploy."""
    net = HDF5 + "[layer.conv]\ntype = quantized_conv\n"
    text = ("conv has no scale of what goes in, which training or sluice-deploy measures; without one each batch is rounded by "
            "its own largest number, so that answers depend on the batch\n")
    with Sandbox() as box:
        box.write("bad.ini", "include = net.ini\n" + net)
        trained()(box)
        box.ok("sluice-import", "--export", "run/weights.h5", "-o", "w.h5")
        box.forge("edit", "run/weights.h5", "without.h5", "set=buffers/conv/src_scale:0:0")
        result = box.ok("sluice-eval", "without.h5")
        expect(result.err == "warning: without.h5: " + text, result.err)
        result = box.ok("sluice-deploy", "without.h5", "-o", "deployed.h5", "--eval.batch=4")
        expect(result.err == "note: measured the scales of what goes into 1 quantised layer, which the checkpoint has not\n",
               result.err)
        expect(box.ok("sluice-eval", "deployed.h5", "--eval.batch=4").err == "", "deployed.h5 has no scales")
        predictions = []
        for batch in ("1", "20"):
            box.ok("sluice-eval", "deployed.h5", f"--eval.batch={batch}", "--run.backend=dense", "--predictions=p.csv")
            predictions.append([[float(x) for x in line.split(",")] for line in box.text("p.csv").splitlines()[1:]])
        apart = max(abs(a - b) for one, other in zip(*predictions) for a, b in zip(one, other))
        expect(apart < 1e-4, f"answers in batches of 1 and 20 are {apart} apart")


def imported():
    """An imported network came without images: what the file says of them is no fact, and what to do is said."""
    begin = "in.h5: does not know its data set: give --data.kind=KIND --data.dir=DIR (without them it is "
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        box.ok("sluice-export", "run/weights.h5", "-o", "w.h5")
        box.write("network.ini", box.text("net.ini").split("[data]")[0])
        box.ok("sluice-import", "w.h5", "network.ini", "-o", "in.h5")
        missing = "data: expected the folder of CIFAR-10, got nothing; run sluice-get-data cifar10 data, or set [data] dir"
        for program in (["sluice-eval", "in.h5"], ["sluice-deploy", "in.h5", "-o", "d.h5"], ["sluice-bench", "in.h5", "--only=data"],
                        ["sluice-bench", "in.h5", "--only=infer", "--images=test"]):
            result = box.run(*program)
            expect((result.code, result.err) == (3, f"{program[0]}: {begin}cifar10: {missing})\n"), f"{result}")
        box.ok("sluice-import", "w.h5", "network.ini", "-o", "in.h5", "--data.kind=synthetic")
        for program in (["sluice-eval", "in.h5"], ["sluice-bench", "in.h5", "--only=data"]):
            result = box.run(*program)
            expect(result.code == 3 and result.err.startswith(f"{program[0]}: {begin}synthetic: synthetic: images are "), f"{result}")
        # Whoever names a set knows which.
        result = box.run("sluice-eval", "in.h5", "--data.kind=cifar10", "--data.dir=d")
        expect(result.code == 3 and result.err.startswith("sluice-eval: command line: [data] dir: d: ") and "does not know" not in result.err,
               f"{result}")


for check in (kept, time_up, no_images, scales, imported):
    check()
run_table(RESUME_CASES + USE_CASES + NORMALISATION_CASES + LABEL_CASES, 40, len(failures))
