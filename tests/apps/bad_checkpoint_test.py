"""Bad checkpoints, through sluice-eval, sluice-inspect --verify, sluice-bench and resuming: exact messages, exit code 5."""
import os
import random
import re
import shutil
import sys

from harness import Case, Sandbox, run_table

TRAINED = Sandbox()  # a run that every case copies from
NEWEST = "run/checkpoints/checkpoint-0000000012.h5"
OLDER = "take an older checkpoint or a copy"


def trained():
    if not os.path.exists(TRAINED.at("run")):
        TRAINED.ok("sluice-train", "net.ini")
    return TRAINED


def whole(box):
    box.write("a.h5", trained().read(NEWEST))


def changed(change):
    """a.h5 with `change` made to its bytes."""
    return lambda box: box.write("a.h5", change(trained().read(NEWEST)))


def forged(*edits):
    """a.h5 with these edits and an intact seal."""
    def make(box):
        whole(box)
        box.forge("edit", "a.h5", "a.h5", *edits)
    return make


def with_config(change):
    def make(box):
        whole(box)
        box.write("changed.ini", change(trained().text("run/config.ini")))
        box.forge("edit", "a.h5", "a.h5", "config=changed.ini")
    return make


def plugin_config(text):
    return re.sub(r"(\[plugins\]\nload =)[^\n]*", r"\1 evil.so", text)


def copied_run(*edits):
    """The run directory, its checkpoints forged."""
    def make(box):
        shutil.copytree(trained().at("run"), box.at("run"))
        for name in os.listdir(box.at("run/checkpoints")) if edits else []:
            box.forge("edit", "run/checkpoints/" + name, "run/checkpoints/" + name, *edits)
    return make


def flip(data, bit):
    byte = bytes([data[bit // 8] ^ (1 << bit % 8)])
    return data[:bit // 8] + byte + data[bit // 8 + 1:]


def both(name, message, make=None, files=None):
    """Refused by both programs with the same words."""
    files = files or {}
    return [Case("eval: " + name, "sluice-eval a.h5", 5, message, make=make, files=files),
            Case("verify: " + name, "sluice-inspect a.h5 --verify", 5, "", make=make, files=files, out=message + "\n")]


def unreadable(name, message, make=None):
    return [Case(f"{program}: {name}", f"sluice-{program} a.h5", 5, message, make=make)
            for program in ["eval", "inspect", "bench"]]


def misfit(name, message, *edits):
    """Well-formed, but not for its own network; sluice-inspect, which knows no networks, is not asked."""
    return Case("eval: " + name, "sluice-eval a.h5", 5, message, make=forged(*edits))


FILES = sum([
    unreadable("missing", "a.h5: cannot open: No such file or directory"),
    unreadable("a directory", "a.h5: is a directory, expected a checkpoint file", lambda box: os.makedirs(box.at("a.h5"))),
    both("empty", f"a.h5: is empty (0 bytes); {OLDER}", files={"a.h5": ""}),
    both("text", "a.h5: is no checkpoint: it does not begin with the signature of an HDF5 file",
         files={"a.h5": "[network]\n"}),
    both("a pointer of Git LFS", "a.h5: is no checkpoint: it does not begin with the signature of an HDF5 file (it is a pointer "
         "of Git LFS (git lfs pull fetches the file itself))",
         files={"a.h5": "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789\nsize 1234567\n"}),
    both("zeros", "a.h5: is no checkpoint: it does not begin with the signature of an HDF5 file",
         changed(lambda data: bytes(len(data)))),
    both("truncated", f"a.h5: is truncated: it ends after 3000 of <size> bytes; {OLDER}",
         lambda box: (changed(lambda data: data[:3000])(box),
                      box.tokens.update(size=str(len(trained().read(NEWEST)) - 48)))),
    both("truncated in the seal", f"a.h5: is truncated: 7 bytes of its seal are missing; {OLDER}",
         changed(lambda data: data[:-7])),
    both("without its seal",
         "a.h5: carries no seal: its last bytes were cut off, or it was written by another program; `sluice-inspect` shows "
         "what is in it, `sluice-import` takes weights of other programs", changed(lambda data: data[:-48])),
    both("longer", f"a.h5: 3 bytes were added behind its seal; {OLDER}", changed(lambda data: data + b"abc")),
    both("changed seal", f"a.h5: is damaged: its seal (the last 48 bytes) was changed; {OLDER}",
         changed(lambda data: flip(data, 8 * len(data) - 100))),
    both("newer version",
         "a.h5: /format_version: the file has format 2.0, this Sluice reads formats up to 1.x; use a newer Sluice",
         forged("version=2.0")),
    both("no state", "a.h5: /state: is missing, expected a group", forged("unlink=state")),
    both("no configuration", "a.h5: /config: is missing, expected a data set", forged("unlink=config")),
    both("a listed tensor missing", "a.h5: /weights/conv/weight: is missing, expected a data set",
         forged("unlink=weights/conv/weight")),
], [])

TENSORS = [
    misfit("missing tensor", "a.h5: 1 of 5 tensors does not fit the network:\n"
           "  weights/fc/bias: missing in the checkpoint, the network has 3", "drop=weights/fc/bias"),
    Case("init: missing", "sluice-train bad.ini", 5, "bad.ini:3: [train] init: a.h5: cannot open: No such file or directory",
         ini="[train]\ninit = a.h5\n"),
    Case("init: a text", "sluice-train bad.ini", 5, "bad.ini:3: [train] init: a.h5: is no checkpoint: it does not begin with the "
         "signature of an HDF5 file", ini="[train]\ninit = a.h5\n", make=lambda box: box.write("a.h5", "[network]\n")),
    Case("init: missing tensor", "sluice-train run/config.ini --run.dir=other --train.init=a.h5", 5,
         "command line: [train] init: a.h5: lacks 1 of the network's tensors and has 0 others, weights/fc/bias for one; "
         "train.init_partial = yes takes what both have",
         make=lambda box: (copied_run()(box), forged("drop=weights/fc/bias")(box))),
    misfit("extra tensor", "a.h5: 1 of 6 tensors does not fit the network:\n"
           "  weights/fc/extra: the checkpoint has 3x2, the network has no such tensor", "add=weights/fc/extra:3x2"),
    misfit("tensor of another shape", "a.h5: 1 of 5 tensors does not fit the network:\n"
           "  weights/fc/weight: the checkpoint has 4x3, the network 3x4", "reshape=weights/fc/weight:4x3"),
    misfit("several misfits", "a.h5: 3 of 6 tensors do not fit the network:\n"
           "  weights/conv/weight: the checkpoint has 4x2x3, the network 4x2x3x3\n"
           "  weights/fc/bias: missing in the checkpoint, the network has 3\n"
           "  weights/fc2/bias: the checkpoint has 3, the network has no such tensor",
           "drop=weights/fc/bias", "add=weights/fc2/bias:3", "reshape=weights/conv/weight:4x2x3"),
    misfit("NaN weight", "a.h5: 1 of 5 tensors does not fit the network:\n"
           "  weights/conv/weight: 1 of 72 values are NaN or Inf, the first (nan) is element 3",
           "set=weights/conv/weight:3:nan"),
    misfit("infinite statistics", "a.h5: 1 of 2 tensors does not fit the network:\n"
           "  buffers/bn/running_mean: 1 of 4 values are NaN or Inf, the first (inf) is element 0",
           "set=buffers/bn/running_mean:0:inf"),
    Case("verify: NaN weight", "sluice-inspect a.h5 --verify", 5, "", make=forged("set=weights/conv/weight:3:nan"),
         out="a.h5: /weights/conv/weight: 1 NaN and 0 Inf among 72 values\n"),
    Case("verify: layer unknown", "sluice-inspect a.h5 --verify", 5, "", make=forged("add=weights/fc2/weight:3x2"),
         out="a.h5: /weights/fc2/weight: layer 'fc2' is not among the 6 of /layer_names\n"),
    Case("verify: optimiser's shape", "sluice-inspect a.h5 --verify", 5, "", make=forged("reshape=weights/fc/weight:4x3"),
         out="a.h5: /optimizer/momentum/fc/weight: has shape 3x4, /weights/fc/weight has 4x3\n"),
    Case("verify: no epoch", "sluice-inspect a.h5 --verify", 5, "", make=forged("state=epoch"),
         out="a.h5: /state/epoch: is missing, a full checkpoint needs this integer\n"),
    Case("bench: NaN weight", "sluice-bench a.h5", 5, "a.h5: 1 of 5 tensors does not fit the network:\n"
         "  weights/conv/weight: 1 of 72 values are NaN or Inf, the first (nan) is element 3",
         make=forged("set=weights/conv/weight:3:nan")),
    Case("diff: the other truncated", "sluice-inspect a.h5 --diff=b.h5", 5,
         f"b.h5: is truncated: it ends after 100 of <size> bytes; {OLDER}",
         make=lambda box: (whole(box), box.write("b.h5", box.read("a.h5")[:100]),
                           box.tokens.update(size=str(len(box.read("a.h5")) - 48)))),
]

CONFIGURATIONS = [
    Case("eval: configuration asks for a plug-in", "sluice-eval a.h5", 2,
         "a.h5: its configuration asks for the plug-in 'evil.so', and a checkpoint may not load code; if you trust that "
         "file, add --plugins.load=evil.so", make=with_config(plugin_config)),
    Case("bench: configuration asks for a plug-in", "sluice-bench a.h5", 2,
         "a.h5: its configuration asks for the plug-in 'evil.so', and a checkpoint may not load code; if you trust that "
         "file, add --plugins.load=evil.so", make=with_config(plugin_config)),
    Case("eval: trusted plug-in missing", "sluice-eval a.h5 --plugins.load=evil.so", 2,
         "command line: [plugins] load: plug-in 'evil.so': there is no such file", make=with_config(plugin_config)),
    Case("eval: unknown key in the configuration", "sluice-eval a.h5", 2,
         "a.h5: [network] inptu: unknown key; did you mean 'input'?",
         make=with_config(lambda text: text.replace("input =", "inptu =")),),
    Case("eval: empty configuration", "sluice-eval a.h5", 2,
         "a.h5: [network]: the configuration declares no layers; include a network file, such as "
         "configs/networks/resnet20.ini", make=with_config(lambda text: "")),
    Case("eval: override of another network", "sluice-eval a.h5 --layer.fc.features=4", 5,
         "a.h5: 2 of 5 tensors do not fit the network:\n"
         "  weights/fc/weight: the checkpoint has 3x4, the network 4x4\n"
         "  weights/fc/bias: the checkpoint has 3, the network 4", make=whole),
    Case("eval: unknown key", "sluice-eval a.h5 --data.dri=x", 2, "command line: [data] dri: unknown key; did you mean 'dir'?",
         make=whole),
    Case("eval: data missing", "sluice-eval a.h5 --data.kind=cifar10 --data.dir=d", 3,
         "command line: [data] dir: d: expected the folder of CIFAR-10, got nothing; run sluice-get-data cifar10 d, or set [data] "
         "dir", make=whole),
    Case("eval: more classes than the network has", "sluice-eval a.h5 --data.classes=4", 3,
         "synthetic: has 4 classes, the network tells only 3 apart; set the features of its last layer (define.classes in "
         "the shipped networks)", make=whole),
    Case("eval: nothing held out", "sluice-eval a.h5 --split=validation --data.validation=0", 3,
         "[data] validation: no images of synthetic are held out to validate on, got 0; set validation = 8, validation_seed = 1 and "
         "validation_from = 56 as there, or give --split=test", make=whole),
    Case("eval: predictions into no directory", "sluice-eval a.h5 --predictions=no/p.csv", 6,
         "no/p.csv: cannot write: No such file or directory; make the directory first", make=whole),
    Case("eval: predictions into a file's place", "sluice-eval a.h5 --predictions=net.ini/p.csv", 6,
         "net.ini/p.csv: cannot write: Not a directory; correct the path: a part of it is a file", make=whole),
    Case("eval: predictions onto a directory", "sluice-eval a.h5 --predictions=.", 6,
         ".: is a directory, expected the name of a file", make=whole),
]

REFUSED = ("run/.lock", "run/log.txt")  # who was there, and what was said


MORE_OUTPUTS = ("warning: synthetic: has 3 classes, the network tells {} apart; set the features of its last layer "
                "(define.classes in the shipped networks)\n")


def resume(name, message, make, arguments="", warns=""):
    return Case("resume: " + name, f"sluice-train net.ini --resume {arguments}", 5, message, make=make, warns=warns,
                changes=REFUSED)


RESUMING = [
    resume("weights only", f"{NEWEST}: is a weights_only checkpoint without the optimiser's state; training resumes only "
           "from a full one", copied_run("kind=weights_only")),
    resume("a counter missing", f"{NEWEST}: /state has no loss_sum of the right type; resume from another checkpoint",
           copied_run("state=loss_sum")),
    resume("optimiser's tensor missing", f"{NEWEST}: 1 of 5 tensors does not fit the network:\n"
           "  optimizer/momentum/fc/bias: missing in the checkpoint, the network has 3",
           copied_run("drop=optimizer/momentum/fc/bias")),
    resume("NaN weights", f"{NEWEST}: 1 of 5 tensors does not fit the network:\n"
           "  weights/fc/bias: 1 of 3 values are NaN or Inf, the first (nan) is element 0",
           copied_run("set=weights/fc/bias:0:nan")),
    Case("resume: another network", "sluice-train net.ini --resume --layer.fc.features=4", 2,
         "run: holds a run of another configuration ([layer.fc] features: 3 -> 4); nothing is left to train in it: choose another "
         "run.dir", make=copied_run(), warns=MORE_OUTPUTS.format(4), changes=REFUSED),
    resume("metrics edited", "run/metrics.csv:1: the header has no column 'step'; the file was changed since: move it away "
           "to go on without it", lambda box: (copied_run()(box), box.write("run/metrics.csv", "hello\n"))),
    resume("all damaged", "run/checkpoints: none of 3 checkpoints can be used:\n"
           f"  {NEWEST}: is empty (0 bytes); {OLDER}\n"
           f"  run/checkpoints/checkpoint-0000000006.h5: is empty (0 bytes); {OLDER}\n"
           f"  run/checkpoints/best.h5: is empty (0 bytes); {OLDER}",
           lambda box: (copied_run()(box),
                        [box.write("run/checkpoints/" + n, "") for n in os.listdir(box.at("run/checkpoints"))])),
    Case("resume: newest damaged", "sluice-train net.ini --resume", 0, "", changes=("run/*",),
         warns=f"warning: {NEWEST}: is empty (0 bytes); {OLDER}; continuing from "
               "run/checkpoints/checkpoint-0000000006.h5 instead\n",
         make=lambda box: (copied_run()(box), box.write(NEWEST, ""))),
]


LEARN = "sluice-train bad.ini --distillation.weight=0.5"


def taught(name, code, text, make, ini="", warns=""):
    """A run that learns from a.h5. Nothing stays of its directory."""
    return Case("teacher: " + name, LEARN, code, text, ini="[distillation]\nteacher = a.h5\n" + ini, make=make, warns=warns)


AT_TEACHER = "bad.ini:3: [distillation] teacher: "
TEACHERS = [
    taught("missing", 5, AT_TEACHER + "a.h5: cannot open: No such file or directory", None),
    taught("empty", 5, f"{AT_TEACHER}a.h5: is empty (0 bytes); {OLDER}", lambda box: box.write("a.h5", "")),
    taught("text", 5, AT_TEACHER + "a.h5: is no checkpoint: it does not begin with the signature of an HDF5 file",
           lambda box: box.write("a.h5", "[network]\n")),
    taught("damaged", 5, f"{AT_TEACHER}a.h5: is damaged: its seal (the last 48 bytes) was changed; {OLDER}",
           changed(lambda data: flip(data, 8 * len(data) - 100))),
    taught("other classes", 2, "bad.ini:3: [distillation] teacher: a.h5: tells 3 classes apart, this network 5", whole,
           "[layer.fc]\nfeatures = 5\n", warns=MORE_OUTPUTS.format(5)),
    taught("other images", 2, "bad.ini:3: [distillation] teacher: a.h5: takes images of 2x6x5, this network 2x7x4", whole,
           "[network]\ninput = 2x7x4\n[data]\nsynthetic_image = 2x7x4\n"),
    taught("weights that do not fit its configuration", 5,
           "a.h5: does not fit its own configuration, weights/conv/weight: the checkpoint has 4x2x3x3, the network 4x2x1x1; "
           "take another teacher", with_config(lambda text: text.replace("kernel = 3", "kernel = 1"))),
    taught("unknown layers", 2, "bad.ini:3: [distillation] teacher: a.h5: [layer.relu] type: unknown layer type 'rolu'; "
           "known types: <types>; if it is a plug-in's, add --plugins.load=FILE.so; did you mean 'relu'?",
           with_config(lambda text: text.replace("type = relu", "type = rolu"))),
    taught("no configuration", 2, "bad.ini:3: [distillation] teacher: a.h5: its configuration:1: a section's name ends with ']', got '[train'", with_config(lambda text: "[train\n")),
]

IMPORT = "sluice-import w.h5 net.ini -o out.h5"


def foreign(box):
    box.forge("dataset", "w.h5", "images=2x2", "labels=4")


IMPORTING = [
    Case("import: missing", IMPORT, 5, "w.h5: cannot open: No such file or directory"),
    Case("import: text", IMPORT, 5, "w.h5: cannot open as an HDF5 file: file signature not found", files={"w.h5": "text"}),
    Case("import: no such group", IMPORT + " --group=model", 5, "w.h5: /model: is missing, expected a group", make=foreign),
    Case("import: another network", IMPORT, 5,
         "w.h5: of the network's 7 tensors, 7 are missing (first: conv.weight (4x2x3x3)); nothing was written; compare the "
         "names: the report has both", make=foreign),
    Case("import: a checkpoint of Sluice", "sluice-import a.h5 net.ini -o out.h5", 5,
         "a.h5: is a checkpoint of Sluice, which needs no import: [train] init starts from it, sluice-eval and "
         "sluice-deploy take it", make=whole),
    Case("import: no configuration", "sluice-import w.h5 -o out.h5", 2,
         "command line: expected WEIGHTS.h5 and CONFIG.ini; see sluice-import --help", make=foreign),
    Case("import: no output", "sluice-import w.h5 net.ini", 2, "command line: expected -o FILE, the file to write",
         make=foreign),
    Case("export: truncated checkpoint", "sluice-import --export a.h5 -o out.h5", 5,
         f"a.h5: is empty (0 bytes); {OLDER}", files={"a.h5": ""}),
]


def flipped_bits():
    """Any flipped bit, any cut: refused by every program with exit code 5, and nothing crashes."""
    rng = random.Random(20)
    problems = []
    data = trained().read(NEWEST)
    # Where programs look first, then anywhere.
    bits = [0, 70, 8 * 9, 8 * 40, 8 * len(data) - 1, 8 * (len(data) - 48)] + [rng.randrange(8 * len(data)) for _ in range(54)]
    damages = [("bit %d flipped" % bit, flip(data, bit)) for bit in bits]
    damages += [("cut to %d bytes" % n, data[:n]) for n in [1, 7, 8, 95, 96] + [rng.randrange(len(data)) for _ in range(15)]]
    with Sandbox() as box:
        for what, damaged in damages:
            box.write("a.h5", damaged)
            for command in ["sluice-eval a.h5", "sluice-inspect a.h5 --verify"]:
                result = box.run(*command.split())
                said = (result.out + result.err).splitlines()
                if result.code != 5 or len(set(said)) != len(said):
                    problems.append(f"{command}, {what}: exit code {result.code}, {said}")
        # Without a seal nothing warns of the damage: the child process must take it.
        for bit in [rng.randrange(8 * (len(data) - 48)) for _ in range(20)]:
            box.write("a.h5", flip(data, bit)[:-48])
            for command, codes in [("sluice-inspect a.h5 --stats --config --history", (0, 5)),
                                   ("sluice-inspect a.h5 --verify", (5,)), ("sluice-eval a.h5", (5,))]:
                code = box.run(*command.split()).code
                if code not in codes:
                    problems.append(f"{command}, no seal and bit {bit} flipped: exit code {code}")
        if sorted(box.tree()) != ["a.h5", "net.ini"]:
            problems.append(f"left behind: {sorted(box.tree())}")
    return problems


if __name__ == "__main__":
    with TRAINED:
        found = [] if len(sys.argv) > 1 else flipped_bits()
        for problem in found:
            print("FAILED " + problem)
        run_table(FILES + TENSORS + CONFIGURATIONS + RESUMING + TEACHERS + IMPORTING, 75, len(found))
