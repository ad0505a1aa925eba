"""sluice-import of ONNX models: what sluice-export wrote comes back with the same answers; what is no model, or no layer of
ours, is refused in one line and leaves nothing behind."""
import json
import math
import os
import random
import re
import struct

from harness import Case, Sandbox, run_table
from onnx_bytes import CONV, POOL, WEIGHTS, beside, floats, message, model, node, value, whole, wholes, wide

IMPORT = "sluice-import model.onnx -o out.h5 --config=out.ini"
USAGE = "command line: "

RICH = """\
[network]
input = 2x6x5
[layer.conv1]
type = conv
channels = 4
kernel = 3
pad = 1
stride = 2
bias = yes
[layer.bn1]
type = batchnorm
eps = 0.001
[layer.act1]
type = hard_swish
[layer.conv2]
type = conv
channels = 4
kernel = 3
pad = 2
dilation = 2
groups = 2
[layer.act2]
type = leaky_relu
slope = 0.25
[layer.add]
type = add
from = act2, act1
[layer.cat]
type = concat
from = add, act1
[layer.gate]
type = sigmoid
[layer.mul]
type = multiply
from = cat, gate
[layer.pool]
type = max_pool
kernel = 2
stride = 1
[layer.mean]
type = average_pool
kernel = 2
stride = 1
pad = 1
count_include_pad = no
[layer.around]
type = zero_pad
bottom = 1
right = 2
[layer.clip]
type = clip
low = -1
high = 0.5
[layer.flat]
type = flatten
[layer.fc1]
type = linear
features = 5
[layer.relu]
type = relu
[layer.fc]
type = linear
features = 3
bias = no
"""


OF_BLOCKS = """\
[network]
input = 2x6x5
[layer.stem]
type = conv
channels = 8
kernel = 1
[layer.stage]
block = unit
repeat = 3
channels = 4
[layer.last]
block = unit
channels = 4
kernel = 3
pad = 1
[layer.short]
type = pad_shortcut
channels = 12
stride = 2
[layer.mean]
type = average_pool
kernel = 3
stride = 2
pad = 1
ceil_mode = yes
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 3
[block.unit]
parameters = channels, kernel=1, pad=0
[block.unit.split]
type = split
[block.unit.conv]
type = conv
channels = ${channels}
kernel = ${kernel}
pad = ${pad}
from = split:second
[block.unit.bn]
type = batchnorm
[block.unit.squeeze]
type = global_pool
[block.unit.fc1]
type = linear
features = 3
[block.unit.act1]
type = silu
[block.unit.fc2]
type = linear
features = 4
[block.unit.gate]
type = hard_sigmoid
[block.unit.scaled]
type = multiply
from = bn, gate
[block.unit.join]
type = concat
from = split, scaled
[block.unit.shuffle]
type = channel_shuffle
"""


def bad(name, text, data):
    return Case(name, IMPORT, 5, "model.onnx: " + text, files={"model.onnx": data})


def others():
    """Values that do not lie beside the model."""
    lies = "'w' has its values in another file: "
    dims = [3, 2, 3, 3]

    def case(name, text, tensors, make=None):
        return Case(name, IMPORT, 5, "model.onnx: " + text, make=make,
                    files={"model.onnx": model(weights=tensors), "w.bin": bytes(216), "below/w.bin": bytes(216)})

    return [
        case("values in a file that is not there", lies + "cannot open v.bin: No such file or directory",
             [beside("w", dims, "v.bin")]),
        case("values in a file elsewhere", lies + "they lie in '/etc/passwd', which is not in the model's folder",
             [beside("w", dims, "/etc/passwd")]),
        case("values in a folder above", lies + "they lie in 'below/../../w.bin', which is not in the model's folder",
             [beside("w", dims, "below/../../w.bin")]),
        case("values nowhere", lies + "they lie in '', which is not in the model's folder", [beside("w", dims, "")]),
        case("values behind a link", lies + "link.bin is a symbolic link, or lies behind one",
             [beside("w", dims, "link.bin")], lambda box: os.symlink("/etc/passwd", box.at("link.bin"))),
        case("values in a linked folder", lies + "there/w.bin is a symbolic link, or lies behind one",
             [beside("w", dims, "there/w.bin")], lambda box: os.symlink("below", box.at("there"))),
        case("values in a folder", lies + "below is no regular file", [beside("w", dims, "below")]),
        case("values behind a file's end", lies + "w.bin has 216 bytes, expected 216 from byte 8 on",
             [beside("w", dims, "w.bin", 8)]),
        case("values of another length", lies + "they take 200 bytes, the shape wants 216",
             [beside("w", dims, "w.bin", 0, 200)]),
        case("values at no place", lies + "their offset is '-4', expected a number", [beside("w", dims, "w.bin", -4)]),
        case("values that overlap", "'v' has its values in another file: w.bin has fewer bytes than all tensors take of it",
             [beside("w", dims, "w.bin"), beside("v", dims, "w.bin")])]


CONSTANTS = [WEIGHTS, floats("half", []), floats("none", [1], bytes(4)), floats("pair", [2, 1, 1]), floats("column", [2, 1]),
             floats("row", [1, 2]), wide("around", [8], [0, 0, 1, 1, 0, 0, 1, 1]), wide("zero", [1], [0]), wide("one", [1], [1]),
             wide("two", [1], [2]), wide("end", [1], [(1 << 63) - 1]), wide("zeros", [2], [0, 0]), wide("ones", [2], [1, 1])]


def behind(op, inputs, attributes=()):
    """A model whose convolution `c` is followed by an operator `m`."""
    return model(nodes=[CONV, node(op, inputs, "m", attributes), node("GlobalAveragePool", ["m"], "y")], weights=CONSTANTS)


def refusals():
    return [
        Case("a model", IMPORT, 0, "", files={"model.onnx": model()}, changes=("out.h5", "out.ini"),
             out="wrote out.h5 and out.ini: 3 layers of model.onnx\n"),
        Case("no configuration", "sluice-import model.onnx -o out.h5", 2,
             USAGE + "expected --config=FILE, the file to write", files={"model.onnx": model()}),
        Case("a configuration too many", "sluice-import model.onnx net.ini -o out.h5", 2,
             USAGE + "an ONNX model brings its configuration; expected MODEL.onnx alone"),
        Case("names of a state_dict", IMPORT + " --rename=a=b", 2, USAGE + "--rename does not go with an ONNX model"),
        Case("--config of weights", "sluice-import w.h5 net.ini -o out.h5 --config=out.ini", 2,
             USAGE + "--config is of ONNX models; name the configuration behind the weights"),
        Case("gates of weights", "sluice-import w.h5 net.ini -o out.h5 --gate=cg_conv", 2,
             USAGE + "--gate is of ONNX models; the configuration behind the weights has its gates"),
        Case("gates that are none", IMPORT + " --gate=relu", 2,
             USAGE + "--gate: expected one of cg_conv, pg_conv, got 'relu'", files={"model.onnx": model()}),
        Case("a key of no gate", IMPORT + " --gate=cg_conv:partition=2", 2,
             USAGE + "--gate: cg_conv has no key 'partition'; did you mean 'partitions'?", files={"model.onnx": model()}),
        Case("a gate without a value", IMPORT + " --gate=cg_conv:partitions", 2,
             USAGE + "--gate: expected KEY=VALUE behind the type, got 'partitions'", files={"model.onnx": model()}),
        Case("nothing to gate", IMPORT + " --gate=cg_conv", 2,
             USAGE + "--gate: none of the 1 convolutions of model.onnx can be a cg_conv", files={"model.onnx": model()}),
        Case("a configuration of the user", "sluice-import model.onnx -o out.h5 --config=net.ini", 2,
             "net.ini: is there already, and sluice-import did not write it; name another file, or replace it with --force",
             files={"model.onnx": model()}),
        Case("a missing model", IMPORT, 5, "model.onnx: cannot open: No such file or directory"),
        bad("nothing", "is no ONNX model, or is damaged", b""),
        bad("text", "is no ONNX model, or is damaged", b"[network]\ninput = 3x32x32\n"),
        bad("cut off", "is no ONNX model, or is damaged", model()[:-9]),
        bad("without a graph", "is no ONNX model, or is damaged", message(f1=8, f8=message(f2=17))),
        bad("an opset of the future", "has operators of opset 99; 7 to 30 are known", model(opset=99)),
        bad("no input", "has no input", model(inputs=[], nodes=[])),
        bad("two inputs", "has several inputs, such as 'z'; expected one of images", model(inputs=[value("x"), value("z")])),
        bad("an input of rows", "the input 'x' is no image N x C x H x W", model(inputs=[value("x", (1, 7))])),
        bad("an input of any size", "the input 'x' has no fixed size; export it for images of one size",
            model(inputs=[value("x", (1, 2, 0, 5))])),
        bad("a missing initialiser", "'c': reads 'w', which nothing before it gives", model(weights=[])),
        bad("a cycle", "'c': reads 'd', which nothing before it gives",
            model(nodes=[node("Relu", ["d"], "c"), node("Relu", ["c"], "d"), POOL])),
        bad("a value given twice", "the value 'c' is given twice", model(nodes=[CONV, CONV, POOL])),
        bad("a tensor given twice", "the value 'w' is given twice, or has no name", model(weights=[WEIGHTS, WEIGHTS])),
        bad("no answer", "no operator gives the result 'q'", model(outputs=[value("q", (1, 3))])),
        bad("two answers", "has 2 results, expected one answer", model(outputs=[value("y"), value("c")])),
        bad("weights that are cut off", "'w' holds 2 numbers, its shape wants 54", model(weights=[floats("w", [3, 2, 3, 3], b"8bytes!!")])),
        bad("a huge shape", "'w' has a dimension of 4294967296",
            model(weights=[floats("w", [1 << 32, 1 << 32], b"")])),
        bad("a negative shape", "'w' has a dimension of -3", model(weights=[floats("w", [-3], b"")])),
        bad("numbers of an unknown type", "'w' has numbers of type 12; floats of 16, 32 and 64 bits and integers are understood",
            model(weights=[message(f1=[3], f2=12, f8="w", f9=b"123456")])),
        bad("too many whole numbers", "'w' has 1048577 whole numbers; weights that are no floats are not understood",
            model(weights=[message(f1=[(1 << 20) + 1], f2=3, f8="w", f9=b"")])),
        *others(),
        bad("an operator of somebody", "'c': operator Fft of com.example is not a standard one",
            model(nodes=[node("Fft", ["x"], "c", f7="com.example"), POOL])),
        bad("an operator without a layer", "'c': operator LSTM has no layer; docs/import.md lists those that have",
            model(nodes=[node("LSTM", ["x"], "c"), POOL])),
        bad("weights of another rank", "'c': operator Conv has weights of shape 54", model(weights=[floats("w", [54])])),
        bad("a filter that is not square", "'c': operator Conv has a filter that is not square",
            model(weights=[floats("w", [3, 2, 3, 1])])),
        bad("strides that differ", "'c': operator Conv has strides that differ by direction; layers have one number",
            model(nodes=[node("Conv", ["x", "w"], "c", [wholes("strides", [1, 2])]), POOL])),
        bad("a product that is scaled", "'y': operator Gemm transposes or scales otherwise than a linear layer",
            model(nodes=[node("Gemm", ["x", "w"], "y", [whole("transA", 1)])])),
        bad("a product of an image", "'y': operator MatMul multiplies what are no rows of numbers",
            model(nodes=[node("MatMul", ["x", "v"], "y")], weights=[floats("v", [5, 5])])),
        bad("weights that are no numbers", "'c': operator Conv has NaN or an infinity in its operand 1",
            model(weights=[floats("w", [3, 2, 3, 3], struct.pack("<54f", *([float("nan")] * 54)))])),
        bad("a product of another size", "'z': operator Gemm has weights 2x4, but reads rows of 3 numbers",
            model(nodes=[CONV, POOL, node("Flatten", ["y"], "f"), node("Gemm", ["f", "v"], "z", [whole("transB", 1)])],
                  weights=[WEIGHTS, floats("v", [2, 4])], outputs=[value("z")])),
        bad("pads without end", "'c': operator Conv has pads of 4611686018427387904, expected 0 to 2147483647",
            model(nodes=[node("Conv", ["x", "w"], "c", [wholes("pads", [1 << 62] * 4)]), POOL])),
        bad("pads of a pool that differ", "'m': operator MaxPool pads its sides by different numbers; layers have one number",
            behind("MaxPool", ["c"], [wholes("kernel_shape", [2, 2]), wholes("pads", [1, 0, 0, 0])])),
        bad("pads as wide as a window", "'m': operator MaxPool pads 2 pixels, as many as its windows cover or more",
            behind("MaxPool", ["c"], [wholes("kernel_shape", [2, 2]), wholes("pads", [2, 2, 2, 2])])),
        bad("too many zeros on one side", "'c': operator Conv pads 65537 pixels on one side, expected up to 65536",
            model(nodes=[node("Conv", ["x", "w"], "c", [wholes("pads", [0, 0, 65537, 0])]), POOL])),
        bad("numbers around an image", "'m': operator Pad pads with something else than zeros",
            behind("Pad", ["c", "around", "half"])),
        bad("edges around a sum", "'y': operator GlobalAveragePool reads an image with other numbers than zeros around it; "
            "max pools alone do", behind("Pad", ["c", "around"], [message(f1="mode", f4="edge", f20=3)])),
        bad("steps from the second pixel on", "'m': operator Slice takes steps otherwise than from the first pixel on to the last",
            behind("Slice", ["c", "one", "end", "two", "two"])),
        bad("steps in one direction", "'y': operator GlobalAveragePool reads pixels with steps that differ by direction",
            behind("Slice", ["c", "zero", "end", "two", "two"])),
        bad("parts along several axes", "'m': operator Slice takes parts along several axes at once",
            behind("Slice", ["c", "zeros", "ones", "ones"])),
        bad("a constant of another shape", "'m': operator Mul computes with a constant 2x1x1, expected one number, or one for each "
            "channel of 3x4x3", behind("Mul", ["c", "pair"])),
        bad("a division by zero", "'m': operator Div divides by 0", behind("Div", ["c", "none"])),
        bad("a quotient of two values", "'m': operator Div is understood with a constant alone", behind("Div", ["c", "c"])),
        bad("a value as divisor", "'m': operator Div divides by a value", behind("Div", ["half", "c"])),
        bad("constants of other shapes", "'k': operator Add computes with shapes that differ",
            model(nodes=[node("Add", ["column", "row"], "k"), CONV, POOL], weights=CONSTANTS)),
        bad("a filter larger than its image", "'c': operator Conv covers more than its image 2x6x5",
            model(nodes=[node("Conv", ["x", "w"], "c", [wholes("dilations", [9, 9])]), POOL])),
        bad("channels that do not fit", "'c': operator Conv has weights 3x2x3x3 in 2 groups, but reads 2 channels",
            model(nodes=[node("Conv", ["x", "w"], "c", [whole("group", 2)]), POOL])),
        bad("a large image", "the input 'x' is larger than images can be",
            model(inputs=[value("x", (1, 1 << 20, 1 << 20, 1))])),
        bad("another number of values", "'r': operator Reshape makes 4 of 3x1x1, which is another number of values",
            model(nodes=[CONV, POOL, node("Reshape", ["y", "s"], "r")], weights=[WEIGHTS, wide("s", [2], [0, 4])],
                  outputs=[value("r")])),
        bad("values of other images", "'r': operator Reshape moves values from one image to another",
            model(nodes=[CONV, POOL, node("Reshape", ["y", "s"], "r")], weights=[WEIGHTS, wide("s", [2], [3, 1])],
                  outputs=[value("r")])),
        bad("a shape that is computed of images", "'r': operator Reshape computes its shape, expected constants",
            model(nodes=[CONV, POOL, node("Reshape", ["y", "y"], "r")], outputs=[value("r")])),
        bad("an image turned otherwise", "'t': operator Transpose turns an image in a way that no layer does",
            model(nodes=[CONV, node("Transpose", ["c"], "t", [wholes("perm", [0, 2, 1, 3])])], outputs=[value("t")])),
        bad("parts of other sizes", "'a': operator Split splits 3 channels otherwise than into 2 to 8 equal parts",
            model(nodes=[CONV, message(f1="c", f2=["a", "b"], f3="a", f4="Split", f5=[whole("axis", 1)]),
                         node("GlobalAveragePool", ["b"], "y")])),
        bad("a sum of other shapes", "'s': operator Add adds 3x4x3 and 3x1x1, expected one shape",
            model(nodes=[CONV, POOL, node("Add", ["c", "y"], "s")], outputs=[value("s")])),
        bad("an axis that is none", "'s': operator Concat has an axis 7 of 4",
            model(nodes=[CONV, node("Concat", ["c", "c"], "s", [whole("axis", 7)])], outputs=[value("s")])),
        bad("a constant where a value should be", "'s': operator Relu computes with a constant as operand 0",
            model(nodes=[node("Relu", ["w"], "s")], outputs=[value("s")])),
        bad("an answer of constants", "the answer does not depend on the images", model(outputs=[value("w")])),
        bad("a result that nothing gives", "'y': operator GlobalAveragePool reads 'i', a result that is not understood",
            model(nodes=[CONV, message(f1="c", f2=["m", "i"], f3="m", f4="MaxPool", f5=[wholes("kernel_shape", [2, 2])]),
                         node("GlobalAveragePool", ["i"], "y")])),
        bad("an answer that is an image", "the answer is an image, expected a number for each class",
            model(nodes=[CONV], outputs=[value("c")]))]


GATEABLE = """\
[network]
input = 2x6x5
[layer.conv1]
type = conv
channels = 8
kernel = 3
pad = 1
[layer.bn1]
type = batchnorm
[layer.relu1]
type = relu
[layer.conv2]
type = conv
channels = 6
kernel = 3
bias = yes
[layer.relu2]
type = relu
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 3
"""
SYNTHETIC = ["--data.kind=synthetic", "--data.synthetic_image=2x6x5", "--data.synthetic_size=56", "--data.synthetic_test_size=20",
             "--data.validation=8", "--data.classes=3"]


def largest_difference(box, *files):
    """Between the logits of predictions."""
    rows = [[line.split(",") for line in box.text(file).splitlines()[1:]] for file in files]
    if len(rows[0]) != 20 or len(rows[1]) != 20:
        raise AssertionError(f"{len(rows[0])} and {len(rows[1])} answers")
    return max(abs(float(a) - float(b)) for before, after in zip(*rows) for a, b in zip(before[3:], after[3:]))


def gates():
    """Gates that are all open give the dense network's answers. Returns how much is wrong."""
    failed = 0
    with Sandbox() as box:
        box.write("net.ini", GATEABLE + "[layer.loss]" + box.text("net.ini").split("[layer.loss]")[1])
        box.ok("sluice-train", "net.ini")
        box.ok("sluice-export", "run/weights.h5", "-o", "model.onnx")
        box.ok(*IMPORT.split(), *SYNTHETIC)
        box.ok("sluice-eval", "out.h5", "--predictions=dense.csv")
        told = box.ok(*IMPORT.split(), "--gate=cg_conv:partitions=2, threshold_init=-1000", "--force", *SYNTHETIC).out
        box.ok("sluice-eval", "out.h5", "--predictions=gated.csv")
        worst = largest_difference(box, "dense.csv", "gated.csv")
        text = box.text("out.ini")
        wanted = ["\n[layer.conv2]\ntype = cg_conv\nchannels = 6\nkernel = 3\n\n[layer.conv2_bn]\ntype = batchnorm\n",
                  "\n[type.cg_conv]\npartitions = 2\nthreshold_init = -1000\n", "\n[layer.conv1]\ntype = conv\n"]
        if "gated 1 of 2 convolutions: conv2\n" not in told or not worst < 1e-5 or any(part not in text for part in wanted):
            print(f"FAILED gates: {told}answers differ by {worst}\n{text}")
            failed += 1
        box.ok("sluice-train", "out.ini", *SYNTHETIC, "--train.init=out.h5", "--run.dir=again", "--run.threads=1", "--train.batch=8")
        failed += measured_gates(box)
        failed += gates_with_norms(box)
    return failed


def measured_gates(box):
    """Thresholds are measured on training images, or it is said that there are none."""
    gate = "--gate=cg_conv:partitions=2, threshold_init=density:0.75"
    box.ok(*IMPORT.split(), gate, "--force", *SYNTHETIC, "--train.batch=48", "--data.augment=no")
    density = json.loads(box.ok("sluice-eval", "out.h5", "--split=train", "--json").out)["gate_density"]
    before = box.read("out.h5")
    result = box.run(*IMPORT.split(), gate, "--force", "--data.dir=nowhere")
    wanted = "--gate: conv2/threshold is to be measured on training images: "
    if not abs(density - 0.75) < 0.01 or result.code != 3 or wanted not in result.err or box.read("out.h5") != before:
        print(f"FAILED measured gates: density {density}; exit code {result.code}: {result.err}")
        return 1
    return 0


def numbers(name, dims, seed, low):
    """Random ones from `low` on, in a span of 1."""
    draw = random.Random(seed)
    return floats(name, dims, struct.pack(f"<{math.prod(dims)}f", *(low + draw.random() for _ in range(math.prod(dims)))))


def gates_with_norms(box):
    """Two normalisations in the place of the model's one, filters for a shuffled source: all open, the same answers."""
    nodes = [node("Conv", ["x", "w"], "c", [wholes("kernel_shape", [3, 3])]), node("Relu", ["c"], "r"),
             node("Conv", ["r", "v"], "d", [wholes("kernel_shape", [1, 1])]),
             node("BatchNormalization", ["d", "scale", "bias", "mean", "var"], "n"), node("GlobalAveragePool", ["n"], "y")]
    weights = [numbers("w", [8, 2, 3, 3], 1, -0.5), numbers("v", [3, 8, 1, 1], 2, -0.5), numbers("scale", [3], 3, 0.5),
               numbers("bias", [3], 4, -0.5), numbers("mean", [3], 5, -0.5), numbers("var", [3], 6, 0.5)]
    box.write("model.onnx", model(nodes=nodes, weights=weights))
    answers = []
    for gate in ([], ["--gate=cg_conv:partitions=4, shuffle=yes, two_norms=yes, threshold_init=-1000"]):
        told = box.ok(*IMPORT.split(), *gate, "--force", *SYNTHETIC).out
        answers.append(f"norms{len(gate)}.csv")
        box.ok("sluice-eval", "out.h5", f"--predictions={answers[-1]}")
    worst = largest_difference(box, *answers)
    if not re.search(r"\ngated 1 of 2 convolutions: \S+\n", told) or not worst < 1e-5 or "batchnorm" in box.text("out.ini"):
        print(f"FAILED gates with norms: {told}answers differ by {worst}\n{box.text('out.ini')}")
        return 1
    return 0


def round_trips():
    """Networks out and in again. Returns how many answer otherwise."""
    failed = 0
    with Sandbox() as box:  # gates have become operators: what to do is said, and works
        box.write("net.ini", box.text("net.ini").replace("type = conv\n", "type = cg_conv\npartitions = 2\n", 1))
        box.ok("sluice-train", "net.ini")
        box.ok("sluice-export", "run/weights.h5", "-o", "model.onnx")
        result = box.run(*IMPORT.split())
        wanted = ("sluice-import: model.onnx: was written by sluice-export, of a network whose gates or quantised layers are operators "
                  "here ('conv/open': Greater); use the checkpoint that it was made of, or import the weights of that (sluice-export "
                  "CHECKPOINT.h5 -o WEIGHTS.h5) into a configuration\n")
        box.ok("sluice-export", "run/weights.h5", "-o", "WEIGHTS.h5")
        box.ok("sluice-import", "WEIGHTS.h5", "net.ini", "-o", "back.h5")
        for file in ("run/weights.h5", "back.h5"):
            box.ok("sluice-eval", file, f"--predictions={os.path.basename(file)}.csv")
        if (result.code, result.err) != (5, wanted) or not largest_difference(box, "weights.h5.csv", "back.h5.csv") < 1e-6:
            print(f"FAILED gates as operators: {result}")
            failed += 1
    for name, text, options in (("rich", RICH, []), ("small", "", []), ("normalised inside", "", ["--normalize"]),
                                ("of blocks", OF_BLOCKS, [])):
        with Sandbox() as box:
            data = box.text("net.ini").split("[layer.loss]")[1]
            if text:
                box.write("net.ini", text + "[layer.loss]" + data)
            box.ok("sluice-train", "net.ini")
            box.ok("sluice-eval", "run/weights.h5", "--predictions=before.csv")
            box.ok("sluice-export", "run/weights.h5", "-o", "model.onnx", *options)
            box.ok(*IMPORT.split(), *SYNTHETIC)
            box.ok("sluice-eval", "out.h5", "--predictions=after.csv")
            worst = largest_difference(box, "before.csv", "after.csv")
            if not worst < 1e-5:
                print(f"FAILED {name}: the answers differ by {worst}")
                failed += 1
            box.ok("sluice-train", "out.ini", *SYNTHETIC, "--train.init=out.h5", "--run.dir=again", "--run.threads=1",
                   "--train.batch=8")
    return failed


with Sandbox() as sandbox:
    if "has no ONNX" in sandbox.ok("sluice-export", "--help").out:
        raise SystemExit(77)
run_table(refusals(), 30, round_trips() + gates())
