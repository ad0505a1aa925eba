"""sluice-pack of other data sets: what NumPy and pickle write of CIFAR, MNIST's relatives, STL-10, SVHN and npz arrays comes out
pixel by pixel; pickles run no code; what is said about damaged files."""
import gzip
import io
import os
import pickle
import resource
import struct
import sys
import zlib

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from harness import SANITIZED, Sandbox

failures = []
random = np.random.default_rng(3)


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def images(count, height=32, width=32, channels=3):
    return random.integers(0, 256, (count, height, width, channels), np.uint8)


def planes(pixels):
    """N x C x H x W, as rows."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(len(pixels), -1)


def text2(text):
    return b"U" + bytes([len(text)]) + text.encode()


def python2(value):
    """A pickle of protocol 2 as Python 2 wrote it, whose texts are bytes: CIFAR's own files."""
    if isinstance(value, str):
        return text2(value)
    if isinstance(value, int):
        return b"K" + bytes([value])
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(key) + python2(item) for key, item in value.items()) + b"u"
    shape = b"".join(b"J" + struct.pack("<i", size) for size in value.shape)
    return (b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85" + text2("b") + b"\x87R(K\x01"
            + shape + b"\x86cnumpy\ndtype\n" + text2("u1") + b"K\x00K\x01\x87R(K\x03" + text2("|") + b"NNNJ\xff\xff\xff\xff"
            b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", value.size) + value.tobytes() + b"tb")


def dump2(value):
    return b"\x80\x02" + python2(value) + b"."


def packed(box, *arguments):
    """What the packed file holds: pixels, labels and names."""
    result = box.run("sluice-pack", *arguments, "-o", "set.h5", "--force")
    expect(result.code == 0, f"{arguments}: exit code {result.code}: {result.err}")
    if result.code != 0:
        return None
    with h5py.File(box.at("set.h5")) as file:
        names = [name.decode() if isinstance(name, bytes) else name for name in file["class_names"][()]] \
            if "class_names" in file else []
        return {split: (file[f"{split}/images"][()], file[f"{split}/labels"][()].tolist())
                for split in ("train", "test") if split in file}, names


def expect_set(box, what, arguments, wanted, names):
    got = packed(box, *arguments)
    if got is None:
        return
    expect(got[1] == names, f"{what}: names {got[1]}")
    expect(sorted(got[0]) == sorted(wanted), f"{what}: splits {sorted(got[0])}")
    for split, (pixels, labels) in wanted.items():
        expect(got[0][split][1] == labels, f"{what}: labels of {split}")
        expect(got[0][split][0].shape == pixels.shape and (got[0][split][0] == pixels).all(), f"{what}: pixels of {split}")


def cifar10(dump):
    train, test, labels = images(15), images(4), [i % 3 for i in range(15)]
    files = {"batches.meta": dump({"label_names": ["cat", "dog", "owl"], "num_vis": 3})}
    for batch in range(5):
        part = slice(3 * batch, 3 * batch + 3)
        files[f"data_batch_{batch + 1}"] = dump({"batch_label": f"batch {batch}", "labels": labels[part], "data": planes(train[part]),
                                                 "filenames": ["a.png", "b.png", "c.png"]})
    files["test_batch"] = dump({"labels": [2, 1, 0, 2], "data": planes(test)})
    return files, {"train": (train, labels), "test": (test, [2, 1, 0, 2])}


def cifar_pickles():
    dumps = {"Python 2": dump2}
    dumps.update({f"protocol {n}": lambda value, n=n: pickle.dumps(value, protocol=n) for n in (2, 3, 4)})
    for name, dump in dumps.items():
        with Sandbox() as box:
            files, wanted = cifar10(dump)
            for file, content in files.items():
                box.write("cifar-10-batches-py/" + file, content)
            for folder in (".", "cifar-10-batches-py"):
                expect_set(box, f"CIFAR-10, {name}, {folder}", [folder], wanted, ["cat", "dog", "owl"])
            train, test = images(4), images(2)
            box.write("100/meta", dump({"fine_label_names": ["apple", "bear"], "coarse_label_names": ["food"]}))
            box.write("100/train", dump({"fine_labels": [0, 1, 1, 0], "coarse_labels": [0, 0, 0, 0], "data": planes(train)}))
            box.write("100/test", dump({"fine_labels": [1, 0], "coarse_labels": [0, 0], "data": planes(test)}))
            expect_set(box, f"CIFAR-100, {name}", ["100"], {"train": (train, [0, 1, 1, 0]), "test": (test, [1, 0])},
                       ["apple", "bear"])


def idx(array):
    kind = {np.uint8: 8, np.dtype(">i4"): 12}.get(array.dtype.type if array.dtype == np.uint8 else array.dtype)
    return struct.pack(">BBBB", 0, 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_relatives():
    train, test = images(5, 28, 28, 1), images(3, 28, 28, 1)
    labels, test_labels = [3, 0, 1, 2, 1], [1, 1, 0]
    wanted = {"train": (train, labels), "test": (test, test_labels)}

    def files(train_name, test_name, turn=lambda x: x, ending="-labels-idx1-ubyte", first=0,
              rows=lambda labels: np.array(labels, np.uint8), pack=lambda x: x):
        end = ".gz" if pack is gzip.compress else ""
        return {name + kind + end: pack(idx(array)) for name, pixels, values in
                ((train_name, train, labels), (test_name, test, test_labels))
                for kind, array in (("-images-idx3-ubyte", np.ascontiguousarray(turn(pixels[..., 0]))),
                                    (ending, rows([value + first for value in values])))}

    def turned(pixels):
        return pixels.transpose(0, 2, 1)

    def columns(labels):
        rows = np.full((len(labels), 8), 7, ">i4")
        rows[:, 0] = labels
        return rows

    kinds = {"MNIST": (files("train", "t10k"), []),
             "EMNIST": ({**files("emnist-letters-train", "emnist-letters-test", turned, first=1, pack=gzip.compress),
                         "emnist-letters-mapping.txt": "1 65 97\n2 66 98\n3 67 99\n4 68 100\n"}, ["A", "B", "C", "D"]),
             "QMNIST": (files("qmnist-train", "qmnist-test", ending="-labels-idx2-int", rows=columns, pack=gzip.compress), [])}
    for name, (content, names) in kinds.items():
        with Sandbox() as box:
            for file, data in content.items():
                box.write("set/" + file, data)
            expect_set(box, name, ["set"], wanted, names)
    with Sandbox() as box:  # Kuzushiji-MNIST
        os.mkdir(box.at("set"))
        for split, (pixels, values) in wanted.items():
            np.savez_compressed(box.at(f"set/kmnist-{split}-imgs.npz"), pixels[..., 0])
            np.savez_compressed(box.at(f"set/kmnist-{split}-labels.npz"), np.array(values, np.uint8))
        box.write("names", "o\nki\nsu\ntsu\n")
        expect_set(box, "KMNIST", ["set", "--class-names=names"], wanted, ["o", "ki", "su", "tsu"])


def stl10():
    with Sandbox() as box:
        train, test = images(3, 96, 96), images(2, 96, 96)
        for name, pixels, labels in (("train", train, [1, 10, 2]), ("test", test, [2, 1])):
            box.write(f"stl/{name}_X.bin", np.ascontiguousarray(pixels.transpose(0, 3, 2, 1)).tobytes())
            box.write(f"stl/{name}_y.bin", bytes(labels))
        expect_set(box, "STL-10", ["stl"], {"train": (train, [0, 9, 1]), "test": (test, [1, 0])}, [])
        box.write("stl/train_y.bin", bytes([1, 11, 2]))
        result = box.run("sluice-pack", "stl", "-o", "no.h5")
        expect(result.code == 3 and "stl/train_y.bin: byte 1: expected a label of 1 to 10, got 11" in result.err, result.err)


def mat_tag(kind, data):
    if len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


MAT_TYPES = {"uint8": (9, 2), "float64": (6, 9), "float32": (7, 7), "int16": (10, 3), "uint16": (11, 4), "int64": (14, 12)}


def mat_matrix(name, array, stored=None, flags=0, shape=None):
    """An array as MATLAB stores it: its class, and the type that its numbers are stored in."""
    kind = MAT_TYPES[array.dtype.name][0]
    kept = array.astype(stored or array.dtype)
    sizes = array.shape if shape is None else shape
    parts = (mat_tag(6, struct.pack("<II", kind | flags, 0)) + mat_tag(5, struct.pack(f"<{len(sizes)}i", *sizes))
             + mat_tag(1, name.encode()) + mat_tag(MAT_TYPES[kept.dtype.name][1], kept.tobytes("F")))
    return struct.pack("<II", 14, len(parts)) + parts


def mat_file(*matrices, pack=True, header=b"MATLAB 5.0 MAT-file", version=0x0100, order=b"IM"):
    packed = [zlib.compress(matrix) for matrix in matrices]
    body = b"".join(struct.pack("<II", 15, len(data)) + data for data in packed) if pack else b"".join(matrices)
    return header.ljust(116) + bytes(8) + struct.pack("<H", version) + order + body


def mat_images(pixels):
    return mat_matrix("X", np.ascontiguousarray(pixels.transpose(1, 2, 3, 0)))


def svhn():
    train, test = images(5), images(3)
    labels, test_labels = [1, 10, 9, 2, 10], [10, 3, 1]
    digits = {"train": (train, [1, 0, 9, 2, 0]), "test": (test, [0, 3, 1])}
    column = lambda values, kind="float64": np.array(values, kind).reshape(-1, 1)
    other = mat_matrix("other", column([1, 2, 3]))
    forms = {"as published": lambda x, y: mat_file(mat_images(x), mat_matrix("y", column(y), "uint8")),
             "as it is": lambda x, y: mat_file(other, mat_matrix("y", column(y)), other, mat_images(x), pack=False),
             "other numbers": lambda x, y: mat_file(mat_images(x), other, mat_matrix("y", column(y, "int16"))),
             "single": lambda x, y: mat_file(mat_matrix("y", column(y, "float32")), mat_images(x)),
             "gzipped too": lambda x, y: gzip.compress(mat_file(mat_images(x), mat_matrix("y", column(y, "int64"))))}
    for name, form in forms.items():
        with Sandbox() as box:
            box.write("svhn/train_32x32.mat", form(train, labels))
            box.write("svhn/test_32x32.mat", form(test, test_labels))
            expect_set(box, f"SVHN, {name}", ["svhn"], digits, [])
    with Sandbox() as box:
        wide = images(2, 5, 7)
        box.write("extra_32x32.mat", mat_file(mat_images(wide), mat_matrix("y", column([4, 10]))))
        expect_set(box, "SVHN, one file", ["extra_32x32.mat"], {"train": (wide, [4, 0])}, [])
        box.write("one.mat", mat_file(mat_matrix("X", wide[0]), mat_matrix("y", np.array([[7.0]]))))
        expect_set(box, "SVHN, one image", ["one.mat"], {"train": (wide[:1], [7])}, [])


def damaged_mat_files():
    x, y = mat_images(images(2)), mat_matrix("y", np.array([[1.0], [2.0]]))
    good = mat_file(x, y)
    raw = mat_file(x, y, pack=False)
    element = struct.pack("<II", 15, 1 << 31)
    bomb = mat_matrix("X", np.zeros((1, 1), np.uint8), shape=(1 << 10, 1 << 10, 3, 400))
    huge = bomb.replace(struct.pack("<HH", 2, 1) + bytes(4), struct.pack("<II", 2, 3 * 400 << 20))
    end = "; fetch SVHN again\n"
    cases = [
        ("empty", b"", "the file ends here, expected 128 bytes"),
        ("no MAT file", b"x" * 200, "byte 0: expected a MAT file of version 5"),
        ("MATLAB 7.3", mat_file(header=b"MATLAB 7.3 MAT-file", version=0x0200),
         "byte 0: is of MATLAB 7.3, expected version 5 (save -v7 writes it)"),
        ("big-endian", mat_file(version=0x0001, order=b"MI"), "byte 126: is of a big-endian machine, expected little-endian"),
        ("no arrays", mat_file(), "has no array X"),
        ("no labels", mat_file(x), "has no array y"),
        ("cut short", good[:-20], "the file ends here, expected "),
        ("cut in a tag", good[:132], "the file ends here, expected "),
        ("a long element", mat_file() + element + zlib.compress(x), "the file ends here, expected "),
        ("a flipped bit", good[:200] + bytes([good[200] ^ 255]) + good[201:], ""),
        ("not packed", mat_file() + struct.pack("<II", 15, 64) + b"\xff" * 64, "an array cannot be unpacked"),
        ("packed and cut", mat_file() + struct.pack("<II", 15, 100) + zlib.compress(x)[:100], "a packed array is cut short"),
        ("an array and cut", raw[:128] + struct.pack("<II", 14, 56) + raw[136:192], "an array is cut short"),
        ("no flags", mat_file(struct.pack("<II", 14, 16) + mat_tag(5, bytes(8))), "an array has no flags"),
        ("a negative size", mat_file(mat_matrix("X", np.zeros((1, 1), np.uint8), shape=(-1, 1))), "an array has a negative size"),
        ("a damaged tag", mat_file(struct.pack("<II", 14, 16) + struct.pack("<HH", 6, 9) + bytes(12)), "a tag is damaged"),
        ("too large", mat_file(mat_matrix("X", np.zeros((1, 1), np.uint8), shape=(2147483647,) * 4)), "an array is too large"),
        ("more than its sizes", mat_file(mat_matrix("X", np.zeros((3, 3), np.uint8), shape=(3, 2))),
         "the array X has another number of bytes than its sizes say"),
        ("text", mat_file(mat_matrix("X", np.zeros((2, 2), np.uint8)).replace(struct.pack("<II", 9, 0), struct.pack("<II", 4, 0))),
         "expected the array X to be of real numbers"),
        ("complex", mat_file(mat_matrix("X", np.zeros((2, 2), np.uint8), flags=0x0800)), "expected the array X to be of real numbers"),
        ("twice", mat_file(x, x), "it has two arrays X"),
        ("a bomb", mat_file(huge), "a packed array is cut short"),
        ("wide pixels", mat_file(mat_matrix("X", np.zeros((4, 4, 3, 2), np.uint16)), y),
         "expected X to be unsigned bytes, height x width x channels x N, with 1 or 3 channels"),
        ("five channels", mat_file(mat_images(images(2, 4, 4, 5)), y), "expected X to be unsigned bytes"),
        ("labels", mat_file(x, mat_matrix("y", np.array([[1.0]]))), "expected a label for each of the 2 images, got 1"),
        ("a half", mat_file(x, mat_matrix("y", np.array([[1.0], [2.5]]))), "label 1: expected 0 to 10, got 2.5"),
        ("a large label", mat_file(x, mat_matrix("y", np.array([[1.0], [11.0]]))), "label 1: expected 0 to 10, got 11"),
        ("no number", mat_file(x, mat_matrix("y", np.array([[1.0], [np.nan]]))), "label 1: expected 0 to 10, got nan")]
    for name, content, text in cases:
        with Sandbox() as box:
            box.write("a.mat", content)
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)) if not SANITIZED else None
            result = box.run("sluice-pack", "a.mat", "-o", "set.h5", prepare=limit)
            expect(result.code == 3 and text in result.err and result.err.endswith(end) and result.err.count("\n") == 1,
                   f"{name}: {result.code}: {result.err}")
            expect(not os.path.exists(box.at("set.h5")), f"{name}: left something behind")


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npz_files():
    train, test = images(4, 7, 9), images(2, 7, 9)
    for name, arrays in {
            "Keras": {"x_train": train, "y_train": np.array([0, 1, 0, 1]), "x_test": test, "y_test": np.array([1, 0])},
            "planes": {"x_train": train.transpose(0, 3, 1, 2).copy(), "y_train": np.array([0, 1, 0, 1], np.int16),
                       "x_test": test.transpose(0, 3, 1, 2).copy(), "y_test": np.array([1, 0], np.int16)},
            "MedMNIST": {"train_images": train, "train_labels": np.array([[0], [1], [0], [1]], np.uint8), "val_images": test,
                         "test_images": test, "test_labels": np.array([[1], [0]], np.uint8)}}.items():
        with Sandbox() as box:
            for save in (np.savez, np.savez_compressed):
                save(box.at("a.npz"), **arrays)
                expect_set(box, f"npz, {name}", ["a.npz"], {"train": (train, [0, 1, 0, 1]), "test": (test, [1, 0])}, [])
    with Sandbox() as box:
        grey = images(3, 5, 6, 1)
        np.savez(box.at("a.npz"), images=grey[..., 0], labels=np.array([0, 1, 1], ">i8").astype("<i8"))
        expect_set(box, "npz, one set", ["a.npz"], {"train": (grey, [0, 1, 1])}, [])
        result = packed(box, "a.npz", "--pixels=resize(10x12)")
        expect(result is not None and result[0]["train"][0].shape == (3, 10, 12, 3), "resized")


class Attack:
    def __reduce__(self):
        return os.system, ("touch attacked",)


def refused():
    good, _ = cifar10(dump2)
    data = {"labels": [0], "data": planes(images(1))}
    x, y = images(2, 4, 4), np.array([0, 1])
    stored = npz(x=x, y=y)
    cases = [
        ("code in a pickle", {"data_batch_1": pickle.dumps({"data": Attack()}, 2)},
         "data_batch_1: byte 56: the pickle calls 'posix system', and pickles of data call nothing"),
        ("an object", {"data_batch_1": pickle.dumps({"data": io.BytesIO}, 2)}, "data_batch_1: expected an entry 'data'; it is no file"),
        ("text of protocol 0", {"data_batch_1": pickle.dumps(data, 0)}, "data_batch_1: byte 0: expected a pickle of protocol 2 to 4"),
        ("protocol 5", {"data_batch_1": pickle.dumps(data, 5)}, "data_batch_1: byte 0: expected a pickle of protocol 2 to 4"),
        ("a float", {"data_batch_1": pickle.dumps({"x": 1.5}, 2)},
         "the pickle does what data does not need (opcode 71)"),
        ("cut short", {"data_batch_1": good["data_batch_1"][:2000]}, "the pickle is cut short"),
        ("empty", {"data_batch_1": b""}, "data_batch_1: byte 0: expected a pickle of protocol 2 to 4"),
        ("no value", {"data_batch_1": b"\x80\x02."}, "data_batch_1: byte 2: a value is missing"),
        ("no mark", {"data_batch_1": b"\x80\x02]e."}, "data_batch_1: byte 3: a mark is missing"),
        ("an unknown value", {"data_batch_1": b"\x80\x02h\x05."}, "data_batch_1: byte 2: it names a value that is not there"),
        ("another key", {"data_batch_1": dump2({"labels": [0], "pixels": planes(images(1))})}, "data_batch_1: expected an entry 'data'"),
        ("another shape", {"data_batch_1": dump2({"labels": [0, 1], "data": planes(images(1))})},
         "data_batch_1: expected 2 x 3072 pixels for 2 labels"),
        ("a label too many", {"data_batch_1": dump2({"labels": [3], "data": planes(images(1))})},
         "data_batch_1: label 0: expected an integer of 0 to 2"),
        ("a float array", {"data_batch_1": pickle.dumps({"labels": [0], "data": np.zeros((1, 3072))}, 2)},
         "expected an array of unsigned bytes in C's order")]
    for name, changed, text in cases:
        with Sandbox() as box:
            for file, content in {**good, **changed}.items():
                box.write("set/" + file, content)
            result = box.run("sluice-pack", "set", "-o", "set.h5")
            expect(result.code == 3 and text in result.err and result.err.count("\n") == 1, f"{name}: {result.code}: {result.err}")
            expect(not os.path.exists(box.at("attacked")) and not os.path.exists(box.at("set.h5")), f"{name}: left something behind")
    flipped = bytearray(stored)
    flipped[stored.index(x.tobytes()[:8])] ^= 1
    arrays = [
        ("no archive", b"PK", "a.npz: it has no directory of a zip archive: the file is damaged, or no npz file of NumPy"),
        ("a flipped bit", bytes(flipped), "a.npz: a member has another checksum"),
        ("cut short", stored[:-30], "a.npz: it has no directory of a zip archive"),
        ("floats", npz(x=x / 255, y=y), "the array x is of the type ''<f8'', expected integers"),
        ("objects", npz(x=np.array([{}]), y=y), "the array x is of the type ''|O'', expected integers"),
        ("Fortran's order", npz(x=np.asfortranarray(x), y=y), "the array x is in Fortran's order"),
        ("other names", npz(a=x, b=y), "expected arrays x_train and y_train, train_images and train_labels, images and labels, or x and "
         "y, got a, b"),
        ("labels", npz(x=x, y=np.array([0, 1, 1])), "a.npz: expected a label for each of the 2 images, got 3"),
        ("a negative label", npz(x=x, y=np.array([0, -1])), "a.npz: label 1: expected 0 to 16777215, got -1"),
        ("wide pixels", npz(x=x.astype(np.uint16), y=y), "a.npz: expected images of unsigned bytes"),
        ("five channels", npz(x=images(2, 4, 4, 5), y=y), "a.npz: expected images N x H x W, N x H x W x C or N x C x H x W"),
        ("no images", npz(x=x[:0], y=y[:0]), "a.npz: x has no images")]
    for name, content, text in arrays:
        with Sandbox() as box:
            box.write("a.npz", content)
            result = box.run("sluice-pack", "a.npz", "-o", "set.h5")
            expect(result.code == 3 and text in result.err and result.err.count("\n") == 1, f"{name}: {result.code}: {result.err}")
    with Sandbox() as box:
        box.write("a.npz", stored)
        result = box.run("sluice-pack", "a.npz", "-o", "set.h5", "--test-share=0.1")
        expect(result.code == 2 and "command line: --test-share: a.npz has its test set in itself" in result.err, result.err)
        box.write("set/a-train-images-idx3-ubyte", idx(x[..., 0].copy()))
        box.write("set/a-train-labels-idx1-ubyte", idx(np.array([1], np.uint8)))
        result = box.run("sluice-pack", "set", "-o", "set.h5")
        expect(result.code == 3 and "expected a label for each of the 2 images" in result.err, result.err)
        box.write("set/a-train-labels-idx1-ubyte", idx(np.array([1, 0], np.uint8)))
        box.write("set/b-train-images-idx3-ubyte", idx(x[..., 0].copy()))
        box.write("set/b-train-labels-idx1-ubyte", idx(np.array([1, 0], np.uint8)))
        result = box.run("sluice-pack", "set", "-o", "set.h5")
        expect(result.code == 3 and "set: holds several data sets, a- and b-; put the files of one into a folder of their own"
               in result.err, result.err)


cifar_pickles()
mnist_relatives()
stl10()
svhn()
damaged_mat_files()
npz_files()
refused()
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
