"""Training and evaluation take no more memory as they go on: resident memory, several times some hundred steps apart."""
import os
import re
import sys

from harness import Paced, Sandbox

# Some megabytes of activations, so that a batch which is not given back shows at once.
RUN = """\
include = net.ini
[network]
input = 2x24x20
[layer.conv]
channels = 16
[data]
synthetic_image = 2x24x20
synthetic_size = 648
augment = yes
workers = 2
[train]
epochs = 1000
batch = 32
[ema]
decay = 0.9
[checkpoint]
every_epochs = 1
[log]
interval = 1e-9
"""
STEPS = (100, 450, 800)
SLACK_KIB = 512


def resident_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))


if __name__ == "__main__":
    # Which thread first allocates what is chance, and each would get an arena of its own.
    os.environ["MALLOC_ARENA_MAX"] = "1"
    with Sandbox() as box:
        box.write("run.ini", RUN)
        paced = Paced(box, "sluice-train", "run.ini")
        done, resident = 0, []
        for step in STEPS:
            if not paced.steps(step - done):
                sys.exit(f"the run ended before step {step}")
            done = step
            resident.append(resident_kib(paced.process))
        paced.process.terminate()
        code = paced.end()
    print(f"resident memory at steps {STEPS}: {resident} KiB")
    if code != 75:
        sys.exit(f"exit code {code}")
    # What is not given back shows in every span; an allocator may once take a megabyte more.
    growth = min(later - earlier for earlier, later in zip(resident, resident[1:]))
    sys.exit(f"grew by {growth} KiB in every span" if growth > SLACK_KIB else 0)
