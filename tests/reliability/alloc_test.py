"""Memory that does not suffice: the N-th allocation of a program fails, for N spread over the whole of its life.

A program must end with code 6 and one line, or do without the memory and give the same result as ever. It must not crash,
hang, leave half of a file, or one that says something else; a training goes on to the same end afterwards.

    alloc_test.py [--count 40] [--seed 1] [--only train]

FAIL_ALLOC_LIBRARY names fail_alloc.so. What fails inside another library (HDF5, oneDNN, TBB, OpenMP, the dynamic linker)
is counted by library; a crash or hang there is not ours to mend, and counted apart.
"""
import argparse
import collections
import os
import random
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "apps"))
from harness import BIN, Sandbox  # noqa: E402  pylint: disable=wrong-import-position

LIBRARY = os.environ["FAIL_ALLOC_LIBRARY"]
SECONDS = 60

# name, command line, files that say what came of it
PROGRAMS = [
    ("train", "sluice-train net.ini", ()),
    ("resume", "sluice-train net.ini --resume", ()),
    ("eval", "sluice-eval run/weights.h5 --predictions=p.csv", ("p.csv",)),
    ("inspect", "sluice-inspect run/weights.h5 --json", ()),
    ("verify", "sluice-inspect run/weights.h5 --verify", ()),
    ("deploy", "sluice-deploy run/weights.h5 -o made.h5 --eval.batch=8", ("made.h5",)),
    ("export", "sluice-import --export run/weights.h5 -o made.h5", ("made.h5",)),
    ("import", "sluice-import flat.h5 net.ini -o made.h5", ("made.h5",)),
]


def run(box, command, fail=None):
    """Exit code (as a shell gives it, None: did not end), standard output and error."""
    environment = {k: v for k, v in os.environ.items() if k != "SLUICE_MAX_ISA"}
    if fail is not None:
        environment.update(LD_PRELOAD=LIBRARY, FAIL_ALLOC=str(fail), FAIL_ALLOC_LOG=box.at("log"))
    program, *arguments = command.split()
    with subprocess.Popen([os.path.join(BIN, program), *arguments], cwd=box.path, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return None, *process.communicate()
    return (128 - process.returncode if process.returncode < 0 else process.returncode), out, err


def failing_module(log):
    """Whose allocation failed: the first library on the stack that is not one of the language's own."""
    for line in log.splitlines():
        name = os.path.basename(line.split("(")[0])
        if not re.match(r"((lib)?fail_alloc|libstdc\+\+|libc\.|libm\.|libgcc|ld-linux|count )", name):
            return "ours" if name.startswith(("sluice-", "libsluice")) else name.split(".so")[0]
    return "the system"


def prepare(box, name):
    """What the program starts from."""
    if name == "train":
        return
    box.ok("sluice-train", "net.ini")
    if name == "resume":  # as if it had been killed after its first epoch
        os.unlink(box.at(box.newest()))
    if name == "import":
        box.ok("sluice-import", "--export", "run/weights.h5", "-o", "flat.h5")


def result(box, name, made):
    """What the program is for, without times and paths."""
    if name in ("train", "resume"):
        return box.header(box.newest())["content_digest"]
    if name == "export":  # has no header
        return box.ok("sluice-inspect", "made.h5", "--stats").out
    return [box.header(file)["content_digest"] if file.endswith(".h5") else box.read(file) for file in made]


def check_files(box, before, problems):
    """Nothing may be half there."""
    for directory, _, files in os.walk(box.path):
        for file in files:
            path = os.path.relpath(os.path.join(directory, file), box.path)
            if path.endswith(".tmp"):
                problems.append(f"left behind: {path}")
            elif path.endswith(".h5") and box.read(path) != before.get(path):
                verified = box.run("sluice-inspect", path, "--verify")
                if verified.code != 0 and path != "made.h5":  # an export is sealed by nothing
                    problems.append(f"{path}: {verified.out}{verified.err}")


class Program:
    """One of the programs, with what it starts from and what it gives when nothing fails."""

    def __init__(self, name, command, made):
        self.name, self.command, self.made = name, command, made
        self.box = Sandbox()
        prepare(self.box, name)
        self.before = {path: self.box.read(path) for path in self.box.tree() if path.endswith(".h5")}
        with self.copy() as box:
            code, self.out, err = run(box, command, 0)
            if code != 0:
                raise AssertionError(f"{command}: exit code {code}\n{err}")
            self.count = int(re.search(r"count (\d+)", box.text("log")).group(1))
            self.expected = result(box, name, made)
            self.config = box.text("run/config.ini")

    def copy(self):
        box = Sandbox()
        shutil.copytree(self.box.path, box.path, dirs_exist_ok=True)
        return box

    def check(self, number):
        """Lets this allocation fail. Returns whose it was, and what is wrong."""
        with self.copy() as box:
            code, out, err = run(box, self.command, number)
            module = failing_module(box.text("log"))
            problems = []
            if code is None:
                problems.append("hangs")
            elif code >= 128:
                problems.append(f"crashes, signal {code - 128}")
            elif code not in (0, 6):
                problems.append(f"exit code {code}")
            lines = [line for line in err.splitlines() if line.startswith(self.command.split()[0] + ": ")]
            others = len(err.splitlines()) - len(lines)
            if code == 6 and (len(lines) != 1 or (others and "HDF5-DIAG" not in err and "libgomp" not in err)):
                problems.append("more or less than one line")  # where HDF5 and OpenMP get no memory they print of their own
            if code == 0 and self.name in ("inspect", "verify") and out != self.out:
                problems.append(f"other output: {out}")
            check_files(box, self.before, problems)
            if os.path.exists(box.at("run/config.ini")) and box.text("run/config.ini") != self.config:
                problems.append("config.ini is not what it should be")
            if self.name in ("train", "resume"):
                again = box.run("sluice-train", "net.ini", "--auto-resume")
                if again.code != 0:
                    problems.append(f"does not go on: {again.err}")
            if (code == 0 or self.name in ("train", "resume")) and not problems:
                if result(box, self.name, self.made) != self.expected:
                    problems.append("another result")
        return module, [f"{problem}: {err}" for problem in problems]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    programs = [Program(*each) for each in PROGRAMS if options.only in each[0]]
    chance = random.Random(options.seed)
    failed, foreign = 0, collections.Counter()
    for index, program in enumerate(programs):
        share = options.count * (index + 1) // len(programs) - options.count * index // len(programs)
        modules = collections.Counter()
        for i in range(share):  # one from each of so many equal parts
            number = 1 + min(program.count - 1, int((i + chance.random()) * program.count / share))
            module, problems = program.check(number)
            modules[module] += 1
            ends = ("reading it crashed", "a library ended the program")  # HDF5 calls exit() where it gets no memory
            dies = any(problem.startswith(("hangs", "crashes")) or any(end in problem for end in ends) for problem in problems)
            if problems and dies and module != "ours":
                foreign[f"{program.name}: {module}: {problems[0].splitlines()[0]}"] += 1
            elif problems:
                failed += 1
                print(f"FAILED {program.name}, allocation {number} of {program.count} ({module}):\n" + "\n".join(problems))
        print(f"{program.name}: {share} of {program.count} allocations failed: "
              + ", ".join(f"{name} {count}" for name, count in modules.most_common()), flush=True)
        program.box.__exit__()
    for text, count in foreign.most_common():
        print(f"not ours, {count} times: {text}")
    print(f"{options.count} failed allocations, {failed} with a fault of ours, {sum(foreign.values())} ended other libraries")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
