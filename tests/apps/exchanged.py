"""Networks whose answers are compared with those of other programs, and what Sluice answers."""
import os
import subprocess

import numpy as np

from harness import SOURCE, TOOLS

IMAGES = 32
TRAIN = ["--data.kind=synthetic", "--data.synthetic_size=64", "--data.synthetic_test_size=8", "--data.validation=0",
         "--data.mean=0.45", "--data.std=0.25", "--train.epochs=1", "--train.batch=16", "--run.threads=2"]
GATE = "[type.cg_conv]\nthreshold_init = 0.5\n"

# Name, network of configs/networks, what stands behind it.
NETWORKS = [
    ("lenet", "lenet", ""),
    ("lenet, average pools, bounds", "lenet", "[define]\npool = average_pool\nactivation = pact_relu\n"),
    ("mobilenetv1", "mobilenetv1", ""),
    ("resnet18", "resnet18", ""),
    ("resnet20", "resnet20", ""),
    ("vgg16", "vgg16", ""),
    ("channel gates", "resnet20", "[define]\ngated_conv = cg_conv\nsecond_conv = cg_conv\n" + GATE),
    ("channel gates in groups, shuffled", "resnet20",
     "[define]\ngated_conv = cg_conv\n" + GATE + "own_chunk = yes\nshuffle = yes\npartitions = 2\n"),
    ("channel gates with two norms", "resnet20",
     "[define]\nblock = two_norms\ngated_conv = cg_conv\nsecond_conv = cg_conv\n" + GATE + "two_norms = yes\n"),
    ("channel gates by slices", "resnet20", "[define]\ngated_conv = cg_conv\n" + GATE + "granularity = slice\n"),
    ("channel gates by pixels", "resnet20", "[define]\ngated_conv = cg_conv\n" + GATE + "granularity = pixel\n"),
    ("channel gates by images", "resnet20", "[define]\ngated_conv = cg_conv\n[type.cg_conv]\ngranularity = channel\n"),
    ("whole channels", "resnet20_channels", "[type.channel_gate]\ninit_scale = 1\nthreshold_init = 0.1\n"),
    ("precision gates", "resnet20", "[define]\ngated_conv = pg_conv\nsecond_conv = pg_conv\n[type.pg_conv]\nactivation_bits = 4\n"),
    ("one-bit weights", "resnet20_onebit", "[define]\nblocks = 1\ngated_conv = pg_conv\n"),
    ("quantised", "resnet20", "[define]\ngated_conv = quantized_conv\nsecond_conv = quantized_conv\n"),
    ("quantised to 3 bits", "resnet20",
     "[define]\ngated_conv = quantized_conv\n[type.quantized_conv]\nactivation_bits = 3\nweight_bits = 3\n"),
]


def images_for(shape):
    """Smooth random images, N x H x W x C bytes."""
    channels, height, width = shape
    random = np.random.default_rng(5)
    coarse = random.uniform(0, 255, (IMAGES, (height + 3) // 4, (width + 3) // 4, channels))
    images = coarse.repeat(4, 1).repeat(4, 2)[:, :height, :width] + random.normal(0, 24, (IMAGES, height, width, channels))
    return np.clip(images, 0, 255).astype(np.uint8)


class Sluice:
    """What Sluice answers for images: logits, and decisions by layer (N x C x H x W) or their sums."""

    def __init__(self, box, checkpoint, images):
        box.write("images", images.tobytes())
        run = subprocess.run([os.path.join(TOOLS, "answers"), checkpoint, "images", str(len(images)), "answer"], cwd=box.path,
                             capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise AssertionError(f"answers {checkpoint}: {run.stderr}")
        self.logits = np.frombuffer(box.read("answer.logits"), np.float32).reshape(len(images), -1)
        self.decisions, self.open = {}, {}
        for line in run.stdout.splitlines():
            number, name, count, recorded = line.split()
            self.open[name] = int(count)
            if recorded == "1":
                self.decisions[name] = np.frombuffer(box.read(f"answer.{number}"), np.uint8)


def differing(theirs, ours):
    """Which decisions of each image are not the same: theirs N x C x H x W or 1 of a size, ours N x H x W x C."""
    count, channels, *pixels = theirs.shape
    if all(size == 1 for size in pixels):  # one for a channel
        return (ours.reshape(count, -1, channels) != theirs.reshape(count, 1, channels)).any(axis=1)
    ours = ours.reshape(count, *pixels, -1).transpose(0, 3, 1, 2)
    return (np.broadcast_to(theirs, ours.shape) != ours).reshape(count, -1)


class Comparison:
    """Of one program's outputs with Sluice's. What differs in an image after its first differing decision follows from that:
    of gates, differences count in the first layer that has any. Where numbers are rounded to levels as well (`levels` of them
    in all images), the first may be a level, which nobody sees: then an image in which anything differs counts as one."""

    def __init__(self, who, outputs, sluice, levels):
        self.who, self.problems = who, []
        logits = outputs["logits"]
        decisions = levels
        different = 0
        same = np.ones(len(logits), bool)
        for name, ours in sluice.decisions.items():
            differ = differing(outputs[f"{name}/open"], ours.astype(bool))
            decisions += differ.size
            different += int(differ[same].sum())
            same &= ~differ.any(axis=1)
        error = np.abs(logits - sluice.logits).max(axis=1) / np.abs(sluice.logits).max()
        if levels:
            same &= error <= 1e-4
            different = int((~same).sum())
        self.error = float(error[same].max(initial=0))
        counted = [(int(outputs[f"{name}/open"].sum()), sluice.open[name]) for name in sluice.open.keys() - sluice.decisions.keys()]
        counts = f", {sum(t for t, _ in counted)} against {sum(o for _, o in counted)} gates open" if counted else ""
        self.text = (f"{who}: largest difference {self.error:.1e}, {int((logits.argmax(1) == sluice.logits.argmax(1)).sum())} of "
                     f"{len(logits)} classes equal" + (f", {different} of {decisions} decisions differ" if decisions else "") +
                     counts)
        if not np.isfinite(logits).all():
            self.problems.append("logits that are not finite")
        if different * 100000 > decisions:
            self.problems.append(f"{different} of {decisions} decisions differ")
        if not self.error <= 1e-4:
            self.problems.append(f"logits differ by {self.error:.1e} where no decision does")
        if not all(abs(theirs - ours) <= 1e-3 * ours for theirs, ours in counted):
            self.problems.append(f"counts of open gates differ: {counted}")


def input_shape(box, checkpoint):
    config = box.ok("sluice-inspect", checkpoint, "--config").out
    line = next(line for line in config.splitlines() if line.startswith("input = "))
    return [int(size) for size in line.split("#")[0].split("=")[1].strip().split("x")]


def train(box, network, text, run="run", options=()):
    box.write("net.ini", f"include = {SOURCE}/configs/networks/{network}.ini\n{text}")
    image = "1x28x28" if network == "lenet" else "3x32x32"
    box.ok("sluice-train", "net.ini", f"--data.synthetic_image={image}", f"--run.dir={run}", *TRAIN, *options)
    return f"{run}/weights.h5"
