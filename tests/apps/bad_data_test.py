"""Bad data sets: each row's exact message, exit code 3, and that no run directory is left behind."""
import gzip
import os
import struct

from harness import Case, run_table

CIFAR = "[data]\nkind = cifar10\ndir = d\nclasses = 0\n[network]\ninput = 3x32x32\n[layer.fc]\nfeatures = 10\n"
CIFAR100 = CIFAR.replace("cifar10", "cifar100").replace("channels = 10", "channels = 100")
IDX = "[data]\nkind = idx\ndir = d\n[network]\ninput = 1x6x5\n"
HDF5 = "[data]\nkind = hdf5\ndir = d\n[network]\ninput = 1x6x5\n"
FETCH = "run sluice-get-data cifar10 d"
MAGIC = "d/train-images-idx3-ubyte: byte 0: expected the magic number 0x00000803 (unsigned bytes, 3 dimensions), got "
AGAIN = "check [data] idx_train_images, or fetch the file again"


def record(label):
    return bytes([label]) + bytes(3072)


def cifar(lost=None, **files):
    """Makes five files of three images and one to test on, with these instead, without `lost`."""
    def make(box):
        for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]:
            if name != lost:
                box.write(f"d/{name}.bin", files.get(name, b"".join(record(i) for i in range(3))))
        if "names" in files:
            box.write("d/batches.meta.txt", files["names"])
    return make


def idx_images(count=9, height=6, width=5, bytes_short=0):
    return struct.pack(">IIII", 0x803, count, height, width) + os.urandom(max(0, count * height * width - bytes_short))


def idx_labels(count=9, last=0):
    return struct.pack(">II", 0x801, count) + bytes(i % 3 for i in range(count - 1)) + bytes([last])


def idx(lost=None, **files):
    """Makes training and test set of nine images of 6x5, with these training files instead, without `lost`."""
    contents = {"train-images-idx3-ubyte": idx_images(), "train-labels-idx1-ubyte": idx_labels(),
                "t10k-images-idx3-ubyte": idx_images(), "t10k-labels-idx1-ubyte": idx_labels()}
    contents.update({{"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}[name]: content
                     for name, content in files.items()})
    return lambda box: [box.write("d/" + name, content) for name, content in contents.items() if name != lost]


def zipped(change):
    """The training images gzipped, with `change` made to the bytes."""
    def make(box):
        idx(lost="train-images-idx3-ubyte")(box)
        box.write("d/train-images-idx3-ubyte.gz", change(gzip.compress(idx_images())))
    return make


def hdf5(*arguments):
    def make(box):
        os.makedirs(box.at("d"))
        box.forge("dataset", "d/train.h5", *arguments)
        box.forge("dataset", "d/test.h5", "images=20x6x5x1", "labels=20")
    return make


def cut_hdf5(box):
    hdf5("images=20x6x5x1", "labels=20")(box)
    whole = box.read("d/train.h5")
    box.tokens["size"] = str(len(whole))
    box.write("d/train.h5", whole[:3000])


def flipped(data, byte):
    return data[:byte] + bytes([data[byte] ^ 16]) + data[byte + 1:]


def data(name, text, message, make=None, files=()):
    """Of what is wrong with files the key that names their folder is told, and where a key stands that is named."""
    lines = [line.split(" = ")[0] for line in text.splitlines()]
    key = message.split(":")[0].replace("[data] ", "")
    if message.startswith("[data]") and key in lines:
        message = f"bad.ini:{lines.index(key) + 2}: {message}"
    if "dir = d\n" in text and "[data]" not in message.split(":")[0] and not message.startswith("bad.ini"):
        message = f"bad.ini:{text.splitlines().index('dir = d') + 2}: [data] dir: {message}"
    return Case(name, "sluice-train bad.ini", 3, message, ini=text, make=make, files=dict(files))


CIFAR_CASES = [
    data("cifar: nothing there", CIFAR, f"d: expected the folder of CIFAR-10, got nothing; {FETCH}, or set [data] dir"),
    data("cifar: a file", CIFAR, f"d: expected the folder of CIFAR-10, got a file; {FETCH}, or set [data] dir",
         files={"d": "x"}),
    data("cifar: an empty folder", CIFAR,
         f"d: found neither data_batch_1.bin nor cifar-10-batches-bin/data_batch_1.bin; {FETCH}, or set [data] dir",
         make=lambda box: os.makedirs(box.at("d"))),
    data("cifar: the Python version", CIFAR,
         "d/cifar-10-batches-py: this is the Python version of CIFAR-10 (data_batch_1 instead of data_batch_1.bin), "
         f"expected the binary version; {FETCH}", files={"d/cifar-10-batches-py/data_batch_1": "x"}),
    data("cifar: cut inside an image", CIFAR,
         "d/data_batch_3.bin: expected a multiple of 3073 bytes (1 of labels and 3072 of pixels for each image), got 6149: "
         f"the file is cut short or damaged; {FETCH}", make=cifar(data_batch_3=record(0) * 2 + b"123")),
    data("cifar: cut between images", CIFAR,
         f"d/data_batch_3.bin: expected 3 images as in data_batch_1.bin, got 2: one of them is cut short; {FETCH}",
         make=cifar(data_batch_3=record(0) * 2)),
    data("cifar: an empty file", CIFAR,
         "d/data_batch_3.bin: expected a multiple of 3073 bytes (1 of labels and 3072 of pixels for each image), got 0: the "
         f"file is cut short or damaged; {FETCH}", make=cifar(data_batch_3=b"")),
    data("cifar: a pointer of Git LFS", CIFAR,
         "d/data_batch_3.bin: expected a multiple of 3073 bytes (1 of labels and 3072 of pixels for each image), got 43: the "
         f"file is a pointer of Git LFS (git lfs pull fetches the file itself); {FETCH}",
         make=cifar(data_batch_3=b"version https://git-lfs.github.com/spec/v1\n")),
    data("cifar: gzipped", CIFAR,
         "d/data_batch_3.bin: expected a multiple of 3073 bytes (1 of labels and 3072 of pixels for each image), got 40: the "
         f"file is a gzipped file; {FETCH}", make=cifar(data_batch_3=gzip.compress(record(0) * 3, mtime=0)[:40])),
    data("cifar: label out of range", CIFAR,
         f"d/data_batch_2.bin: byte 3073: expected a label below 10, got 10: the file is damaged; {FETCH}",
         make=cifar(data_batch_2=record(0) + record(10) + record(1))),
    data("cifar: a file missing", CIFAR, f"d/data_batch_4.bin: no such file; {FETCH}", make=cifar(lost="data_batch_4")),
    data("cifar: test file missing", CIFAR.replace("classes = 0", "classes = 0\nvalidation = 0"), f"d/test_batch.bin: no such file; {FETCH}",
         make=cifar(lost="test_batch")),
    data("cifar: a folder for a file", CIFAR, f"d/data_batch_4.bin: expected a file, got a folder; {FETCH}",
         make=lambda box: (cifar(lost="data_batch_4")(box), os.makedirs(box.at("d/data_batch_4.bin")))),
    data("cifar: wrong number of names", CIFAR,
         f"d/batches.meta.txt: expected 10 class names, one in each line, got 2; {FETCH}", make=cifar(names="a\nb\n")),
    data("cifar100: label out of range", CIFAR100,
         "d/train.bin: byte 1: expected a label below 100, got 100: the file is damaged; run sluice-get-data cifar100 d",
         files={"d/train.bin": bytes([0, 100]) + bytes(3072), "d/test.bin": bytes(3074)}),
]

IDX_CASES = [
    data("idx: nothing there", IDX, "d: expected the folder of the IDX files, got nothing; set [data] dir"),
    data("idx: images missing", IDX,
         "d/train-images-idx3-ubyte: no such file, plain or with .gz; set [data] dir and idx_train_images",
         make=idx(lost="train-images-idx3-ubyte")),
    data("idx: labels missing", IDX,
         "d/train-labels-idx1-ubyte: no such file, plain or with .gz; set [data] dir and idx_train_labels",
         make=idx(lost="train-labels-idx1-ubyte")),
    data("idx: wrong type", IDX,
         "d/train-images-idx3-ubyte: byte 0: expected the magic number 0x00000803 (unsigned bytes, 3 dimensions), got "
         f"0x00000b03 (16-bit integers, 3 dimensions); {AGAIN}", make=idx(images=b"\0\0\x0b\3" + bytes(300))),
    data("idx: floats", IDX, f"{MAGIC}0x00000d03 (32-bit floats, 3 dimensions); {AGAIN}",
         make=idx(images=b"\0\0\x0d\3" + bytes(300))),
    data("idx: a web page", IDX, f"{MAGIC}0x3c21444f (a web page); {AGAIN}", make=idx(images=b"<!DOCTYPE html>")),
    data("idx: a pointer of Git LFS", IDX,
         f"{MAGIC}0x76657273 (a pointer of Git LFS (git lfs pull fetches the file itself)); {AGAIN}",
         make=idx(images=b"version https://git-lfs.github.com/spec/v1\n")),
    data("idx: gzipped twice", IDX,
         f"{MAGIC}0x1f8b0800 (a gzipped file again: it was gzipped twice); {AGAIN}".replace("images-idx3-ubyte: ", "images-idx3-ubyte.gz: "),
         make=zipped(lambda gz: gzip.compress(gz, mtime=0))),
    data("idx: an archive", IDX, f"{MAGIC}0x504b0304 (a zip archive); {AGAIN}", make=idx(images=b"PK\3\4" + bytes(300))),
    data("idx: labels for images", IDX,
         "d/train-images-idx3-ubyte: byte 0: expected the magic number 0x00000803 (unsigned bytes, 3 dimensions), got "
         f"0x00000801 (a file of labels); {AGAIN}", make=idx(images=idx_labels())),
    data("idx: text", IDX,
         "d/train-labels-idx1-ubyte: byte 0: expected the magic number 0x00000801 (unsigned bytes, 1 dimension), got "
         "0x68656c6c (text); check [data] idx_train_labels, or fetch the file again", make=idx(labels=b"hello\n")),
    data("idx: counts that differ", IDX,
         "d/train-labels-idx1-ubyte: expected a label for each of the 9 images of d/train-images-idx3-ubyte, got 8; check "
         "[data] idx_train_labels", make=idx(labels=idx_labels(8))),
    data("idx: truncated", IDX,
         f"d/train-images-idx3-ubyte: byte 216: the file ends here, expected 286 bytes; {AGAIN}",
         make=idx(images=idx_images(bytes_short=70))),
    data("idx: too long", IDX,
         f"d/train-images-idx3-ubyte: byte 286: expected the end of the file, got more bytes; {AGAIN}",
         make=idx(images=idx_images() + b"x")),
    data("idx: empty", IDX, f"d/train-images-idx3-ubyte: byte 0: the file ends here, expected 16 bytes; {AGAIN}",
         make=idx(images=b"")),
    data("idx: no images in it", IDX,
         f"d/train-images-idx3-ubyte: byte 4: expected a size above 0 for dimension 0, got 0; {AGAIN}",
         make=idx(images=idx_images(0))),
    data("idx: sizes beyond the file", IDX,
         f"d/train-images-idx3-ubyte: byte 4: dimension 0 is 4294967295, more than the file can hold; {AGAIN}",
         make=idx(images=struct.pack(">IIII", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1))),
    data("idx: label out of range", IDX,
         "d/train-labels-idx1-ubyte: byte 16: expected a label below 3, got 3; check [data] classes",
         make=idx(labels=idx_labels(last=3))),
    data("idx: gzip cut short", IDX,
         f"d/train-images-idx3-ubyte.gz: byte 4: the gzipped file is cut short; {AGAIN}", make=zipped(lambda gz: gz[:150])),
    data("idx: gzip with a flipped bit", IDX,
         f"d/train-images-idx3-ubyte.gz: byte 0: cannot be read on from here (incorrect data check); {AGAIN}",
         make=zipped(lambda gz: flipped(gz, 200))),
]

HDF5_CASES = [
    data("hdf5: nothing there", HDF5, "d/train.h5: no such file; set [data] dir and hdf5_train"),
    data("hdf5: text", HDF5, "d/train.h5: cannot open as an HDF5 file: file signature not found",
         files={"d/train.h5": "text"}),
    data("hdf5: a directory", HDF5, "d/train.h5: is a directory, expected an HDF5 file",
         make=lambda box: os.makedirs(box.at("d/train.h5"))),
    data("hdf5: no images", HDF5, "d/train.h5: /images: is missing, expected a data set", make=hdf5("labels=20")),
    data("hdf5: no labels", HDF5, "d/train.h5: /labels: is missing, expected a data set", make=hdf5("images=20x6x5x1")),
    data("hdf5: no such group", HDF5.replace("dir = d", "dir = d\nhdf5_train_group = held/out"),
         "d/train.h5: /held/out: is missing, expected a group", make=hdf5("images=20x6x5x1", "labels=20")),
    data("hdf5: float images", HDF5, "d/train.h5: /images: holds float32, expected uint8 (pixels of 0 to 255)",
         make=hdf5("images=20x6x5x1", "labels=20", "type=float32")),
    data("hdf5: layout unknown", HDF5,
         "d/train.h5: /images: the shape 20x2x6x5 does not tell where the channels are (neither of the second and the last "
         "size is 1 or 3); add an attribute 'layout' with the text NHWC or NCHW", make=hdf5("images=20x2x6x5", "labels=20")),
    data("hdf5: flat images", HDF5,
         "d/train.h5: /images: expected N x height x width, or that with channels, got the shape 20x6",
         make=hdf5("images=20x6", "labels=20")),
    data("hdf5: counts that differ", HDF5,
         "d/train.h5: /labels: expected a label for each of the 20 images, got the shape 19",
         make=hdf5("images=20x6x5x1", "labels=19")),
    data("hdf5: label out of range", HDF5,
         "d/train.h5: /labels: element 3: expected a label below 3, the number of classes, got 3; check class_names in the "
         "file and [data] classes", make=hdf5("images=20x6x5x1", "labels=20", "top=3")),
    data("hdf5: truncated", HDF5,
         "d/train.h5: cannot open as an HDF5 file: truncated file: eof = 3000, sblock->base_addr = 0, stored_eof = <size>",
         make=cut_hdf5),
]


def misfit(name, network, images, keys):
    channels, height, width = images.split("x")
    return Case("stored images " + name, "sluice-train bad.ini", 3,
                f"d/train.h5: /images: images are {images}, the network takes {network}; set {keys}",
                ini=HDF5.replace("1x6x5", network), make=hdf5(f"images=20x{height}x{width}x{channels}", "labels=20"))


FIT_CASES = [
    data("images that do not fit the network", "[network]\ninput = 2x7x7\n",
         "synthetic: images are 2x6x5, the network takes 2x7x7; set data.synthetic_image = 2x7x7 or data.pad_to = 7 or "
         "network.input = 2x6x5"),
    data("images that are too large for the network", "[network]\ninput = 1x4x4\n",
         "synthetic: images are 2x6x5, the network takes 1x4x4; set data.synthetic_image = 1x4x4 or network.input = 2x6x5"),
    data("padded images that do not fit the network", "[network]\ninput = 2x7x7\n[data]\npad_to = 8\n",
         "synthetic: images are 2x8x8, the network takes 2x7x7; set data.pad_to = 7 or network.input = 2x8x8"),
    misfit("of another size", "3x9x9", "1x6x5", "data.pad_to = 9 with data.channels = 3 or data.eval_transforms with "
           "data.channels = 3 or network.input = 1x6x5"),
    misfit("of too few channels", "3x6x5", "1x6x5", "data.channels = 3 or network.input = 1x6x5"),
    misfit("of too many channels", "1x9x9", "3x6x5", "network.input = 3x6x5"),
    data("more classes than the network has", "[layer.fc]\nfeatures = 2\n",
         "synthetic: has 3 classes, the network tells only 2 apart; set the features of its last layer (define.classes in "
         "the shipped networks)"),
    data("batch larger than the set", "[train]\nbatch = 49\n",
         "synthetic: 48 images do not fill a batch of 49; use a smaller batch"),
    data("everything held out", "[data]\nvalidation = 56\n",
         "[data] validation: expected fewer than the 56 training images of synthetic, got 56"),
    data("padding below the size", "[data]\npad_to = 4\n",
         "[data] pad_to: expected at least the size of the images of synthetic, 6x5, got 4"),
    data("repeating colours", "[data]\nchannels = 6\n",
         "[data] channels: the images of synthetic have 2 channels, and only 1 can be repeated, got 6"),
    data("means for other channels", "[data]\nmean = 0.1, 0.2, 0.3\n",
         "[data] mean: expected 1 or 2 numbers, one for each channel of the images, got 3"),
]

if __name__ == "__main__":
    run_table(CIFAR_CASES + IDX_CASES + HDF5_CASES + FIT_CASES, 45)
