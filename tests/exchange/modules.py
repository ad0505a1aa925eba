"""What the modules that sluice-export writes for PyTorch answer, and what they learn in a step, beside Sluice."""
import glob
import importlib.util
import os

import h5py
import numpy as np
import torch
import torch.nn.functional as F

from exchanged import Comparison, Sluice, images_for, input_shape

TARGET, PENALTY = 1.0, 1e-3  # of the gating loss
STEP_IMAGES, TRIES = 2, 4
STEP = ["--data.kind=hdf5", "--data.dir=.", "--data.validation=0", "--data.mean=0.45", "--data.std=0.25", "--run.threads=2",
        "--train.epochs=1", "--optimizer.lr=0.001", "--optimizer.momentum=0.9", "--run.winograd=no"]


def module_of(path):
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels_of(module, images):
    mean, std = (np.asarray(v).reshape(-1, 1, 1) for v in (module.MEAN, module.STD))
    return torch.from_numpy(((images.transpose(0, 3, 1, 2) / 255 - mean) / std).astype(np.float32))


class Rounded:
    """How many numbers quantised layers round."""

    def __init__(self, module, network):
        self.count = 0
        quantised = getattr(module, "Quantized", ())
        for layer in network.modules():
            if quantised and isinstance(layer, quantised):
                layer.register_forward_pre_hook(self.add)

    def add(self, _, sources):
        self.count += sources[0].numel()


def answers(module, network, images):
    """Logits and decisions, as the outputs of other programs are compared."""
    rounded = Rounded(module, network)
    with torch.no_grad():
        outputs = {"logits": network(pixels_of(module, images)).numpy()}
    for name, layer in network.named_modules():
        if getattr(layer, "gates", None) is not None:
            outputs[f"{name}/open"] = layer.gates.numpy() > 0
    return outputs, rounded.count


def check_answers(box, checkpoint, weights="weights.safetensors"):
    box.ok("sluice-export", checkpoint, "--pytorch", "model.py", weights)
    images = images_for(input_shape(box, checkpoint))
    sluice = Sluice(box, checkpoint, images)
    module = module_of(box.at("model.py"))
    outputs, rounded = answers(module, module.load(box.at(weights)), images)
    comparison = Comparison(os.path.splitext(weights)[1][1:], outputs, sluice, rounded)
    print(f"  {comparison.text}")
    return comparison.problems


def write_set(box, images):
    labels = np.random.default_rng(6).integers(0, 10, len(images))
    for name in ("train.h5", "test.h5"):
        with h5py.File(box.at(name), "w") as file:
            file["images"], file["labels"] = images, labels
            file["images"].attrs["layout"] = "NHWC"
    return torch.from_numpy(labels)


def gating_loss(network):
    """As docs/export.md has it."""
    loss = 0
    for layer in network.modules():
        if hasattr(layer, "threshold"):
            distance = (layer.threshold - TARGET).square().sum()
            loss = loss + PENALTY * (distance.sqrt() if type(layer).__name__ == "PGConv2d" else distance)
    return loss


def tensors_of(file, group):
    """By PyTorch's names."""
    found = {}
    if group not in file:
        return found

    def visit(path, item):
        if isinstance(item, h5py.Dataset):
            layer, name = path.rsplit("/", 1)
            found[f"{layer}.{name}".replace("gate_running_", "bn.running_")] = item[()]
    file[group].visititems(visit)
    return found


def differences(what, ours, theirs):
    """Largest ones relative to the tensor's own largest number (or a small part of the largest of all: biases before a
    normalisation have no gradient but rounding), and what is wrong."""
    worst, problems = 0, []
    least = 3e-4 * max((np.abs(mine).max() for mine in ours.values()), default=0)
    for name, mine in ours.items():
        if name not in theirs and not mine.any():  # what the answer does not depend on
            continue
        if name not in theirs:
            problems.append(f"{what}: no {name}")
            continue
        error = float(np.abs(theirs[name].reshape(mine.shape) - mine).max() / max(np.abs(mine).max(), least))
        worst = max(worst, error)
        if not error <= 1e-3:
            problems.append(f"{what} of {name} differ by {error:.1e}")
    print(f"  {what} of {len(ours)} tensors: largest difference {worst:.1e}")
    return problems


def check_step(box, checkpoint, config="net.ini", options=()):
    """One step of training with the same images: gradients, and what forward changes. Where rounding turns a decision, or
    a value around 0, what follows is another step: then other images tell."""
    box.ok("sluice-export", checkpoint, "--pytorch", "model.py", "weights.safetensors")
    images = images_for(input_shape(box, checkpoint))
    problems = []
    for first in range(0, TRIES * STEP_IMAGES, STEP_IMAGES):
        problems = check_step_with(box, checkpoint, images[first:first + STEP_IMAGES], config,
                                   [*options, f"--run.dir=step{first}"])
        if not problems:
            break
    return problems


def check_step_with(box, checkpoint, images, config, options):
    labels = write_set(box, images)
    module = module_of(box.at("model.py"))
    network = module.load(box.at("weights.safetensors")).train()
    loss = F.cross_entropy(network(pixels_of(module, images)), labels) + gating_loss(network)
    loss.backward()
    box.ok("sluice-train", config, *STEP, f"--train.init={checkpoint}", f"--train.batch={len(images)}",
           f"--gating_loss.target={TARGET}", f"--gating_loss.penalty={PENALTY}", *options)
    run = options[-1].split("=")[1]
    with h5py.File(glob.glob(box.at(f"{run}/checkpoints/*.h5"))[0], "r") as file:
        gradients, buffers = tensors_of(file, "optimizer/momentum"), tensors_of(file, "buffers")
    state = network.state_dict(keep_vars=True)
    theirs = {name: tensor.grad.numpy() for name, tensor in state.items() if tensor.grad is not None}
    state = {name: tensor.detach().numpy() for name, tensor in state.items()}
    problems = [] if gradients else ["no gradients"]
    return problems + differences("gradients", gradients, theirs) + differences("buffers", buffers, state)
