"""ONNX models that sluice-export writes give Sluice's logits and decisions in ONNX Runtime and OpenVINO, and the current
checker of ONNX accepts them. Wants the packages onnx, onnxruntime and openvino; skipped without them."""
import glob
import json
import os
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

from exchanged import GATE, NETWORKS, Comparison, Sluice, images_for, input_shape, train
from harness import SOURCE, Sandbox

OPSETS = range(9, 26)


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


def check_checkpoint(box, checkpoint):
    images = images_for(input_shape(box, checkpoint))
    sluice = Sluice(box, checkpoint, images)
    problems = compare(box, checkpoint, sluice, images)
    return problems + compare(box, checkpoint, sluice, images, "--fold", "--normalize")


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
