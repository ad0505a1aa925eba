"""kill -9 at random moments of a training, again and again: the newest checkpoint is always whole, and the run that is resumed
at last ends bit-equal to one that was never interrupted."""
import os
import random
import signal
import sys
import time

from harness import Paced, Sandbox
from resume_test import expect, expect_same_end, failures

KILLS = int(os.environ.get("SLUICE_TEST_KILLS", "25"))
RUN = """\
include = net.ini
[data]
synthetic_size = 488
augment = yes
[train]
epochs = 8
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


def kill_somewhere(box, rng):
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
    expect(code == 128 + signal.SIGKILL, f"exit code {code} after kill -9")
    return True


def check_files(box, kill):
    """Every file in place is whole, whatever was going on."""
    if not os.path.isdir(box.at("run/checkpoints")):
        return
    for name in os.listdir(box.at("run/checkpoints")):
        if name.endswith(".tmp"):
            continue
        result = box.run("sluice-inspect", "run/checkpoints/" + name, "--verify")
        expect(result.code == 0, f"kill {kill}: {name}: {result.out}{result.err}")
    for name in ["config.ini", "metrics.csv", "metrics.jsonl"]:
        if os.path.exists(box.at("run/" + name)) and box.read("run/" + name):
            expect(box.read("run/" + name).endswith(b"\n"), f"kill {kill}: {name} ends in the middle of a line")


def killed_run(reference, rng, most):
    """One run, killed up to so many times; returns how often."""
    with Sandbox() as box:
        box.write("run.ini", RUN)
        steps = []
        while len(steps) < most and kill_somewhere(box, rng):
            check_files(box, len(steps) + 1)
            files = os.listdir(box.at("run/checkpoints")) if os.path.isdir(box.at("run/checkpoints")) else []
            steps.append(int(box.newest()[-13:-3]) if any(name.startswith("checkpoint-") for name in files) else 0)
        expect(steps == sorted(steps), f"the newest checkpoint went back: {steps}")
        box.ok("sluice-train", "run.ini", "--auto-resume")
        expect_same_end("killed", box, reference)
        print(f"{len(steps)} kills, newest checkpoints at steps {steps}")
        return len(steps)


if __name__ == "__main__":
    rng = random.Random(int(os.environ.get("SLUICE_TEST_SEED", "7")))
    with Sandbox() as reference:
        reference.write("run.ini", RUN)
        reference.ok("sluice-train", "run.ini", "--auto-resume")
        kills = 0
        while kills < KILLS and not failures:  # another run where the machine is so slow that one is not enough
            kills += killed_run(reference, rng, KILLS - kills)
    sys.exit(1 if failures else 0)
