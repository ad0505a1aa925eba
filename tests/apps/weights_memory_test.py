"""Inference holds the weights once: packed, and from a file too. By the peak of resident memory of networks that differ in weights alone."""
import json
import sys

from harness import Sandbox

LAYERS, WIDTH, SMALL = 12, 1024, 128
MIB = 1 << 20
WEIGHTS = 4 * LAYERS * WIDTH * WIDTH
# What packs a layer in its turn, pages of 2 MiB at both ends, and what else differs from run to run.
SLACK = 10 * MIB


def network(width):
    """A stack of 1x1 convolutions, of 4 MiB each where they are wide."""
    layers = "".join(f"[layer.conv{i}]\ntype = conv\nchannels = {width}\nkernel = 1\n[layer.relu{i}]\ntype = relu\n" for i in range(LAYERS))
    return (f"[network]\ninput = {width}x1x1\n{layers}[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 3\n"
            "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n"
            f"[data]\nkind = synthetic\nsynthetic_image = {width}x1x1\nsynthetic_size = 8\nsynthetic_test_size = 8\nclasses = 3\nmean = 0\nstd = 1\n"
            "[train]\nepochs = 1\nbatch = 8\n[eval]\nbatch = 4\n[run]\ndir = run\nthreads = 1\n")


def peak(box, *arguments):
    return json.loads(box.ok("sluice-bench", *arguments, "--only=infer", "--steps=1", "--json").out)["peak_memory_bytes"]


def expect(condition, text):
    print(("" if condition else "FAILED ") + text)
    return condition


if __name__ == "__main__":
    with Sandbox() as box:
        box.write("small.ini", network(SMALL))
        box.write("net.ini", network(WIDTH))
        box.ok("sluice-train", "net.ini")
        rest, kept, given_back, from_file = (peak(box, *arguments) for arguments in (
            ["small.ini"], ["net.ini", "--plan"], ["net.ini"], ["run/weights.h5"]))
    text = ", ".join(f"{name} {(value - rest) / MIB:.1f}" for name, value in
                     [("weights", WEIGHTS + rest), ("kept", kept), ("given back", given_back), ("from a file", from_file)])
    print(f"MiB above {rest / MIB:.1f}: {text}")
    good = [expect(kept - rest > 1.9 * WEIGHTS, "an inference whose network is used again keeps both"),
            expect(given_back - rest < WEIGHTS + SLACK, "one that is alone holds them once"),
            expect(from_file - rest < WEIGHTS + SLACK, "and so where they come from a file")]
    sys.exit(not all(good))
