"""ONNX models byte by byte, for tests that need no other program."""
import struct


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


def wide(name, dims, numbers):
    """int64."""
    return message(f1=dims, f2=7, f8=name, f9=struct.pack(f"<{len(numbers)}q", *numbers))


def beside(name, dims, file, offset=None, length=None):
    """Floats that lie in another file."""
    entries = [("location", file)] + [(k, str(v)) for k, v in (("offset", offset), ("length", length)) if v is not None]
    return message(f1=dims, f2=1, f8=name, f13=[message(f1=key, f2=text) for key, text in entries], f14=1)


def value(name, dims=(1, 2, 6, 5)):
    shape = message(f1=[message(f2="batch")] + [message(f1=dim) for dim in dims[1:]])
    return message(f1=name, f2=message(f1=message(f1=1, f2=shape)))


def node(op, inputs, result, attributes=(), **more):
    return message(**{**dict(f1=list(inputs), f2=result, f3=result, f4=op, f5=list(attributes)), **more})


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
