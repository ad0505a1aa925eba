"""System calls that fail: the N-th call on files and memory of a training of two steps, of its resume and of sluice-eval fails
(fail_call.cpp), for one N after another. Each time the program ends with a documented exit code and one line, no file under a
final name is half-written, and the run that is resumed without faults ends bit-equal to an undisturbed one."""
import argparse
import csv
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys

from harness import BIN, NET, TOOLS, Paced, Sandbox

FAIL_CALL = os.environ["SLUICE_FAIL_CALL"]
LIMIT_SECONDS = 60
SKIPPED = 77
TIMES = {"seconds", "images_per_second", "data_wait_percent"}
CODES = {0, 2, 3, 5, 6}
RUN = re.sub(r"(synthetic_\w+|mean|std) = .*\n", "", NET.replace("2x6x5", "3x6x5").replace("synthetic", "hdf5\ndir = .", 1))
RUN += "[checkpoint]\ninterval = 0.000001\n[log]\ninterval = 1e-9\n"


class Phase:
    """A command line, and the directory that it starts in."""

    def __init__(self, name, base, *command):
        self.name, self.base, self.command = name, base, command

    def start(self):
        """A fresh copy of the directory."""
        box = Sandbox()
        shutil.copytree(self.base.path, box.path, dirs_exist_ok=True)
        return box


def run(box, options, command):
    """The program under fail_call: (exit code or -1 for a hang, stdout, stderr, number of calls, what failed)."""
    process = subprocess.Popen([FAIL_CALL, "--report=" + box.at("report"), *options, os.path.join(BIN, command[0]), *command[1:]],
                               cwd=box.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code = -1
    if code == SKIPPED:
        sys.exit(print("skipped: " + err.strip()) or SKIPPED)
    lines = box.text("report").splitlines() if os.path.exists(box.at("report")) else ["calls 0"]
    return code, out, err, int(lines[0].split()[1]), lines[1] if len(lines) > 1 else ""


def digests(box):
    """Of the newest checkpoint and of the weights."""
    return [box.header(file)["content_digest"] for file in (box.newest(), "run/weights.h5")]


def rows(text):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(io.StringIO(text))]


def half_written(box, reference):
    """What is not whole under a final name."""
    problems = []
    for folder, _, names in os.walk(box.at("run")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), box.path)
            if name.endswith(".h5") and not name.startswith("."):
                result = box.run("sluice-inspect", path, "--verify")
                problems += [] if result.code == 0 else [f"{path}: {result.out}{result.err}"]
            elif name == "config.ini" and box.read(path) != reference.read(path):
                problems.append(f"{path} differs from that of the undisturbed run")
            elif name == "metrics.csv" and box.text(path):
                whole = box.text(path).endswith("\n") and rows(box.text(path)) == rows(reference.text(path))[:len(rows(box.text(path)))]
                problems += [] if whole else [f"{path}: {box.text(path)}"]
    return problems


def check_training(box, reference, code):
    """What is in the directory afterwards, and that the run can go on."""
    problems = half_written(box, reference)
    if code == 0 and digests(box) != digests(reference):
        problems.append("exit code 0, but other weights than the undisturbed run's")
    resumed = box.run("sluice-train", "net.ini", "--auto-resume")
    if resumed.code != 0:
        problems.append(f"resuming afterwards: exit code {resumed.code}: {resumed.err}")
    elif digests(box) != digests(reference) or rows(box.text("run/metrics.csv")) != rows(reference.text("run/metrics.csv")):
        problems.append("resumed afterwards: other weights or metrics than the undisturbed run's")
    return problems


def answer(out):
    """What sluice-eval --json says, without times."""
    try:
        return {key: value for key, value in json.loads(out).items() if key not in TIMES}
    except ValueError:
        return out


def check(phase, reference, options):
    """One run with a fault: (what is wrong, calls, what failed)."""
    with phase.start() as box:
        before = box.tree()
        code, out, err, calls, failed = run(box, options, phase.command)
        errors = [line for line in err.splitlines() if not line.startswith("warning: ")]
        # Who cannot write to stderr cannot say so there.
        allowed = {0: [0], -1: []}.get(code, [0, 1] if " 2 " in failed else [1])
        problems = []
        if code not in CODES or len(errors) not in allowed:
            problems.append("hang" if code == -1 else f"exit code {code}, stderr:\n{err}")
        if phase.name == "eval":
            if code == 0 and answer(out) != reference.answer:
                problems.append(f"another answer: {out}")
            if {**box.tree(), "report": ""} != {**before, "report": ""}:
                problems.append("files changed")
        else:
            problems += check_training(box, reference, code)
        return problems, calls, failed


def prepare(reference, started):
    """An undisturbed run, and one that was killed after its first step."""
    for box in (reference, started):
        box.write("net.ini", RUN)
        subprocess.run([TOOLS + "/forge", "dataset", box.at("train.h5"), "images=24x6x5x3", "labels=24"], check=True)
        subprocess.run([TOOLS + "/forge", "dataset", box.at("test.h5"), "images=10x6x5x3", "labels=10"], check=True)
    reference.ok("sluice-train", "net.ini")
    paced = Paced(started, "sluice-train", "net.ini")
    paced.steps(1)
    paced.process.kill()
    paced.end()
    reference.answer = answer(reference.ok("sluice-eval", "run/weights.h5", "--json").out)


def numbers(arguments, calls, rng):
    beyond = range(min(arguments.first, calls) + 1, calls + 1)
    return [*range(1, len(range(calls)[:arguments.first]) + 1), *sorted(rng.sample(beyond, min(arguments.sample, len(beyond))))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="every call up to the N-th (long run: 200)")
    parser.add_argument("--sample", type=int, default=6, metavar="M", help="so many of the calls beyond, at random")
    parser.add_argument("--phase", choices=["train", "resume", "eval"], help="this one only")
    parser.add_argument("--at", type=int, metavar="N", help="this call only, with --variant")
    parser.add_argument("--variant", type=int, metavar="K", help="the K-th of the errors that fit the call; otherwise at random")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    failing = wrong = hangs = 0
    with Sandbox() as reference, Sandbox() as started, Sandbox() as fresh:
        prepare(reference, started)
        shutil.copytree(reference.path, fresh.path, dirs_exist_ok=True)
        shutil.rmtree(fresh.at("run"))
        phases = [Phase("train", fresh, "sluice-train", "net.ini"), Phase("resume", started, "sluice-train", "net.ini", "--resume"),
                  Phase("eval", reference, "sluice-eval", "run/weights.h5", "--json")]
        for phase in phases:
            if arguments.phase not in (None, phase.name):
                continue
            problems, calls, _ = check(phase, reference, [])
            if problems:
                sys.exit(f"{phase.name} without a fault: {problems}")
            for number in [arguments.at] if arguments.at else numbers(arguments, calls, rng):
                variant = rng.randrange(60) if arguments.variant is None else arguments.variant
                problems, _, failed = check(phase, reference, [f"--at={number}", f"--variant={variant}"])
                failing, wrong, hangs = failing + bool(failed), wrong + bool(problems), hangs + ("hang" in problems)
                if problems:
                    print(f"FAILED --phase={phase.name} --at={number} --variant={variant}: {failed}\n" + "\n".join(problems) + "\n",
                          flush=True)
            print(f"{phase.name}: {calls} calls", flush=True)
    print(f"{failing} failing calls, {wrong} handled wrongly, {hangs} of them hangs")
    sys.exit(1 if wrong or not failing else 0)


if __name__ == "__main__":
    main()
