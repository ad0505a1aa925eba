"""kill -9 of a random rank, again and again, at random moments, also while a run starts: the others end within seconds and not with
code 0, the newest checkpoint is whole, and the run that is resumed at last ends bit-equal to one that was never disturbed."""
import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time

from harness import BIN, NET, Sandbox
from launchers import LAUNCHERS, launch, ranks_of, start

TRAIN = os.path.join(BIN, "sluice-train")
RUN = ["net.ini", "--run.dir=run", "--auto-resume", "--data.synthetic_size=488", "--train.epochs=4", "--checkpoint.interval=0.001"]
SECONDS_TO_END = 30
failures = []


def expect(right, what):
    if not right:
        failures.append(what)


def digest(out):
    found = re.search(r"digest of the last weights (\w+)", out)
    return found.group(1) if found else None


def kill_one(launcher, count, box, rng):
    """Starts or resumes the run and kills one of its ranks; None where it ended before, else seconds until all had ended."""
    process = start(launcher, count, [TRAIN, *RUN], cwd=box.path)
    try:
        until = time.time() + rng.choice([rng.uniform(0, 0.5), rng.uniform(0.5, 3)])
        ranks = []
        while process.poll() is None and (time.time() < until or not ranks):
            time.sleep(0.01)
            ranks = ranks_of(process)
        if process.poll() is not None:
            expect(process.returncode == 0, f"the run failed by itself: {process.returncode}, {process.stderr.read()}")
            return None
        try:
            os.kill(rng.choice(ranks), signal.SIGKILL)
        except ProcessLookupError:
            return None
        begin = time.time()
        process.communicate(timeout=SECONDS_TO_END)
        expect(process.returncode != 0, "code 0 after kill -9 of a rank")
        return time.time() - begin
    except subprocess.TimeoutExpired:
        failures.append(f"{launcher.name}: {count} ranks hang after kill -9 of one")
        return SECONDS_TO_END
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def check_files(box, kill):
    folder = box.at("run/checkpoints")
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.endswith(".h5"):
            result = box.run("sluice-inspect", "run/checkpoints/" + name, "--verify")
            expect(result.code == 0, f"kill {kill}: {name}: {result.out}{result.err}")


def killed_run(launcher, count, most, rng):
    """One run, killed up to so many times: the seconds that each end took."""
    with Sandbox() as reference:
        reference.write("net.ini", NET)
        undisturbed = launch(launcher, count, [TRAIN, *RUN], cwd=reference.path)
        expect(undisturbed.code == 0, f"undisturbed: {undisturbed.err}")
    seconds = []
    with Sandbox() as box:
        box.write("net.ini", NET)
        while len(seconds) < most and not failures:
            taken = kill_one(launcher, count, box, rng)
            if taken is None:
                break
            seconds.append(taken)
            check_files(box, len(seconds))
        result = launch(launcher, count, [TRAIN, *RUN], cwd=box.path)
        expect(result.code == 0, f"resumed: {result.err}")
        digests = [digest(box.text("run/log.txt") if os.path.exists(box.at("run/log.txt")) else ""), digest(undisturbed.out)]
        expect(digests[0] == digests[1] and digests[0], f"{launcher.name}, {count} ranks, {len(seconds)} kills: ends with {digests}")
    print(f"{launcher.name}, {count} ranks: {len(seconds)} kills", flush=True)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=4, help="long run: 100")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    launchers = [each for each in LAUNCHERS if each.is_there(os.path.join(BIN, "..", "lib"))]
    if not launchers:
        print("no MPI launcher with an engine")
        return 77
    rng = random.Random(arguments.seed)
    seconds, runs, most = [], 0, min(10, -(-arguments.kills // len(launchers)))
    while len(seconds) < arguments.kills and not failures:
        launcher, count = launchers[runs % len(launchers)], rng.choice([2, 3])
        seconds += killed_run(launcher, count, min(most, arguments.kills - len(seconds)), rng)
        runs += 1
    print("\n".join(failures))
    print(f"{len(seconds)} kills of ranks in {runs} runs, {len(failures)} failures; all ranks ended within {max(seconds, default=0):.1f} s")
    return 1 if failures else 0


sys.exit(main())
