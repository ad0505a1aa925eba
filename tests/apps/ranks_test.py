"""Trainings of several ranks: the same training as with one, the same bits each time, and one run that stops, dies and resumes."""
import csv
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

from harness import BIN, NET, Sandbox
from launchers import LAUNCHERS, launch, launch_each, ranks_of, start

TRAIN = os.path.join(BIN, "sluice-train")
BENCH = os.path.join(BIN, "sluice-bench")
PLAIN = re.sub(r"\[layer\.bn\].*?(?=\[layer\.relu\])", "", NET, flags=re.S)  # batch normalisation is of each rank alone
GATED = NET.replace("[layer.pool]", "[layer.cg]\ntype = cg_conv\nchannels = 4\nkernel = 3\npad = 1\npartitions = 2\ntwo_norms = yes\n"
                    "[layer.relu2]\ntype = relu\n[layer.pool]")
QUANTIZED = NET.replace("type = relu", "type = pact_relu").replace("[layer.pool]", "[layer.pg]\ntype = pg_conv\nchannels = 4\n"
                                                                       "kernel = 3\npad = 1\n[layer.pool]")
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


def said(result):
    """Without the warning that tests have fewer processors than ranks."""
    return "".join(line for line in result.err.splitlines(True) if not re.match(r"warning: ranks [-0-9,]+ on ", line))


def same_training(launcher, net, *options):
    """Ranks change nothing but the order of additions, where nothing is normalised by a rank's own images."""
    with Sandbox() as box:
        box.write("net.ini", net)
        alone = box.ok("sluice-train", "net.ini", "--run.dir=one", *options)
        one = rows(box, "one")
        for count in (1, 2, 3):
            result = train(box, launcher, count, f"--run.dir=r{count}", *options)
            if count == 1:
                expect(f"{launcher.name}: one rank: bits", digest(result), digest(alone))
            expect(f"{launcher.name} {count}: code", (result.code, said(result)), (0, ""))
            several = rows(box, f"r{count}")
            expect(f"{count}: epochs", [(r["epoch"], r["step"]) for r in several], [(r["epoch"], r["step"]) for r in one])
            for mine, theirs in zip(several, one):
                for column in ("train_loss", "val_loss", "gradient_norm", "lr"):
                    a, b = float(mine[column]), float(theirs[column])
                    expect(f"{launcher.name} {count}: {options}: {column} {a} near {b}", abs(a - b) <= 1e-4 * abs(b), True)
                expect(f"{count}: val_accuracy", mine["val_accuracy"], theirs["val_accuracy"])


def scaled_rates(launcher):
    """batch = per_rank is another way to write the batch and the learning rate of all."""
    with Sandbox() as box:
        for scaling, rate in (("none", 0.05), ("linear", 0.1), ("sqrt", 0.05 * 2 ** 0.5)):
            whole = train(box, launcher, 2, f"--run.dir={scaling}", f"--optimizer.lr={rate!r}")
            each = train(box, launcher, 2, f"--run.dir={scaling}-each", "--train.batch=4", "--optimizer.lr=0.05",
                         "--distributed.batch=per_rank", f"--distributed.lr_scaling={scaling}")
            expect(f"{launcher.name}: {scaling}", (each.code, digest(each)), (0, digest(whole)))
            expect("line", re.search(r"batch of 8 images, learning rate ([0-9.]+)", each.out) is not None, True)


def half_the_bytes(launcher):
    """Gradients in bf16: the same bits each time, and nearly the same training."""
    with Sandbox() as box:
        whole, *halves = (train(box, launcher, 2, f"--run.dir={run}", f"--distributed.gradients={wire}")
                          for run, wire in (("whole", "fp32"), ("a", "bf16"), ("b", "bf16")))
        expect(f"{launcher.name}: bf16 twice", digest(halves[0]), digest(halves[1]))
        expect("rounds", digest(halves[0]) != digest(whole), True)
        helped = train(box, launcher, 2, "--run.dir=helped", "--distributed.progress=thread")
        expect(f"{launcher.name}: a thread looks after transfers", digest(helped), digest(whole))
        for mine, theirs in zip(rows(box, "a"), rows(box, "whole")):
            a, b = float(mine["train_loss"]), float(theirs["train_loss"])
            expect(f"bf16: loss {a} near {b}", abs(a - b) <= 1e-2 * b, True)


def start_up_report(launcher):
    with Sandbox() as box:
        result = train(box, launcher, 3)
        host = socket.gethostname()
        expect("library", re.findall(r"^3 ranks over (\S+).* \(\S.*\)$", result.out, re.M), [launcher.library.split()[0]])
        for rank in range(3):
            line = rf"^  rank {rank} \({re.escape(host)}\): .*; processors [-0-9,]+.*$"
            expect("where a rank runs", len(re.findall(line, result.out, re.M)), 1)
        crowded = len(os.sched_getaffinity(0)) < 3
        expect("crowd", f"warning: ranks 0-2 on {host} have 3 threads on the same " in result.err, crowded)


def one_is_not_finite(launcher):
    """Images of one rank alone become infinite: it is named, and the first of its layers, not that of another that their
    common statistics spoil."""
    for options in ((), ("--distributed.sync_batchnorm=yes",)):
        with Sandbox() as box:
            box.write("net.ini", NET.replace("std = 0.25", "std = ${env:STD}"))
            result = launch_each(launcher, [["env", f"STD={std}", TRAIN, "net.ini", *options] for std in ("0.25", "1e-39")],
                                 cwd=box.path)
            lines = [line for line in result.err.splitlines() if line.startswith("sluice-train: ")]
            expect(f"{launcher.name}: code {result.err}", (result.code, len(lines)), (4, 1))
            expected = (r"sluice-train: on rank 1 \(\S+\): training diverged at epoch 1, step 0: loss is -?(nan|inf); "
                        r"layer conv is the first whose result is not finite; ")
            expect(f"names rank and layer: {lines}", any(re.match(expected, line) for line in lines), True)


def speed_of_ranks(launcher):
    """sluice-bench counts what is on the wire: of 144 gradients and 32 running statistics, gaps between layers included, each of two
    ranks sends half, twice."""
    with Sandbox() as box:
        for wire, sent in (("fp32", 2 * 4 * (72 + 16)), ("bf16", 2 * (2 * 72 + 4 * 16))):
            result = launch(launcher, 2, [BENCH, "net.ini", "--ranks", "--predict", "--json", "--steps=3", f"--distributed.gradients={wire}"],
                            cwd=box.path)
            expect(f"{launcher.name}: code {result.err}", result.code, 0)
            if result.code != 0:
                continue
            said = json.loads(result.out)
            expect("what is sent", (said["ranks"], said["own_batch"], said["gradients"], said["bytes_sent"]), (2, 4, wire, sent))
            expect("early bytes", 0 <= said["bytes_early"] <= sent, True)
            expect("times", min(said[name] for name in ("step_ms", "apart_ms", "alone_ms", "predicted_ms", "bytes_per_ms")) > 0, True)
            expect("predicted", [row["ranks"] for row in said["prediction"]], [8, 16, 32, 64, 128, 256, 512, 1024])
        result = launch(launcher, 2, [BENCH, "net.ini", "--ranks", "--steps=2"], cwd=box.path)
        expect("text", (result.code, "704 bytes) sent by a rank in a step, fp32 in 2 buckets" in result.out), (0, True))
        for options, message in ((["--ranks"], "--ranks: this is a single process; start it with a launcher: mpirun -n 2 sluice-bench "
                                  "CONFIG.ini --ranks"), (["--predict"], "--predict goes with --ranks")):
            result = box.run("sluice-bench", "net.ini", *options)
            expect("alone", (result.code, result.err), (2, f"sluice-bench: command line: {message}\n"))


def same_bits(launcher):
    """With batch normalisation too; and a run that another number of ranks continues."""
    with Sandbox() as box:
        a, b = (train(box, launcher, 3, f"--run.dir={run}") for run in ("a", "b"))
        expect(f"{launcher.name}: twice the same ranks", (a.code, digest(a)), (0, digest(b)))
        expect("code", train(box, launcher, 2, "--run.dir=c", "--train.epochs=1").code, 0)
        result = train(box, launcher, 3, "--run.dir=c", "--train.epochs=3", "--resume")
        expect(f"{launcher.name}: other ranks: {result.err}", result.code, 0)
        expect("epochs", [r["epoch"] for r in rows(box, "c")], ["1", "2", "3"])


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


def one_is_stopped_before_it_is_connected(launcher):
    """It waits for the other, tells it, and both end."""
    hears = 'until grep -q sluice-train /proc/$$/comm && grep -Eq "^SigCgt:.*[2367abef]..$" /proc/$$/status; do sleep 0.05; done'
    told = f'({hears}; kill -USR1 $$; touch told) & exec "$@"'
    late = 'until [ -e told ]; do sleep 0.05; done; exec "$@"'
    with Sandbox() as box:
        box.write("net.ini", NET)
        command = [TRAIN, "net.ini", "--run.dir=stopped"]
        result = launch_each(launcher, [["sh", "-c", what, "sh", *command] for what in (late, told)], cwd=box.path)
        lines = [line for line in result.err.splitlines() if line.startswith("sluice-train: ")]
        expect(f"{launcher.name}: stopped before it is connected", (result.code, lines),
               (75, [f"sluice-train: rank 1 ({socket.gethostname()}): stopped before the first step: received SIGUSR1; nothing is lost, "
                     "start again with the same command"]))
        expect("leaves nothing", os.path.exists(box.at("stopped")), False)


def mistakes_are_said_once(launcher):
    with Sandbox() as box:
        result = train(box, launcher, 3, "--train.batch=2")
        message = ("sluice-train: command line: [train] batch: a batch of 2 does not give each of 3 ranks an image; "
                   "raise it, or start fewer\n")
        expect("too many ranks", (result.err.count(message), result.err.count("sluice-train: ")), (1, 1))
        expect("code", result.code, 2)
        result = train(box, launcher, 3, "--train.accumulate=4")
        message = ("sluice-train: command line: [train] accumulate: a part of 2 does not give each of 3 ranks an image; lower "
                   "it, or start fewer\n")
        expect("parts of a step", (result.code, result.err.count(message)), (2, 1))
        result = train(box, launcher, 2, "--train.batch=1000000", "--distributed.batch=per_rank")
        message = ("sluice-train: command line: [train] batch: 1000000 images on each of 2 ranks are 2000000, at most 1048576 are "
                   "allowed; lower it\n")
        expect("too large a batch", (result.code, result.err.count(message)), (2, 1))
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
        same_training(launcher, PLAIN, "--data.mean=measure", "--data.std=measure")
        same_training(launcher, NET, "--distributed.sync_batchnorm=yes")
        same_training(launcher, GATED, "--distributed.sync_batchnorm=yes")
        same_training(launcher, QUANTIZED, "--distributed.sync_batchnorm=yes")
        same_training(launcher, PLAIN, "--train.accumulate=2", "--data.mixup=0.4", "--data.cutmix=1")
        same_training(launcher, NET, "--train.accumulate=2", "--distributed.sync_batchnorm=yes", "--optimizer.type=lars")
        scaled_rates(launcher)
        half_the_bytes(launcher)
        start_up_report(launcher)
        one_is_not_finite(launcher)
        speed_of_ranks(launcher)
        same_bits(launcher)
        disturbed(launcher, one_is_killed)
        disturbed(launcher, one_is_stopped)
        one_is_stopped_before_it_is_connected(launcher)
        mistakes_are_said_once(launcher)
    print("\n".join(problems) or "all right")
    return 1 if problems else 0


sys.exit(main())
