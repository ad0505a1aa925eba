"""ONNX models that sluice-export writes give Sluice's logits and decisions in ONNX Runtime and OpenVINO, and the current
checker of ONNX accepts them. Wants the packages onnx, onnxruntime and openvino; skipped without them."""
import glob
import json
import os
import subprocess
import sys

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the packages
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

try:
    import numpy as np
    import onnx
    import onnxruntime
    import openvino
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from harness import SOURCE, TOOLS, Sandbox

IMAGES = 32
OPSETS = range(9, 26)
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
    ("precision gates", "resnet20", "[define]\ngated_conv = pg_conv\nsecond_conv = pg_conv\n[type.pg_conv]\nactivation_bits = 4\n"),
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


def run_onnxruntime(model, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images})))


def run_openvino(model, images):
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2,
                "LP_TRANSFORMS_MODE": "NO"}  # else it computes with other levels than the model says
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)
    return dict(zip([output.get_any_name() for output in compiled.outputs], compiled(images).values()))


def with_decisions(model):
    """The model with its gates' decisions among its outputs."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in model.graph.node:
        if node.op_type == "Greater" and node.name.endswith("/open"):
            changed.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.BOOL, None))
    return changed


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
            theirs = outputs[f"{name}/open"]
            ours = ours.reshape(len(logits), *theirs.shape[2:], -1).transpose(0, 3, 1, 2).astype(bool)
            differ = (np.broadcast_to(theirs, ours.shape) != ours).reshape(len(logits), -1)
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


def rounded_numbers(model):
    """How many numbers of an image are rounded to levels, by shape inference."""
    shapes = {}
    inferred = onnx.shape_inference.infer_shapes(model)
    for value in inferred.graph.value_info:
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
    rounding = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "Round")]
    return sum(int(np.prod(shapes.get(node.output[0], [0]))) for node in rounding)


def pixels_of(model, images, normalization):
    """Images as the model wants them: bytes, or normalised floats."""
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8:
        return planes
    mean, std = (np.asarray(v).reshape(-1, 1, 1) for v in normalization)
    return ((planes / 255 - mean) / std).astype(np.float32)


def metadata(model):
    return {entry.key: entry.value for entry in model.metadata_props}


def compare(box, checkpoint, sluice, images, *options, runners=(run_onnxruntime, run_openvino)):
    """Exports with these options; prints a line for each program and returns what is wrong."""
    box.ok("sluice-export", checkpoint, "-o", "model.onnx", *options)
    model = onnx.load(box.at("model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    about = metadata(model)
    pixels = pixels_of(model, images, [json.loads(about[key]) for key in ("mean", "std")])
    problems = []
    for runner in runners:
        comparison = Comparison(runner.__name__[4:], runner(with_decisions(model), pixels), sluice,
                                rounded_numbers(model) * len(images))
        print(f"  {' '.join(options) or 'as it is'}: {comparison.text}")
        problems += [f"{comparison.who}: {' '.join(options)}: {problem}" for problem in comparison.problems]
    return problems


def input_shape(box, checkpoint):
    config = box.ok("sluice-inspect", checkpoint, "--config").out
    line = next(line for line in config.splitlines() if line.startswith("input = "))
    return [int(size) for size in line.split("#")[0].split("=")[1].strip().split("x")]


def check_checkpoint(box, checkpoint):
    images = images_for(input_shape(box, checkpoint))
    sluice = Sluice(box, checkpoint, images)
    problems = compare(box, checkpoint, sluice, images)
    return problems + compare(box, checkpoint, sluice, images, "--fold", "--normalize")


def train(box, network, text, run="run"):
    box.write("net.ini", f"include = {SOURCE}/configs/networks/{network}.ini\n{text}")
    image = "1x28x28" if network == "lenet" else "3x32x32"
    box.ok("sluice-train", "net.ini", f"--data.synthetic_image={image}", f"--run.dir={run}", *TRAIN)
    return f"{run}/weights.h5"


def opsets(box):
    """Every version that is offered, on networks that have the operators whose form has changed."""
    problems = []
    checkpoint = train(box, "resnet20", "[define]\nblocks = 1\nwidth = 8\ngated_conv = cg_conv\nactivation = pact_relu\n")
    images = images_for((3, 32, 32))
    sluice = Sluice(box, checkpoint, images)
    for opset in OPSETS:
        problems += compare(box, checkpoint, sluice, images, f"--opset={opset}")
    quantised = train(box, "resnet20", "[define]\nblocks = 1\nwidth = 8\ngated_conv = quantized_conv\n"
                      "[type.quantized_conv]\nweight_levels = signed\n", "other")
    sluice = Sluice(box, quantised, images)
    for opset in OPSETS[1:]:
        problems += compare(box, quantised, sluice, images, f"--opset={opset}")
    return problems


def deployed(box, text):
    checkpoint = train(box, "resnet20", text)
    box.ok("sluice-deploy", checkpoint, "-o", "deployed.h5", "--precision=int8", "--eval.batch=8")
    return check_checkpoint(box, "deployed.h5")


def pretrained(path):
    return lambda box: check_checkpoint(box, path)


def random_weights(network, text):
    return lambda box: check_checkpoint(box, train(box, network, text))


def main():
    cases = [(name, random_weights(network, text)) for name, network, text in NETWORKS]
    cases += [(os.path.basename(path), pretrained(path)) for path in sorted(glob.glob(f"{SOURCE}/configs/pretrained/*.h5"))]
    cases += [("int8", lambda box: deployed(box, "")),
              ("int8 with channel gates", lambda box: deployed(box, "[define]\ngated_conv = cg_conv\n" + GATE)),
              ("opsets", opsets)]
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__}")
    failed = 0
    for name, case in cases:
        if wanted not in name:
            continue
        print(name, flush=True)
        with Sandbox() as box:
            try:
                problems = case(box)
            except Exception as error:  # what another library throws is a failure of this case alone
                problems = [f"{type(error).__name__}: {error}"]
        failed += bool(problems)
        for problem in problems:
            print(f"FAILED {name}: {problem}")
    print(f"{len(cases)} networks, {failed} failed")
    sys.exit(1 if failed else 0)


main()
