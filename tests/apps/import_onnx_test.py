"""sluice-import of ONNX models: what sluice-export wrote comes back with the same answers; what is no model, or no layer of
ours, is refused in one line and leaves nothing behind."""
import struct

from harness import Case, Sandbox, run_table

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


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(**fields):
    """Protobuf: f3=7 is field 3; numbers, texts, bytes, or lists of them."""
    out = b""
    for key, values in fields.items():
        number = int(key[1:])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                out += varint(number << 3) + varint(value)
            else:
                data = value.encode() if isinstance(value, str) else value
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def floats(name, dims, values=None, **more):
    count = 1
    for dim in dims:
        count *= dim
    data = struct.pack(f"<{count}f", *([0.5] * count)) if values is None else values
    return message(f1=dims, f2=1, f8=name, f9=data, **more)


def value(name, dims=(1, 2, 6, 5)):
    shape = message(f1=[message(f2="batch")] + [message(f1=dim) for dim in dims[1:]])
    return message(f1=name, f2=message(f1=message(f1=1, f2=shape)))


def node(op, inputs, result, attributes=(), **more):
    return message(f1=list(inputs), f2=result, f3=result, f4=op, f5=list(attributes), **more)


def whole(name, number):
    return message(f1=name, f3=number, f20=2)


def wholes(name, numbers):
    return message(f1=name, f8=list(numbers), f20=7)


CONV = node("Conv", ["x", "w"], "c", [wholes("kernel_shape", [3, 3])])
POOL = node("GlobalAveragePool", ["c"], "y")
WEIGHTS = floats("w", [3, 2, 3, 3])


def model(nodes=(CONV, POOL), weights=(WEIGHTS,), inputs=(value("x"),), outputs=(value("y", (1, 3)),), opset=17, **more):
    graph = message(f1=list(nodes), f2="g", f5=list(weights), f11=list(inputs), f12=list(outputs))
    return message(f1=8, f7=graph, f8=message(f2=opset), **more)


def bad(name, text, data):
    return Case(name, IMPORT, 5, "model.onnx: " + text, files={"model.onnx": data})


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
        bad("half floats", "'w' has numbers of type 10; float (1) and int64 (7) are understood",
            model(weights=[message(f1=[3], f2=10, f8="w", f9=b"123456")])),
        bad("values in another file", "the values of 'w' lie in another file; save the model as one",
            model(weights=[message(f1=[3, 2, 3, 3], f2=1, f8="w", f14=1)])),
        bad("an operator of somebody", "'c': operator Fft of com.example is not a standard one",
            model(nodes=[node("Fft", ["x"], "c", f7="com.example"), POOL])),
        bad("an operator without a layer", "'c': operator LSTM has no layer; docs/import.md lists those that have",
            model(nodes=[node("LSTM", ["x"], "c"), POOL])),
        bad("weights of another rank", "'c': operator Conv has weights of shape 54", model(weights=[floats("w", [54])])),
        bad("a filter that is not square", "'c': operator Conv has a filter that is not square",
            model(weights=[floats("w", [3, 2, 3, 1])])),
        bad("strides that differ", "'c': operator Conv has strides that differ by direction; layers have one number",
            model(nodes=[node("Conv", ["x", "w"], "c", [wholes("strides", [1, 2])]), POOL])),
        bad("a product that is not transposed",
            "'y': operator Gemm transposes or scales otherwise than a linear layer (transB = 1)",
            model(nodes=[node("Gemm", ["x", "w"], "y")])),
        bad("weights that are no numbers", "'c': operator Conv has NaN or an infinity in its operand 1",
            model(weights=[floats("w", [3, 2, 3, 3], struct.pack("<54f", *([float("nan")] * 54)))])),
        bad("a product of another size", "has 8 numbers for z/weight, expected 2x3",
            model(nodes=[CONV, POOL, node("Flatten", ["y"], "f"), node("Gemm", ["f", "v"], "z", [whole("transB", 1)])],
                  weights=[WEIGHTS, floats("v", [2, 4])], outputs=[value("z")])),
        Case("pads without end", IMPORT, 2, "out.ini:9: [layer.c] pad: expected at most 2147483647, got '4611686018427387904'",
             files={"model.onnx": model(nodes=[node("Conv", ["x", "w"], "c", [wholes("pads", [1 << 62] * 4)]), POOL])}),
        bad("an answer that is an image", "the answer is an image, expected a number for each class",
            model(nodes=[CONV], outputs=[value("c")]))]


def round_trips():
    """Networks out and in again. Returns how many answer otherwise."""
    failed = 0
    for name, text in (("rich", RICH), ("small", "")):
        with Sandbox() as box:
            data = box.text("net.ini").split("[layer.loss]")[1]
            if text:
                box.write("net.ini", text + "[layer.loss]" + data)
            box.ok("sluice-train", "net.ini")
            box.ok("sluice-eval", "run/weights.h5", "--predictions=before.csv")
            box.ok("sluice-export", "run/weights.h5", "-o", "model.onnx")
            box.ok(*IMPORT.split(), "--data.kind=synthetic", "--data.synthetic_image=2x6x5", "--data.synthetic_size=56",
                   "--data.synthetic_test_size=20", "--data.validation=8", "--data.classes=3")
            box.ok("sluice-eval", "out.h5", "--predictions=after.csv")
            rows = [[line.split(",") for line in box.text(file).splitlines()[1:]] for file in ("before.csv", "after.csv")]
            worst = max(abs(float(a) - float(b)) for before, after in zip(*rows) for a, b in zip(before[3:], after[3:]))
            if len(rows[0]) != 20 or len(rows[1]) != 20 or not worst < 1e-5:
                print(f"FAILED {name}: {len(rows[1])} answers, which differ by {worst}")
                failed += 1
            box.ok("sluice-train", "out.ini", "--data.kind=synthetic", "--data.synthetic_image=2x6x5", "--data.classes=3",
                   "--data.synthetic_size=56", "--data.synthetic_test_size=20", "--data.validation=8", "--train.init=out.h5",
                   "--run.dir=again", "--run.threads=1", "--train.batch=8")
    return failed


with Sandbox() as sandbox:
    if "has no ONNX" in sandbox.ok("sluice-export", "--help").out:
        raise SystemExit(77)
run_table(refusals(), 30, round_trips())
