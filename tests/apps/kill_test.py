"""kill -9 of a training, again and again, at random moments and just before a random system call (so also inside the writing of a
checkpoint, at the start and at the end): the newest checkpoint is always whole, and the run that is resumed at last ends
bit-equal to one that was never interrupted."""
import argparse
import os
import random
import signal
import sys
import time

from harness import BIN, Paced, Sandbox
from resume_test import expect, expect_same_end, failures

FAIL_CALL = os.environ["SLUICE_FAIL_CALL"]
SKIPPED = 77
KILLED = 128 + signal.SIGKILL
RUN = """\
include = net.ini
[data]
synthetic_size = {images}
augment = yes
[train]
epochs = {epochs}
[ema]
decay = 0.9
[early_stopping]
metric = val_loss
[checkpoint]
interval = 0.000001
keep = 3
[log]
interval = 1e-9
"""


def kill_at_a_moment(box, rng):
    """Starts or resumes the run and kills it; false where it ended before."""
    paced = Paced(box, "sluice-train", "run.ini", "--auto-resume")
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, 0.15))  # while it starts
    elif not paced.steps(rng.randint(1, 12)):
        expect(paced.end() == 0, "the run failed")
        return False
    else:
        time.sleep(rng.choice([0, rng.uniform(0, 0.02)]))
    paced.process.send_signal(signal.SIGKILL)
    code = paced.end()
    expect(code == KILLED, f"exit code {code} after kill -9")
    return True


def under_fail_call(box, *options):
    return box.run(FAIL_CALL, "--report=" + box.at("report"), *options, os.path.join(BIN, "sluice-train"), "run.ini", "--auto-resume")


def kill_before_a_call(calls):
    """The same with a random one of so many system calls."""
    def kill(box, rng):
        result = under_fail_call(box, "--kill", f"--at={rng.randint(1, calls)}")
        expect(result.code in (0, KILLED), f"exit code {result.code} after {box.text('report')}: {result.err}")
        return result.code == KILLED
    return kill


def check_files(box, kill):
    """Every file in place is whole, whatever was going on."""
    if not os.path.isdir(box.at("run")):
        return
    for folder in ["run/", "run/checkpoints/"]:
        for name in os.listdir(box.at(folder)) if os.path.isdir(box.at(folder)) else []:
            if name.endswith(".h5"):
                result = box.run("sluice-inspect", folder + name, "--verify")
                expect(result.code == 0, f"kill {kill}: {name}: {result.out}{result.err}")
    for name in ["config.ini", "metrics.csv", "metrics.jsonl"]:
        if os.path.exists(box.at("run/" + name)) and box.read("run/" + name):
            expect(box.read("run/" + name).endswith(b"\n"), f"kill {kill}: {name} ends in the middle of a line")


def killed_run(reference, rng, most, kill):
    """One run, killed up to so many times; returns how often."""
    with Sandbox() as box:
        box.write("run.ini", reference.read("run.ini"))
        steps = []
        while len(steps) < most and kill(box, rng):
            check_files(box, len(steps) + 1)
            files = os.listdir(box.at("run/checkpoints")) if os.path.isdir(box.at("run/checkpoints")) else []
            steps.append(int(box.newest()[-13:-3]) if any(name.startswith("checkpoint-") for name in files) else 0)
        expect(steps == sorted(steps), f"the newest checkpoint went back: {steps}")
        box.ok("sluice-train", "run.ini", "--auto-resume")
        if os.path.exists(box.at("report")):
            os.remove(box.at("report"))
        expect_same_end("killed", box, reference)
        return len(steps)


def killed_runs(rng, kills, images, epochs, by_call):
    """So many kills, of one run after another: (kills, runs)."""
    with Sandbox() as reference:
        reference.write("run.ini", RUN.format(images=images, epochs=epochs))
        reference.ok("sluice-train", "run.ini", "--auto-resume")
        kill = kill_at_a_moment
        if by_call:
            with Sandbox() as box:
                box.write("run.ini", reference.read("run.ini"))
                counted = under_fail_call(box)
                if counted.code == SKIPPED:
                    print("no kills before a system call: " + counted.err.strip())
                    return 0, 0
                kill = kill_before_a_call(int(box.text("report").split()[1]))
        done = runs = 0
        while done < kills and not failures:
            done, runs = done + killed_run(reference, rng, kills - done, kill), runs + 1
        return done, runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=16, help="half of them at moments, half before system calls (long run: 300)")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    random_source = random.Random(arguments.seed)
    kills_done, runs_done = (sum(pair) for pair in zip(killed_runs(random_source, arguments.kills // 2, 488, 8, False),
                                                      killed_runs(random_source, (arguments.kills + 1) // 2, 40, 2, True)))
    print(f"{kills_done} kills in {runs_done} runs, {len(failures)} failures")
    sys.exit(1 if failures else 0)
