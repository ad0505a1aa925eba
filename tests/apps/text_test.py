"""Text from strangers' files: nothing of it acts on a terminal, JSON stays JSON, and a stored configuration asks for nothing."""
import fcntl
import json
import os
import sys

from harness import NET, Sandbox

ESCAPES = "\x1b]0;owned\a\x1b[31m\u202e"
SHOWN = "\\x1b]0;owned\\x07\\x1b[31m\\u202e"
FAILED = []


def expect(what, got, wanted):
    if got != wanted:
        FAILED.append(f"{what}:\n  got      {got!r}\n  expected {wanted!r}")


def holds(what, text, part):
    if part not in text or "\x1b" in text or "\u202e" in text:
        FAILED.append(f"{what}: expected {part!r} and no control characters in:\n{text!r}")


def cifar(box):
    """A test set of ten images whose first class has a name that writes to terminals, and one that is not UTF-8."""
    box.write("cifar/test_batch.bin", bytes(3073 * 10))
    box.write("cifar/data_batch_1.bin", bytes(3073 * 10))
    box.write("cifar/batches.meta.txt", f"{ESCAPES}airplane\n".encode() + b"caf\xe9\nc\nd\ne\nf\ng\nh\ni\nj\n")
    box.write("ten.ini", NET.replace("2x6x5", "3x32x32").replace("features = 3", "features = 10").replace("classes = 3", "classes = 10"))
    box.ok("sluice-train", "ten.ini", "--run.dir=ten", "--train.epochs=1")
    box.options = ["--data.kind=cifar10", "--data.dir=cifar", "--data.mean=0.5", "--data.std=0.25"]


def class_names(box):
    result = box.ok("sluice-eval", "ten/weights.h5", "--confusion", *box.options)
    holds("class names of a data set", result.out, f"{SHOWN}airplane")
    holds("class names that are not UTF-8", result.out, "caf\\xe9")
    classes = json.loads(box.ok("sluice-eval", "ten/weights.h5", "--json", *box.options).out)["classes"]
    expect("class names in JSON", [c["name"] for c in classes[:2]], [f"{ESCAPES}airplane", "caf\ufffd"])


def lock(box):
    box.write("held/.lock", f"1 on {ESCAPES}node\n")
    with open(box.at("held/.lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = box.run("sluice-train", "net.ini", "--run.dir=held")
    expect("who holds the lock", (result.code, result.err),
           (6, f"sluice-train: held: another process (1 on {SHOWN}node) uses this run directory; wait until it ends, or choose "
               "another run.dir\n"))


def file_names(box):
    odd = os.fsdecode(b"w\xe9\n\x1b.h5")
    box.write(odd, box.read("run/weights.h5"))
    expect("a file's name in JSON", json.loads(box.ok("sluice-eval", odd, "--json").out)["checkpoint"], "w\ufffd\n\x1b.h5")
    expect("a file's name in the inspector's JSON", json.loads(box.ok("sluice-inspect", odd, "--json").out)["file"],
           "w\ufffd\n\x1b.h5")
    holds("a file's name", box.ok("sluice-inspect", odd).out, "w\\xe9\\n\\x1b.h5")
    result = box.run("sluice-eval", odd + "x")
    expect("a file's name in an error", (result.code, result.err.count("\n"), result.err.startswith("sluice-eval: w\\xe9\\n\\x1b.h5x: ")),
           (5, 1, True))


def stored_configuration(box):
    config = box.text("run/config.ini")
    why = "; Sluice did not write it like that\n"
    stands = "the configuration in a checkpoint stands for itself and may not use"

    def forged(text):
        box.write("forged.ini", text)
        box.write("forged.h5", box.read("run/weights.h5"))
        box.forge("edit", "forged.h5", "forged.h5", "config=forged.ini")

    forged("[data]\nclass_names = ${env:SECRET}, b, c\n" + config.replace("[data]", "[unused]", 1))
    for program in (["sluice-eval", "forged.h5"], ["sluice-bench", "forged.h5"], ["sluice-deploy", "forged.h5", "-o", "d.h5"],
                    ["sluice-train", "net.ini", "--run.dir=t", "--distillation.teacher=forged.h5", "--distillation.weight=0.5"]):
        result = box.run(*program, env={"SECRET": "hunter2"})
        expect(f"{program[0]}: a variable", (result.code, "hunter2" in result.out + result.err, stands in result.err),
               (5, False, True))
    expect("nothing is handed on", os.path.exists(box.at("d.h5")), False)
    result = box.run("sluice-eval", "forged.h5", env={"SECRET": "hunter2"})
    expect("the words", result.err, f"sluice-eval: forged.h5: [data] class_names: {stands} '${{env:SECRET}}'{why}")
    forged("include = other.ini\n" + config)
    box.write("other.ini", "[train]\nepochs = 9\n")
    result = box.run("sluice-eval", "forged.h5")
    expect("an include", (result.code, result.err), (5, f"sluice-eval: forged.h5: include: {stands} other files{why}"))
    box.ok("sluice-eval", "run/weights.h5", "--data.synthetic_size=${env:SIZE}", env={"SIZE": "56"})


def paths(box):
    os.makedirs(box.at("home"))
    home = {"HOME": box.at("home"), "SCRATCH": box.at("home/scratch")}
    box.ok("sluice-train", "net.ini", "--run.dir=~/a", env=home)
    box.ok("sluice-train", "net.ini", "--run.dir=$SCRATCH/b", env=home)
    box.ok("sluice-eval", "home/a/weights.h5", "--predictions=~/p.csv", env=home)
    box.ok("sluice-deploy", "home/a/weights.h5", "--output=~/d.h5", "--eval.batch=8", env=home)
    for name in ("a/weights.h5", "scratch/b/weights.h5", "p.csv", "d.h5"):
        expect(f"home/{name}", os.path.exists(box.at("home/" + name)), True)
    expect("no folder called ~ or $SCRATCH", sorted(n for n in os.listdir(box.path) if n[0] in "~$"), [])
    expect("the run knows where it is", f"dir = {box.at('home/a')} " in box.text("home/a/config.ini"), True)
    for flag, message in (("--run.dir=~you/a", "command line: [run] dir: the home folder of another user is not looked up: "
                                               "'~you/a'; write the whole path, or ./~you for a folder of that name"),
                          ("--run.dir=$NO_SUCH/a", "command line: [run] dir: the environment variable 'NO_SUCH' is not set; set it, "
                                                   "or write the whole path in place of '$NO_SUCH/a'"),
                          ("--run.dir=${HOME}/a", "command line: [run] dir: unknown name ${HOME}; the environment variable is "
                                                  "${env:HOME}")):
        result = box.run("sluice-train", "net.ini", flag, env=home)
        expect(flag, (result.code, result.err), (2, f"sluice-train: {message}\n"))


def bombs(box):
    """Small files that ask for much end in a few lines."""
    doubling = "[layer.x]\nblock = b0\nfrom = pool\n" + "".join(
        f"[block.b{i}]\n[block.b{i}.l]\nblock = b{i + 1}\n[block.b{i}.r]\nblock = b{i + 1}\n" for i in range(40))
    files = {
        "60000 unknown keys": ("[train]\n" + "".join(f"bad{i} = 1\n" for i in range(60000)), "more mistakes"),
        "60000 unknown sections": ("".join(f"[bad{i}]\n" for i in range(60000)), "more mistakes"),
        "blocks that double into nothing": (doubling + "[block.b40]\n[block.b40.x]\nchannels = 1\n", "more than 20000 layers"),
        "repetitions of repetitions": (doubling + "[block.b40]\n[block.b40.x]\ntype = relu\n", "more than 20000 layers"),
        "names in names": ("[define]\nx = " + "${x" * 100000 + "\n", "without '}'"),
        "variables in variables": ("[run]\ndir = " + "${env:NO_SUCH:-" * 50000 + "}" * 50000 + "\n", "more than 100 deep"),
        "parentheses": ("[train]\nepochs = ${" + "(" * 100000 + "1" + ")" * 100000 + "}\n", "too many parentheses"),
        "a long line": ("[train]\nepochs = " + "9" * 8000000 + "\n", "expected an integer"),
        "a long list": ("[data]\nclass_names = " + "a," * 500000 + "\n", "an empty item"),
    }
    for what, (text, words) in files.items():
        box.write("bomb.ini", "include = net.ini\n" + text)
        result = box.run("sluice-train", "bomb.ini", "--print-config")
        expect(what, (result.code, result.err.count("\n") <= 101, len(result.err) < 100000, words in result.err), (2, True, True, True))
        if result.code != 2 or words not in result.err:
            FAILED.append(result.err[:500])


def main():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        cifar(box)
        for case in (class_names, lock, file_names, stored_configuration, paths, bombs):
            case(box)
    print("\n".join(FAILED) or "all as expected")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
