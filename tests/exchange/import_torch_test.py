"""torchvision's and timm's classifiers with random weights come in by both of PyTorch's exporters, and answer as ONNX Runtime does.
Wants the packages torch, torchvision, onnx, onnxscript, onnxruntime and h5py, skipped without them; and timm, else without its.
A word on the command line chooses among the networks."""
import os
import subprocess
import sys
import time

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the packages
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

try:
    import h5py
    import numpy as np
    import onnx
    import onnxruntime
    import onnxscript
    import torch
    import torchvision
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

try:
    import timm
except ImportError:
    timm = None

from harness import TOOLS, Sandbox
from modules import module_of

IMAGES, SIZE, MEAN, STD = 2, 224, 0.45, 0.25
NETWORKS = ["resnet18", "resnet34", "resnet50", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "mobilenet_v2", "mobilenet_v3_small",
            "mobilenet_v3_large", "squeezenet1_0", "squeezenet1_1", "shufflenet_v2_x1_0", "densenet121", "googlenet",
            "efficientnet_b0"]
OF_TIMM = ["timm/resnet18", "timm/resnet26d", "timm/mobilenetv3_small_100", "timm/efficientnet_b0", "timm/regnety_002"]


def network(name):
    """In evaluation."""
    torch.manual_seed(3)
    if name.startswith("timm/"):
        return with_statistics(timm.create_model(name[5:]))
    options = {"init_weights": True} if name == "googlenet" else {}
    return with_statistics(torchvision.models.get_model(name, weights=None, **options))


def with_statistics(model):
    """That normalisation has to use."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


def legacy(model, path):
    torch.onnx.export(model, torch.zeros(1, 3, SIZE, SIZE), path, dynamo=False)


def legacy_any_batch(model, path):
    """Arithmetic of shapes in the graph, and normalisation kept apart."""
    torch.onnx.export(model, torch.zeros(1, 3, SIZE, SIZE), path, dynamo=False, input_names=["x"],
                      dynamic_axes={"x": {0: "batch"}}, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


def dynamo(model, path):
    torch.onnx.export(model, (torch.zeros(1, 3, SIZE, SIZE),), path, dynamo=True, verbose=False)


EXPORTERS = [legacy, legacy_any_batch, dynamo]


def runtime_answers(path, pixels):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in pixels])


def check(name, model, export):
    """One line, and whether it is well."""
    images = np.random.default_rng(5).integers(0, 256, (IMAGES, SIZE, SIZE, 3), np.uint8)
    with Sandbox() as box:
        export(model, box.at("model.onnx"))
        begin = time.monotonic()
        box.ok("sluice-import", "model.onnx", "-o", "net.h5", "--config=made.ini", f"--data.mean={MEAN}", f"--data.std={STD}")
        seconds = time.monotonic() - begin
        box.write("images", images.tobytes())
        run = subprocess.run([os.path.join(TOOLS, "answers"), "net.h5", "images", str(IMAGES), "answer"], cwd=box.path,
                             capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise AssertionError(run.stderr)
        ours = np.frombuffer(box.read("answer.logits"), np.float32).reshape(IMAGES, -1)
        pixels = ((images.transpose(0, 3, 1, 2) / 255 - MEAN) / STD).astype(np.float32)
        theirs = runtime_answers(box.at("model.onnx"), pixels)
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        lines = box.text("made.ini").count("\n")
        keep = os.environ.get("SLUICE_KEEP")  # a folder for the configurations
        if keep:
            with open(os.path.join(keep, f"{name.replace('/', '_')}_{export.__name__}.ini"), "w", encoding="utf-8") as file:
                file.write(box.text("made.ini"))
        print(f"  {export.__name__}: largest difference {error:.1e}, {lines} lines, {seconds:.1f} s", flush=True)
        well = ours.shape == theirs.shape and np.isfinite(theirs).all() and error <= 1e-4
        return well and (export is not legacy or goes_back(box, pixels, theirs))


def goes_back(box, pixels, theirs):
    """The module that Sluice writes of it has the same answers."""
    box.ok("sluice-export", "net.h5", "--pytorch", "model.py", "weights.safetensors")
    with torch.no_grad():
        ours = module_of(box.at("model.py")).load(box.at("weights.safetensors"))(torch.from_numpy(pixels)).numpy()
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    lines = box.text("model.py").count("\n")
    print(f"  as a module: largest difference {error:.1e}, {lines} lines", flush=True)
    return error <= 1e-4


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, onnx {onnx.__version__}, "
          f"onnxscript {onnxscript.__version__}, onnxruntime {onnxruntime.__version__}, h5py {h5py.__version__}, "
          f"timm {timm.__version__ if timm else 'is not there'}")
    torch.set_num_threads(2)
    failed = 0
    for name in NETWORKS + (OF_TIMM if timm else []):
        if wanted not in name:
            continue
        print(name, flush=True)
        model = network(name)
        for export in EXPORTERS:
            try:
                well = check(name, model, export)
            except Exception as error:  # what another library throws is a failure of this network alone
                print(f"  {export.__name__}: {type(error).__name__}: {error}")
                well = False
            failed += not well
            if not well:
                print(f"FAILED {name} {export.__name__}")
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


main()
