"""One network in the many forms in which exporters write it comes in as the same configuration with the same weights."""
import struct
import sys

from harness import Sandbox
from onnx_bytes import beside, floats, message, model, node, value, whole, wholes, wide

SHAPES = {"w1": [4, 2, 3, 3], "b1": [4], "w2": [2, 4, 1, 1], "b2": [2], "w3": [4, 2, 1, 1], "b3": [4], "v": [3, 4], "vb": [3]}


def count_of(dims):
    count = 1
    for dim in dims:
        count *= dim
    return count


def numbers(name):
    """That 16 bits hold."""
    return [((7919 * i + 31 * len(name) + ord(name[0])) % 61 - 30) / 16 for i in range(count_of(SHAPES[name]))]


def packed(name, kind="f"):
    values = numbers(name)
    return struct.pack(f"<{len(values)}{kind}", *values)


def tensor(name, dims=None):
    return floats(name, dims or SHAPES[name], packed(name))


TENSORS = [tensor(name) for name in SHAPES]
PADS = wholes("pads", [1, 1, 1, 1])
GATE = [node("Conv", ["g", "w2", "b2"], "s1"), node("Relu", ["s1"], "s2"), node("Conv", ["s2", "w3", "b3"], "s3"),
        node("Sigmoid", ["s3"], "s4")]
HEAD = [node("GlobalAveragePool", ["m"], "p"), node("Flatten", ["p"], "f"),
        node("Gemm", ["f", "v", "vb"], "y", [whole("transB", 1)])]
BODY = [node("Conv", ["x", "w1", "b1"], "c1", [PADS]), node("Relu", ["c1"], "r1"), node("GlobalAveragePool", ["r1"], "g")]
MUL = node("Mul", ["r1", "s4"], "m")
PLAIN = BODY + GATE + [MUL] + HEAD

EXPECTED = """\
# Made by sluice-import.
[network]
input = 2x6x5

[layer.c1]
type = conv
channels = 4
kernel = 3
pad = 1
bias = yes

[layer.r1]
type = relu

[layer.g]
type = global_pool

[layer.s1]
type = linear
features = 2

[layer.s2]
type = relu

[layer.s3]
type = linear
features = 4

[layer.s4]
type = sigmoid

[layer.m]
type = multiply
from = r1, s4

[layer.p]
type = global_pool

[layer.y]
type = linear
features = 3

[layer.loss]
type = softmax_cross_entropy
from = y, labels
"""


def build(nodes, weights=None, **more):
    return model(nodes=nodes, weights=TENSORS if weights is None else weights, outputs=[value("y", (1, 3))], **more)


def half():
    """16 bits, cast where they are used."""
    weights = [message(f1=SHAPES[name], f2=10, f8=f"{name}_half", f9=packed(name, "e")) for name in SHAPES]
    return build([node("Cast", [f"{name}_half"], name, [whole("to", 1)]) for name in SHAPES] + PLAIN, weights)


def double():
    weights = [message(f1=SHAPES[name], f2=11, f8=name, f9=packed(name, "d")) for name in SHAPES]
    return build(PLAIN, weights)


def listed():
    """Numbers that are no bytes; constants among the operators; what does nothing."""
    constants = []
    for name, dims in SHAPES.items():
        values = message(f1=dims, f2=1, f4=struct.pack(f"<{count_of(dims)}f", *numbers(name)))
        constants.append(message(f2=name, f3=name, f4="Constant", f5=[message(f1="value", f5=values, f20=4)]))
    nothing = [node("Identity", ["m"], "m1"), message(f1="m1", f2=["m2", "mask"], f3="drop", f4="Dropout")]
    return build(constants + BODY + GATE + [MUL] + nothing + [node("GlobalAveragePool", ["m2"], "p")] + HEAD[1:], [])


def outside():
    """In one file in a folder below the model's."""
    offset, weights = 0, []
    for name, dims in SHAPES.items():
        weights.append(beside(name, dims, "weights/all.bin", offset, 4 * count_of(dims)))
        offset += 4 * count_of(dims)
    return build(PLAIN, weights)


def arithmetic():
    """Shapes that are computed, means by axes, products without transposition, biases that are added."""
    turned = [numbers("v")[4 * o + i] for i in range(4) for o in range(3)]
    weights = [t for t, name in zip(TENSORS, SHAPES) if name not in ("b1", "v")]
    weights += [tensor("b1", [1, 4, 1, 1]), floats("vt", [4, 3], struct.pack("<12f", *turned)), wide("axes", [2], [2, 3]),
                wide("zero", [], [0]), wide("rest", [1], [-1]), wide("first", [1], [0])]
    nodes = [node("Conv", ["x", "w1"], "c1", [PADS]), node("Add", ["b1", "c1"], "c"), node("Relu", ["c"], "r1"),
             node("ReduceMean", ["r1", "axes"], "g"), *GATE, MUL,
             node("ReduceMean", ["m"], "p", [wholes("axes", [-2, -1]), whole("keepdims", 0)]),
             node("Shape", ["p"], "shape"), node("Gather", ["shape", "zero"], "batch"),
             node("Unsqueeze", ["batch", "first"], "batches"), node("Concat", ["batches", "rest"], "target", [whole("axis", 0)]),
             node("Reshape", ["p", "target"], "f"), node("MatMul", ["f", "vt"], "y0", f3="y"),
             node("Add", ["y0", "vb"], "y1")]
    return build(nodes + [node("Identity", ["y1"], "y")], weights)


def channels_last():
    """As Keras writes it: channels stand last, and are turned around convolutions."""
    to_first, to_last = wholes("perm", [0, 3, 1, 2]), wholes("perm", [0, 2, 3, 1])
    weights = [t for t, name in zip(TENSORS, SHAPES) if name != "b1"]
    weights += [tensor("b1", [4]), wide("pads", [8], [0, 1, 1, 0, 0, 1, 1, 0])]
    mean = [wholes("axes", [1, 2])]
    nodes = [node("Pad", ["x", "pads"], "x0"), node("Transpose", ["x0"], "x1", [to_first]), node("Conv", ["x1", "w1"], "c1"),
             node("Transpose", ["c1"], "c2", [to_last]), node("Add", ["c2", "b1"], "c3"), node("Relu", ["c3"], "r1"),
             node("ReduceMean", ["r1"], "g0", mean, f3="g"), node("Transpose", ["g0"], "g", [to_first]), *GATE,
             node("Transpose", ["s4"], "s5", [to_last]), node("Mul", ["s5", "r1"], "m"),
             node("ReduceMean", ["m"], "p", mean + [whole("keepdims", 0)]),
             node("Gemm", ["p", "v", "vb"], "y0", [whole("transB", 1)], f3="y"), node("Softmax", ["y0"], "y")]
    return build(nodes, weights, inputs=[value("x", (1, 6, 5, 2))])


def one_image():
    """Made for one image; padding by a word; the pool of the whole image."""
    same = message(f1="auto_pad", f4="SAME_UPPER", f20=3)
    one = message(f1="x", f2=message(f1=message(f1=1, f2=message(f1=[message(f1=d) for d in (1, 2, 6, 5)]))))
    weights = TENSORS + [wide("row", [2], [1, 4]), wide("axes", [2], [2, 3])]
    nodes = [node("Conv", ["x", "w1", "b1"], "c1", [same]), *BODY[1:], *GATE, MUL, HEAD[0],
             node("Squeeze", ["p", "axes"], "p1"), node("Unsqueeze", ["p1", "axes"], "p2"), node("Reshape", ["p2", "row"], "f"),
             HEAD[2]]
    return build(nodes, weights, inputs=[one])


def computed_pads():
    """As PyTorch writes what TensorFlow calls SAME: numbers of pixels are divided, rounded up and put in order."""
    weights = TENSORS + [wide("two", [], [2]), floats("seven", [], struct.pack("<f", 7)), floats("low", [], bytes(4)),
                         wide("first", [1], [0]), wide("four", [1], [4]), wide("pairs", [2], [-1, 2]), wide("back", [1], [-1]),
                         wide("least", [1], [-(1 << 63)]), wide("all", [1], [-1])]
    nodes = [node("Shape", ["x"], "dims"), node("Gather", ["dims", "two"], "height"),
             node("Cast", ["height"], "pixels", [whole("to", 1)]), node("Div", ["pixels", "seven"], "share"),
             node("Ceil", ["share"], "up"), node("Clip", ["up", "low"], "pad"), node("Unsqueeze", ["pad", "first"], "pad1"),
             node("Concat", ["pad1"] * 4, "image", [whole("axis", 0)]),
             node("Cast", ["image"], "whole", [whole("to", 7)]), node("ConstantOfShape", ["four"], "zeros"),
             node("Cast", ["zeros"], "others", [whole("to", 7)]),
             node("Concat", ["whole", "others"], "list", [whole("axis", 0)]), node("Reshape", ["list", "pairs"], "rows"),
             node("Slice", ["rows", "back", "least", "first", "all"], "turned"),
             node("Transpose", ["turned"], "columns", [wholes("perm", [1, 0])]), node("Reshape", ["columns", "back"], "pads"),
             node("Pad", ["x", "pads"], "x1"), node("Conv", ["x1", "w1", "b1"], "c1"), *BODY[1:], *GATE, MUL, *HEAD]
    return build(nodes, weights)


FORMS = [half, double, listed, outside, arithmetic, channels_last, one_image, computed_pads]


def parts(first):
    """A shuffle unit, whose parts are made by `first`."""
    nodes = [node("Conv", ["x", "w1", "b1"], "c1", [PADS]), *first, node("Relu", ["b"], "r"),
             node("Concat", ["a", "r"], "j", [whole("axis", 1)]), node("Reshape", ["j", "apart"], "j1"),
             node("Transpose", ["j1"], "j2", [wholes("perm", [0, 2, 1, 3, 4])]), node("Reshape", ["j2", "back"], "k"),
             node("GlobalAveragePool", ["k"], "p"), HEAD[1], HEAD[2]]
    weights = TENSORS + [wide("apart", [5], [-1, 2, 2, 6, 5]), wide("back", [4], [-1, 4, 6, 5]), wide("zero", [1], [0]),
                         wide("one", [1], [1]), wide("two", [1], [2]), wide("end", [1], [(1 << 63) - 1])]
    return build(nodes, weights)


KERAS = """\
# Made by sluice-import.
[network]
input = 2x6x5

[layer.pad]
type = zero_pad
bottom = 1
right = 1

[layer.c1]
type = conv
channels = 4
kernel = 3
stride = 2

[layer.n3]
type = batchnorm

[layer.r]
type = clip
high = 6

[layer.rows]
type = max_pool
kernel = 2
ceil_mode = yes

[layer.d]
type = conv
channels = 2
kernel = 1
stride = 2
bias = yes

[layer.g]
type = global_pool

[layer.y]
type = linear
features = 3

[layer.loss]
type = softmax_cross_entropy
from = y, labels

[data]
mean = 0.5, 0.25
std = 0.5, 0.25
"""


def keras():
    """Images are normalised inside; strided convolutions are padded at one end, or are products of some pixels."""
    def by_channel(name, *values):
        return floats(name, [1, 1, 1, len(values)], struct.pack(f"<{len(values)}f", *values))

    weights = [tensor("w1"), by_channel("scale", 1 / 255), by_channel("mean", 0.5, 0.25), by_channel("std", 0.5, 0.25),
               by_channel("means", 1, 2, 3, 4), by_channel("variances", 1, 4, 9, 16), by_channel("small", 0),
               by_channel("gamma", 2, 2, 2, 2), by_channel("beta", 4, 3, 2, 1), by_channel("b", 1, 2), floats("low", []),
               floats("w2", [4, 2]), floats("v", [2, 3]), floats("vb", [3]), wide("pads", [8], [0, 0, 0, 0, 0, 1, 1, 0]),
               wide("edges", [8], [0, 0, 0, 0, 0, 0, 1, 0]), wide("zero", [1], [0]), wide("two", [1], [2]), wide("one", [1], [1]),
               wide("end", [1], [(1 << 63) - 1]), floats("zeros", [], bytes(4)), floats("six", [], struct.pack("<f", 6))]
    to_first, to_last = [wholes("perm", [0, 3, 1, 2])], [wholes("perm", [0, 2, 3, 1])]
    edge, two = message(f1="mode", f4="edge", f20=3), [2, 2]
    nodes = [node("Mul", ["x", "scale"], "x1"), node("Sub", ["x1", "mean"], "x2"), node("Div", ["x2", "std"], "x3"),
             node("Pad", ["x3", "pads"], "pad"), node("Transpose", ["pad"], "x5", to_first),
             node("Conv", ["x5", "w1"], "c1", [wholes("strides", two)]), node("Transpose", ["c1"], "c2", to_last),
             node("Add", ["variances", "small"], "k1"), node("Sqrt", ["k1"], "k2"), node("Reciprocal", ["k2"], "k3"),
             node("Mul", ["k3", "gamma"], "k4"), node("Sub", ["c2", "means"], "n3"), node("Mul", ["n3", "k4"], "n4"),
             node("Add", ["n4", "beta"], "n5"), node("Clip", ["n5", "zeros", "six"], "r"), node("Transpose", ["r"], "r1", to_first),
             node("Pad", ["r1", "edges"], "r2", [edge]), node("MaxPool", ["r2"], "rows", [wholes("kernel_shape", two), wholes("strides", two)]),
             node("Transpose", ["rows"], "r3", to_last), node("Slice", ["r3", "zero", "end", "one", "two"], "r4"),
             node("Slice", ["r4", "zero", "end", "two", "two"], "r5"), node("MatMul", ["r5", "w2"], "d"),
             node("Add", ["d", "b"], "d1"), node("ReduceMean", ["d1"], "g", [wholes("axes", [1, 2]), whole("keepdims", 0)]),
             node("MatMul", ["g", "v"], "y"), node("Add", ["y", "vb"], "z")]
    return model(nodes=nodes, weights=weights, inputs=[value("x", (1, 6, 5, 2))], outputs=[value("z", (1, 3))])


def swish(nodes):
    """A convolution and what stands for hard_swish."""
    def number(name, x):
        return floats(name, [], struct.pack("<f", x))

    weights = TENSORS + [number("three", 3), number("six", 6), number("sixth", 1 / 6), number("half", 0.5), number("zero", 0),
                         number("one", 1)]
    return build([node("Conv", ["x", "w1", "b1"], "c1", [PADS]), *nodes, *HEAD], weights)


SWISHES = [[node("HardSwish", ["c1"], "m")],
           [node("Add", ["c1", "three"], "a"), node("Clip", ["a", "zero", "six"], "b"), node("Mul", ["b", "sixth"], "s"),
            node("Mul", ["c1", "s"], "m")],
           [node("Div", ["c1", "six"], "a"), node("Add", ["a", "half"], "b"), node("Clip", ["b", "zero", "one"], "s"),
            node("Mul", ["s", "c1"], "m")]]


def dense():
    """Each part adds channels to its input, and joins them in the next one, as PyTorch has it in DenseNet."""
    def part(name, src, weights, result):
        return [node("Relu", [src], f"{result}_r", f3=f"/d/{name}/relu/Relu"),
                node("Conv", [f"{result}_r", weights], result, f3=f"/d/{name}/conv/Conv")]

    along = [whole("axis", 1)]
    nodes = [node("Conv", ["x", "w1"], "c", f3="/stem/Conv"), *part("l1", "c", "wa", "a"),
             node("Concat", ["c", "a"], "j", along, f3="/d/l2/Concat"), *part("l2", "j", "wb", "b"),
             node("Concat", ["c", "a", "b"], "k", along, f3="/d/Concat"), node("GlobalAveragePool", ["k"], "y", f3="/pool/Pool")]
    return model(nodes=nodes, weights=[tensor("w1"), floats("wa", [2, 4, 1, 1]), floats("wb", [2, 6, 1, 1])],
                 outputs=[value("y", (1, 8))])


DENSE = """\
[layer.d.l1]
block = l

[layer.d.l2]
block = l
"""
DENSE_PART = """\
[block.l.concat]
type = concat
from = input, conv
"""


def take(box, data):
    """What becomes of a model: the configuration; out.h5 is the checkpoint."""
    box.write("model.onnx", data)
    box.ok("sluice-import", "model.onnx", "-o", "out.h5", "--config=out.ini", "--force")
    return box.text("out.ini")


def main():
    failed = 0

    def expect(name, well, text=""):
        nonlocal failed
        if not well:
            print(f"FAILED {name}\n{text}")
            failed += 1

    with Sandbox() as box:
        if "has no ONNX" in box.ok("sluice-export", "--help").out:
            raise SystemExit(77)
        box.write("weights/all.bin", b"".join(packed(name) for name in SHAPES))
        text = take(box, build(PLAIN))
        expect("plain", text == EXPECTED, text)
        box.write("plain.h5", box.read("out.h5"))
        for form in FORMS:
            text = take(box, form())
            expect(form.__name__, text == EXPECTED, text)
            difference = box.run("sluice-inspect", "plain.h5", "--diff", "out.h5")
            expect(form.__name__ + ", weights", difference.code == 0, difference.out + difference.err)
        by_split = take(box, parts([message(f1="c1", f2=["a", "b"], f3="half", f4="Split", f5=[whole("axis", 1)])]))
        by_slices = take(box, parts([node("Slice", ["c1", "zero", "two", "one"], "a", f3="half"),
                                     node("Slice", ["c1", "two", "end", "one"], "b")]))
        wanted = "\n[layer.half]\ntype = split\n\n[layer.r]\ntype = relu\nfrom = half:second\n\n[layer.j]\ntype = concat\n" \
                 "from = half, r\n\n[layer.k]\ntype = channel_shuffle\n"
        text = take(box, keras())
        expect("keras", text == KERAS, text)
        text = take(box, dense())
        expect("dense", DENSE in text and DENSE_PART in text, text)
        texts = [take(box, swish(nodes)) for nodes in SWISHES]
        expect("swish", "type = hard_swish" in texts[0] and texts.count(texts[0]) == len(texts), "".join(texts))
        expect("parts", wanted in by_split and by_slices == by_split, by_split + by_slices)
    print(f"{len(FORMS)} forms, {failed} failed")
    sys.exit(1 if failed else 0)


main()
