"""Trainings of several ranks: the same training as with one, the same bits each time, and one run that stops, dies and resumes."""
import csv
import os
import random
import re
import signal
import subprocess
import sys
import time

from harness import BIN, NET, Sandbox
from launchers import LAUNCHERS, launch, start

TRAIN = os.path.join(BIN, "sluice-train")
PLAIN = re.sub(r"\[layer\.bn\].*?(?=\[layer\.relu\])", "", NET, flags=re.S)  # batch normalisation is of each rank alone
GATED = NET.replace("[layer.pool]", "[layer.cg]\ntype = cg_conv\nchannels = 4\nkernel = 3\npad = 1\npartitions = 2\ntwo_norms = yes\n"
                    "[layer.relu2]\ntype = relu\n[layer.pool]")
problems = []


def expect(what, found, expected):
    if found != expected:
        problems.append(f"{what}:\n  {found}\nexpected:\n  {expected}")


def rows(box, run):
    with open(box.at(run + "/metrics.csv"), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digest(result):
    found = re.search(r"digest of the last weights (\w+)", result.out)
    return found.group(1) if found else result.err


def train(box, launcher, count, *options):
    return launch(launcher, count, [TRAIN, "net.ini", *options], cwd=box.path)


def same_training(launcher, net, *options):
    """Ranks change nothing but the order of additions, where nothing is normalised by a rank's own images."""
    with Sandbox() as box:
        box.write("net.ini", net)
        alone = box.ok("sluice-train", "net.ini", "--run.dir=one")
        one = rows(box, "one")
        for count in (1, 2, 3):
            result = train(box, launcher, count, f"--run.dir=r{count}", *options)
            if count == 1:
                expect(f"{launcher.name}: one rank: bits", digest(result), digest(alone))
            expect(f"{launcher.name} {count}: code", (result.code, result.err), (0, ""))
            several = rows(box, f"r{count}")
            expect(f"{count}: epochs", [(r["epoch"], r["step"]) for r in several], [(r["epoch"], r["step"]) for r in one])
            for mine, theirs in zip(several, one):
                for column in ("train_loss", "val_loss", "gradient_norm", "lr"):
                    a, b = float(mine[column]), float(theirs[column])
                    expect(f"{launcher.name} {count}: {column} {a} near {b}", abs(a - b) <= 1e-4 * abs(b), True)
                expect(f"{count}: val_accuracy", mine["val_accuracy"], theirs["val_accuracy"])


def same_bits(launcher):
    """With batch normalisation too; and a run that another number of ranks continues."""
    with Sandbox() as box:
        a, b = (train(box, launcher, 3, f"--run.dir={run}") for run in ("a", "b"))
        expect(f"{launcher.name}: twice the same ranks", (a.code, digest(a)), (0, digest(b)))
        expect("code", train(box, launcher, 2, "--run.dir=c", "--train.epochs=1").code, 0)
        result = train(box, launcher, 3, "--run.dir=c", "--train.epochs=3", "--resume")
        expect(f"{launcher.name}: other ranks: {result.err}", result.code, 0)
        expect("epochs", [r["epoch"] for r in rows(box, "c")], ["1", "2", "3"])


def ranks_of(process):
    """The processes of sluice-train below a launcher."""
    found = subprocess.run(["ps", "-eo", "pid,sid,comm"], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in found.splitlines()[1:]]
    below = {process.pid}
    tree = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in tree.splitlines()[1:]]
    for _ in range(5):
        below |= {pid for pid, parent in parents if parent in below}
    return [int(pid) for pid, _, name in lines if name.startswith("sluice-train") and int(pid) in below]


LONG = ("--data.synthetic_size=400", "--train.epochs=30", "--checkpoint.keep=1")


def disturbed(launcher, how):
    """A run that ends early, and the same to its end."""
    with Sandbox() as box:
        whole = train(box, launcher, 2, "--run.dir=whole", *LONG)
        expect("code", whole.code, 0)
        process = start(launcher, 2, [TRAIN, "net.ini", "--run.dir=cut", *LONG], cwd=box.path)
        try:
            until = time.time() + 60
            while time.time() < until and not (os.path.exists(box.at("cut/metrics.csv")) and len(rows(box, "cut")) >= 2):
                time.sleep(0.02)
            how(process)
            begin = time.time()
            _, err = process.communicate(timeout=60)
            expect(f"{launcher.name}: seconds to end below 30", time.time() - begin < 30, True)
        except subprocess.TimeoutExpired:
            problems.append(f"{launcher.name}: hangs after {how.__name__}")
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        expect(f"{launcher.name}: ended early ({err})", process.returncode != 0, True)
        if how is one_is_stopped:
            expect(f"{launcher.name}: code of a stop", process.returncode, 75)
        result = train(box, launcher, 2, "--run.dir=cut", "--resume", *LONG)
        expect(f"{launcher.name}: resumed: {result.err}", result.code, 0)
        expect(f"{launcher.name}: bits after {how.__name__}", digest(result), digest(whole))


def one_is_killed(process):
    os.kill(random.choice(ranks_of(process)), signal.SIGKILL)


def one_is_stopped(process):
    os.kill(random.choice(ranks_of(process)), signal.SIGTERM)


def mistakes_are_said_once(launcher):
    with Sandbox() as box:
        result = train(box, launcher, 3, "--train.batch=2")
        message = ("sluice-train: command line: [train] batch: a batch of 2 does not give each of 3 ranks an image; "
                   "raise it, or start fewer\n")
        expect("too many ranks", (result.err.count(message), result.err.count("sluice-train: ")), (1, 1))
        expect("code", result.code, 2)
        result = train(box, launcher, 2, "--train.accumulate=2")
        message = ("sluice-train: command line: [train] accumulate: is for one process; each of 2 ranks computes its share "
                   "of a batch at once: leave it at 1\n")
        expect("parts of a step", (result.code, result.err.count(message)), (2, 1))
        result = train(box, launcher, 2, "--train.batsh=2")
        lines = [line for line in result.err.splitlines() if "batsh" in line]
        expect("unknown key", (result.code, len(lines)), (2, 1))
        result = train(box, launcher, 2, "--optimizer.lr=1e38")
        lines = [line for line in result.err.splitlines() if "training diverged" in line]
        expect(f"diverges: {result.err}", (result.code, len(lines)), (4, 1))
        expect("names the rank", "on rank " in lines[0] if lines else "", True)


def main():
    launchers = [each for each in LAUNCHERS if each.is_there(os.path.join(BIN, "..", "lib"))]
    if not launchers:
        print("no MPI launcher with an engine")
        return 77
    for launcher in launchers:
        same_training(launcher, PLAIN)
        same_training(launcher, NET, "--distributed.sync_batchnorm=yes")
        same_training(launcher, GATED, "--distributed.sync_batchnorm=yes")
        same_bits(launcher)
        disturbed(launcher, one_is_killed)
        disturbed(launcher, one_is_stopped)
        mistakes_are_said_once(launcher)
    print("\n".join(problems) or "all right")
    return 1 if problems else 0


sys.exit(main())
