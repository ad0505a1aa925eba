"""Checkpoints and weights that somebody edited with h5py: sealed again after everything else was checked, and imported as they are."""
import os
import shutil
import sys

try:
    import h5py
    import numpy
except ImportError as missing:
    if os.path.exists("/usr/bin/python3") and sys.executable != "/usr/bin/python3":
        os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])
    print(f"skipped: {missing}")
    sys.exit(77)

from harness import Sandbox

WEIGHT = "weights/conv/weight"
PROBLEMS = "; nothing was written; mend what is named above\n"


def edit(box, name, change):
    """A copy of the checkpoint, changed: h5py cuts the seal off."""
    shutil.copy(box.at(box.newest()), box.at(name))
    with h5py.File(box.at(name), "r+") as file:
        change(file)


def scale(file):
    file[WEIGHT][...] = 2 * file[WEIGHT][()]


def replace(file, values):
    del file[WEIGHT]
    file[WEIGHT] = values


def put(values):
    def change(file):
        file[WEIGHT][0, 0, 0] = values
    return change


def add(file):
    file["weights/conv/other"] = numpy.zeros(3, "float32")


REFUSED = [
    (put([1, numpy.nan, numpy.inf]), "e.h5: /weights/conv/weight: 1 NaN and 1 Inf among 72 values\ne.h5: 1 problem"),
    (lambda file: replace(file, numpy.zeros((4, 2, 3, 3))), "e.h5: /weights/conv/weight: holds float64, expected float32\ne.h5: 1 problem"),
    (add, "e.h5: /weights/conv/other: is not listed in /tensor_names\ne.h5: 1 problem"),
    (lambda file: replace(file, numpy.zeros((4, 2, 1, 1), "float32")),
     "e.h5: /optimizer/momentum/conv/weight: has shape 4x2x3x3, /weights/conv/weight has 4x2x1x1\ne.h5: 1 problem"),
    (lambda file: file.pop("config"), "e.h5: /config: is missing, expected a data set\ne.h5: 1 problem"),
]


def resealing(box, expect):
    reseal = ["sluice-inspect", "e.h5", "--reseal", "-o", "sealed.h5"]
    edit(box, "e.h5", scale)
    refused = box.run("sluice-eval", "e.h5")
    expect("an edited checkpoint", (refused.code, "carries no seal" in refused.err), (5, True))
    done = box.ok(*reseal)
    expect("resealing", (done.out, done.err), ("wrote sealed.h5: 12 tensors of e.h5, with a seal\n", ""))
    expect("its seal", box.ok("sluice-inspect", "sealed.h5", "--verify").out, "sealed.h5: intact\n")
    diff = box.run("sluice-inspect", "sealed.h5", "--diff=run/weights.h5", "--filter=*weight")
    expect("what differs", (diff.code, "weights/\n  conv/weight " in diff.out), (1, True))
    box.ok("sluice-eval", "sealed.h5")
    box.ok(*reseal)  # over an output of its own
    for arguments, code, text in [
            (["e.h5", "--reseal", "-o", "e.h5"], 2, "e.h5: is there already, and sluice-inspect did not write it"),
            (["run/weights.h5", "--reseal", "-o", "x.h5"], 2, "run/weights.h5: its seal is intact; use it as it is"),
            (["e.h5", "--reseal"], 2, "command line: expected -o FILE, the file to write"),
            (["e.h5", "--reseal", "-o", "x.h5", "--stats"], 2, "command line: --reseal goes with -o, --force and --timeout only"),
            (["e.h5", "-o", "x.h5"], 2, "command line: --output goes with --reseal")]:
        got = box.run("sluice-inspect", *arguments)
        expect(" ".join(arguments), (got.code, got.out, got.err.startswith(f"sluice-inspect: {text}"), got.err.count("\n")),
               (code, "", True, 1))
    box.write("text.h5", "text")
    got = box.run("sluice-inspect", "text.h5", "--reseal", "-o", "x.h5")
    expect("text", got.code, 5)
    for change, text in REFUSED:
        edit(box, "e.h5", change)
        got = box.run("sluice-inspect", "e.h5", "--reseal", "-o", "x.h5")
        expect(text, (got.code, got.out, got.err), (5, "", f"sluice-inspect: {text}{PROBLEMS}"))
    expect("nothing written", os.path.exists(box.at("x.h5")), False)


def weights_of(box, checkpoint):
    box.ok("sluice-export", checkpoint, "-o", "back.h5", "--force")
    with h5py.File(box.at("back.h5")) as file:
        return {name: data[()] for name, data in file.items()}


def importing(box, expect):
    """The same numbers from a checkpoint without seal, from its groups alone, and from a state_dict."""
    edit(box, "e.h5", scale)
    with h5py.File(box.at("e.h5")) as edited, h5py.File(box.at("groups.h5"), "w") as groups:
        wanted = edited[WEIGHT][()]
        for root in ("weights", "buffers"):
            edited.copy(root, groups)
    box.ok("sluice-export", "run/weights.h5", "-o", "state.h5")
    with h5py.File(box.at("state.h5"), "r+") as file:
        file["conv.weight"][...] = wanted
        values = file["fc.weight"][()]
        del file["fc.weight"]
        file.create_dataset("fc.weight", data=values.astype("float64"), chunks=True, compression="gzip")
        file.attrs["note"] = "doubled"
    for name, left in (("e.h5", True), ("groups.h5", False), ("state.h5", False)):
        done = box.ok("sluice-import", name, "net.ini", "-o", "in.h5")
        lines = done.out.splitlines()
        expect(name, (lines[0], lines[-1]), (f"{name}: 7 of 7 tensors of the network matched", "wrote in.h5"))
        expect(f"{name}: what is left", any(line.startswith("left out ") and "outside of weights and buffers" in line for line in lines),
               left)
        expect(f"{name}: nothing else", "not used" in done.out, False)
        got, original = weights_of(box, "in.h5"), weights_of(box, "run/weights.h5")
        expect(f"{name}: values", [key for key in original if not numpy.array_equal(got[key], original[key])], ["conv.weight"])
        expect(f"{name}: the edit", numpy.array_equal(got["conv.weight"], wanted), True)
    # A layer that has that name.
    box.write("named.ini", box.text("net.ini").replace("[layer.fc]", "[layer.weights]").replace("from = fc", "from = weights"))
    with h5py.File(box.at("state.h5"), "r+") as file:
        for name in ("weight", "bias"):
            file.move(f"fc.{name}", f"weights.{name}")
    expect("a layer `weights`", box.ok("sluice-import", "state.h5", "named.ini", "-o", "in.h5").out.splitlines()[0],
           "state.h5: 7 of 7 tensors of the network matched")


def main():
    failed = []

    def expect(what, got, wanted):
        if got != wanted:
            failed.append(f"{what}:\n  got      {got}\n  expected {wanted}")

    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--train.epochs=1")
        resealing(box, expect)
        importing(box, expect)
    print("\n".join(failed) or "as expected")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
