"""A researcher's way: torchvision's ResNet-18 goes through torch.onnx.export into Sluice, is gated and trained there, and
goes on to ONNX Runtime and back to PyTorch, with the same answers everywhere.
Wants the packages torch, torchvision, onnx, onnxruntime and h5py; skipped without them."""
import os
import sys

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the packages
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

try:
    import h5py
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    import torchvision
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from exchanged import TRAIN, Comparison, Sluice, images_for
from harness import Sandbox
from modules import answers, check_step, module_of

MEAN, STD = 0.45, 0.25
GATE = "cg_conv:partitions=4,threshold_init=0"


def resnet18():
    """For 32x32 images, with statistics that normalisation has to use."""
    torch.manual_seed(3)
    model = torchvision.models.resnet18(weights=None, num_classes=10)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = torch.nn.Identity()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def pixels_of(images):
    return ((images.transpose(0, 3, 1, 2) / 255 - MEAN) / STD).astype(np.float32)


def run_onnxruntime(path, pixels):
    """Logits and decisions."""
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "Greater" and node.name.endswith("/open"):
            model.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.BOOL, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": pixels})))


def compare(who, outputs, sluice):
    comparison = Comparison(who, outputs, sluice, 0)
    counts = {name: (int(outputs[f"{name}/open"].sum()), count) for name, count in sluice.open.items()}
    print(f"{comparison.text}; gates open: {sum(t for t, _ in counts.values())} and {sum(o for _, o in counts.values())}",
          flush=True)
    problems = list(comparison.problems)
    if (outputs["logits"].argmax(1) != sluice.logits.argmax(1)).any():
        problems.append("other classes")
    problems += [f"{name}: {theirs} gates open, {ours} in Sluice" for name, (theirs, ours) in counts.items()
                 if abs(theirs - ours) > 1e-3 * ours]  # beside what follows from a differing one
    return [f"{who}: {problem}" for problem in problems]


def import_and_compare(box, model, images):
    torch.onnx.export(model, torch.zeros(1, 3, 32, 32), box.at("model.onnx"), dynamo=False)
    box.ok("sluice-import", "model.onnx", "-o", "dense.h5", "--config=dense.ini", f"--data.mean={MEAN}", f"--data.std={STD}")
    with torch.no_grad():
        outputs = {"logits": model(torch.from_numpy(pixels_of(images))).numpy()}
    return compare("torchvision", outputs, Sluice(box, "dense.h5", images))


def gate_and_train(box):
    box.ok("sluice-import", "model.onnx", "-o", "gated.h5", "--config=gated.ini", f"--gate={GATE}", f"--data.mean={MEAN}",
           f"--data.std={STD}")
    box.ok("sluice-train", "gated.ini", *[option for option in TRAIN if "epochs" not in option], "--train.epochs=2",
           "--train.init=gated.h5", "--optimizer.lr=0.01", "--run.dir=run")


def main():
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, onnx {onnx.__version__}, "
          f"onnxruntime {onnxruntime.__version__}, h5py {h5py.__version__}")
    torch.set_num_threads(2)
    images = images_for((3, 32, 32))
    with Sandbox() as box:
        problems = import_and_compare(box, resnet18(), images)
        gate_and_train(box)
        sluice = Sluice(box, "run/weights.h5", images)
        if not sluice.decisions:
            problems.append("no layer is gated")
        box.ok("sluice-export", "run/weights.h5", "-o", "gated.onnx")
        problems += compare("ONNX Runtime", run_onnxruntime(box.at("gated.onnx"), pixels_of(images)), sluice)
        box.ok("sluice-export", "run/weights.h5", "--pytorch", "model.py", "weights.safetensors")
        module = module_of(box.at("model.py"))
        outputs, _ = answers(module, module.load(box.at("weights.safetensors")), images)
        problems += compare("PyTorch", outputs, sluice)
        problems += check_step(box, "run/weights.h5", "gated.ini")
    for problem in problems:
        print(f"FAILED {problem}")
    sys.exit(1 if problems else 0)


main()
