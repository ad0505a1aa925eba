"""Folders of pictures from the command line: a run from pictures to predictions, and what is said about bad ones."""
import csv
import json
import os
import re
import sys
import zlib

from harness import Case, Sandbox, run_table

INI = """\
[network]
input = 3x6x5
[data]
kind = folder
dir = set
validation = 0
mean = 0.5
std = 0.25
transforms = random_resized_crop(6x5, 0.5), flip, color_jitter(0.1, 0.1), trivial_augment, random_erasing(0.2)
eval_transforms = resize(6x5)
"""
LEVELS = {"bright": 220, "dark": 30, "middle": 120}
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def ppm(height, width, level):
    values = bytes((level + 13 * i % 24) % 256 for i in range(3 * height * width))
    return b"P6 %d %d 255\n" % (width, height) + values


def bmp(height, width, level):
    row = bytes([level] * 3 * width) + bytes(-3 * width % 4)
    size = len(row) * height
    header = b"BM" + (54 + size).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    return header + b"".join(n.to_bytes(k, "little") for n, k in (
        (40, 4), (width, 4), (height, 4), (1, 2), (24, 2), (0, 4), (size, 4), (0, 4), (0, 4), (0, 4), (0, 4))) + row * height


def broken_png():
    """Header and end are right; the pixels are not."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", (5).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0")
            + chunk(b"IDAT", b"no pixels") + chunk(b"IEND", b""))


def pictures(each=8, splits=("train", "val"), **more):
    files = {}
    for split in splits:
        for name, level in LEVELS.items():
            for i in range(each):
                make, ending = (ppm, "ppm") if i % 2 else (bmp, "BMP")
                files[f"set/{split}/{name}/{i}.{ending}"] = make(7 + i, 12 - i % 5, level + len(split))
    return {**files, **more}


def weights_digest(result):
    return re.search(r"digest of the last weights (\w+)", result.out).group(1)


def learns_from_files_to_answers():
    with Sandbox() as box:
        box.write("folder.ini", "include = net.ini\n" + INI + "[optimizer]\nlr = 0.05\n")
        for name, content in pictures(16).items():
            box.write(name, content)
        result = box.run("sluice-train", "folder.ini", "--train.epochs=4")
        if "reads no pictures" in result.err:
            print("skipped: this build reads no pictures")
            sys.exit(77)
        expect(result.code == 0, "training: " + result.err)
        evaluation = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json").out)
        expect(evaluation["images"] == 48, f"{evaluation['images']} images are evaluated")
        alone = box.ok("sluice-train", "folder.ini", "--train.epochs=4", "--run.dir=more", "--data.workers=0")
        expect(weights_digest(alone) == weights_digest(result), "workers change the result")
        box.ok("sluice-eval", "run/weights.h5", "--predictions=answers.csv", "--json")
        rows = list(csv.DictReader(box.text("answers.csv").splitlines()))
        wanted = [f"{name}/{i}.{'ppm' if i % 2 else 'BMP'}" for name in LEVELS for i in range(16)]
        expect([row["file"] for row in rows] == sorted(wanted), "names in predictions: " + str(rows[:2]))
        os.rename(box.at("set"), box.at("moved"))
        moved = box.ok("sluice-eval", "run/weights.h5", "--data.dir=moved", "--json")
        expect(moved.err == "", "a moved set is another one: " + moved.err)
        speed = json.loads(box.ok("sluice-bench", "folder.ini", "--data.dir=moved", "--only=data", "--steps=9", "--json").out)
        expect(speed["data"]["batches"] == 9 and speed["data"]["images_per_second"] > 0, f"speed of data: {speed}")


TEST_WARNING = ("warning: no images are held out for validation: the best checkpoint is chosen on the test set; set "
                "data.validation\n")


def evaluations_leave_out_what_cannot_be_read():
    with Sandbox() as box:
        box.write("folder.ini", "include = net.ini\n" + INI)
        for name, content in pictures(4, **{"set/val/dark/2x.png": broken_png(), "set/val/middle/9.png": broken_png()}).items():
            box.write(name, content)
        refused = box.run("sluice-train", "folder.ini")
        expect(refused.code == 3 and "set/val/dark/2x.png: PNG: " in refused.err, f"refused: {refused.code} {refused.err}")
        count = "warning: set/val: 2 of 14 pictures could not be read, and are left out of the evaluation"
        result = box.ok("sluice-train", "folder.ini", "--data.on_bad_image=skip", "--run.dir=skip", "--eval.batch=5")
        expect(count in result.err, "warnings of a training: " + result.err)
        whole = box.ok("sluice-eval", "skip/weights.h5", "--predictions=p.csv", "--json", "--eval.batch=5")
        report = json.loads(whole.out)
        expect((report["images"], report["left_out"]) == (12, 2), f"{report['images']} images, {report['left_out']} left out")
        expect([entry["images"] for entry in report["classes"]] == [4, 4, 4], f"by class: {report['classes']}")
        expect(count in whole.err and "2x.png: PNG: " in whole.err and "; evaluations leave it out" in whole.err, whole.err)
        rows = list(csv.DictReader(box.text("p.csv").splitlines()))
        expect(len(rows) == 12 and not any("png" in row["file"] for row in rows), f"{rows}")
        alone = json.loads(box.ok("sluice-eval", "skip/weights.h5", "--json", "--eval.batch=1", "--data.workers=0").out)
        for key in ("images", "correct", "left_out", "confusion"):
            expect(alone[key] == report[key], f"{key} depends on eval.batch")
        text = box.ok("sluice-eval", "skip/weights.h5").out
        expect(re.search("^left out +2 pictures that cannot be read$", text, re.MULTILINE), text)
        for name in LEVELS:
            for i in range(4):
                box.write(f"set/val/{name}/{i}.{'ppm' if i % 2 else 'BMP'}", broken_png())
        nothing = box.run("sluice-eval", "skip/weights.h5")
        expect(nothing.code == 3 and "set/val: none of its 14 pictures can be read" in nothing.err, nothing.err)


def bad(name, code, text, more="", warns="", **files):
    if code == 3 and not text.startswith(("[", "command line")):
        text = f"bad.ini:{INI.splitlines().index('dir = set') + 2}: [data] dir: {text}"
    return Case(name, "sluice-train bad.ini " + more, code, text, ini=INI, files=pictures(**files), warns=warns,
                changes=("run/*",))


EMPTY = {"set/train/dark/0.jpg": b""}
REFUSED = ("1 of the 25 pictures of set/train cannot be read; mend or remove them, or leave them out by [data] on_bad_image "
           "= skip")
CASES = [
    bad("an empty file", 3, f"set/train/dark/0.jpg: the file is empty; {REFUSED}", **EMPTY),
    bad("an empty file is left out", 0, "", "--data.on_bad_image=skip", **EMPTY, warns=(
        "warning: set/train/dark/0.jpg: the file is empty; it is left out\n"
        "warning: set/train: 1 of 25 pictures are left out\n" + TEST_WARNING)),
    bad("another form", 3, "set/train/dark/a.gif: it is a GIF picture, expected JPEG, PNG, WebP, BMP, PPM or PGM; " + REFUSED,
        **{"set/train/dark/a.gif": b"GIF89a"}),
    bad("a bomb", 3, "set/train/dark/a.ppm: it is 60000x60000, 3600000000 pixels, more than max_pixels = 100000000; " + REFUSED,
        **{"set/train/dark/a.ppm": b"P6 60000 60000 255\n"}),
    bad("too many pixels", 3, "set/train/bright/0.BMP: it is 7x12, 84 pixels, more than max_pixels = 50; 24 of the 24 "
        "pictures of set/train cannot be read; mend or remove them, or leave them out by [data] on_bad_image = skip",
        "--data.max_pixels=50"),
    bad("no test folder", 3, "set: no folder of test pictures, expected val, valid, validation or test; set [data] "
        "folder_test, or hold training pictures out by validation", splits=("train",)),
    bad("a test class of its own", 3, "set/val: the class 'drak' is not in set/train; did you mean 'dark'?",
        **{"set/val/drak/1.ppm": ppm(3, 3, 3)}),
    bad("several sizes", 3, "command line: [data] eval_transforms: the pictures of set/train have several sizes, expected transforms that "
        "give all of them one; set eval_transforms = resize(256), center_crop(224), for example",
        "--data.eval_transforms="),
    bad("two sizes wanted", 3, "command line: [data] eval_transforms: expected the size of what is trained on, 6x5 of set/train, got 5x5",
        "--data.eval_transforms=resize(5x5)"),
    bad("random evaluation", 2, "command line: [data] eval_transforms: flip draws random numbers, and evaluation is the same "
        "each time; put it into transforms", "--data.eval_transforms=flip"),
    bad("another channel count", 3, "command line: [data] channels: pictures are decoded to 3 (colours) or 1 (grey), got 2",
        "--data.channels=2"),
]

if __name__ == "__main__":
    learns_from_files_to_answers()
    evaluations_leave_out_what_cannot_be_read()
    run_table(CASES, 10, len(failures))
