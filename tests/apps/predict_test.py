"""sluice-predict: classes of PNG, JPEG and WebP files that agree with sluice-eval, decision maps that agree with its counts, bad
pictures named and counted."""
import csv
import json
import math
import os
import re
import stat
import struct
import subprocess
import sys
import zlib

from harness import TOOLS, Case, Sandbox, run_table

INI = """\
include = net.ini
[network]
input = 3x8x7
[data]
kind = folder
dir = set
validation = 0
eval_transforms = resize(9), center_crop(8x7)
mean = 0.5
std = 0.25
[optimizer]
lr = 0.05
"""
CLASSES = ["ant", "bee", "cow"]
GATED = "--type.cg_conv.partitions=3 --gating_loss.penalty=0.1 --gating_loss.target=1".split()
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def pictures(box, each=6):
    """A set of three classes whose pictures differ by brightness, in three forms and many sizes."""
    arguments = []
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            os.makedirs(box.at(f"set/{split}/{name}"))
            for i in range(each):
                ending = ("png", "jpg", "webp")[i % 3]
                arguments += [box.at(f"set/{split}/{name}/{i}.{ending}"), str(9 + i), str(16 - i), str(40 * label + i)]
    subprocess.run([os.path.join(TOOLS, "write_pictures"), *arguments], check=True)


def trained(box):
    pictures(box)
    box.write("folder.ini", INI)
    box.write("gated.ini", "include = folder.ini\n[layer.conv]\ntype = cg_conv\nchannels = 6\n")
    box.ok("sluice-train", "folder.ini", "--train.epochs=3")


def softmax(logits):
    exponentials = [math.exp(logit - max(logits)) for logit in logits]
    return [each / sum(exponentials) for each in exponentials]


def files_of(predicted):
    return [picture["file"] for picture in predicted["pictures"]]


def agrees_with_evaluation():
    with Sandbox() as box:
        trained(box)
        box.ok("sluice-eval", "run/weights.h5", "--predictions=p.csv")
        evaluated = list(csv.DictReader(box.text("p.csv").splitlines()))
        result = box.ok("sluice-predict", "run/weights.h5", "set/val/", "--json", "--top=99")
        predicted = json.loads(result.out)
        expect(result.err == "" and predicted["bad"] == [] and predicted["checkpoint"] == "run/weights.h5", f"of a folder: {result.err}")
        expect(files_of(predicted) == ["set/val/" + row["file"] for row in evaluated], f"order: {files_of(predicted)}")
        for row, picture in zip(evaluated, predicted["pictures"]):
            wanted = softmax([float(row[f"logit_{c}"]) for c in range(3)])
            found = {one["class"]: one for one in picture["classes"]}
            expect(sorted(found) == [0, 1, 2] and all(found[c]["name"] == CLASSES[c] for c in found), f"classes: {picture}")
            expect(picture["classes"][0]["class"] == int(row["prediction"]), f"evaluated {row}, predicted {picture}")
            expect(all(abs(found[c]["probability"] - wanted[c]) < 1e-6 for c in range(3)), f"evaluated {wanted}, predicted {picture}")
            order = [one["probability"] for one in picture["classes"]]
            expect(order == sorted(order, reverse=True), f"order of classes: {order}")
        # One after the other, and whatever the batch, the same comes out; one picture by its name.
        for more in (["--eval.batch=1"], ["--eval.batch=4"]):
            again = json.loads(box.ok("sluice-predict", "run/weights.h5", "set/val", "--json", "--top=99", *more).out)
            close = all(abs(a["probability"] - b["probability"]) < 1e-5 for one, other in zip(predicted["pictures"], again["pictures"])
                        for a, b in zip(one["classes"], other["classes"]))
            expect(files_of(again) == files_of(predicted) and close, f"with {more} another answer")
        forms(box, predicted)


def forms(box, predicted):
    one = predicted["pictures"][1]
    name = one["file"]
    rows = list(csv.DictReader(box.ok("sluice-predict", "run/weights.h5", name, "--csv", "--top=2").out.splitlines()))
    expect([list(row) for row in rows] == 2 * [["file", "rank", "class", "name", "probability"]], f"--csv: {rows}")
    for rank, row in enumerate(rows):
        wanted = one["classes"][rank]
        expect(row["file"] == name and row["rank"] == str(rank + 1) and row["name"] == wanted["name"] and
               int(row["class"]) == wanted["class"] and abs(float(row["probability"]) - wanted["probability"]) < 1e-5, f"--csv: {row}")
    lines = box.ok("sluice-predict", "run/weights.h5", name, "set/val/bee", "--top=2").out.splitlines()
    expect(lines[0].split() == ["picture", "class", "probability"] and len(lines) == 1 + 2 * 7, f"table: {lines}")
    expect(re.fullmatch(rf"{name}\s+{one['classes'][0]['name']}\s+\d+\.\d\d %", lines[1]) and lines[2].startswith("  "), f"table: {lines}")
    # A link that is named leads to its file; one in a folder is passed over.
    os.symlink(box.at(name), box.at("link"))
    linked = json.loads(box.ok("sluice-predict", "run/weights.h5", "link", "--json").out)["pictures"]
    expect(linked[0]["file"] == "link" and linked[0]["classes"][0]["class"] == one["classes"][0]["class"], f"a link: {linked}")
    os.symlink(box.at(name), box.at("set/val/ant/link.png"))
    result = box.ok("sluice-predict", "run/weights.h5", "set/val/ant", "--json")
    expect(result.err == "warning: set/val/ant: 1 symbolic links are passed over\n" and len(json.loads(result.out)["pictures"]) == 6,
           f"a link in a folder: {result.err}")


def bad_pictures_are_counted():
    with Sandbox() as box:
        trained(box)
        box.write("set/val/ant/a.gif", "GIF89a")
        box.write("set/val/cow/x.png", box.read("set/val/cow/0.png")[:-20])
        for form in ("--json", "--csv"):
            result = box.run("sluice-predict", "run/weights.h5", "set/val", "nowhere.png", form)
            expect(result.code == 3, f"bad pictures: exit code {result.code}")
            expect(result.err == "warning: set/val/ant/a.gif: it is a GIF picture, expected JPEG, PNG, WebP, BMP, PPM or PGM\n"
                   "warning: set/val/cow/x.png: PNG: the file ends early\n"
                   "warning: nowhere.png: cannot be read: No such file or directory\n"
                   "sluice-predict: 3 of 21 pictures cannot be read\n", f"bad pictures: {result.err}")
            if form == "--json":
                predicted = json.loads(result.out)
                expect(len(predicted["pictures"]) == 18, "good pictures are missing")
                expect([bad["file"] for bad in predicted["bad"]] == ["set/val/ant/a.gif", "set/val/cow/x.png", "nowhere.png"], f"{predicted['bad']}")
        result = box.run("sluice-predict", "run/weights.h5", "nowhere.png")
        expect(result.code == 3 and result.out == "" and result.err.endswith("1 of 1 picture cannot be read\n"), f"one bad picture: {result}")


def other_sizes_are_said():
    """A network whose data set says nothing of sizes takes pictures of any."""
    with Sandbox() as box:
        pictures(box)
        box.write("plain.ini", "include = net.ini\n[network]\ninput = 3x6x5\n[data]\nsynthetic_image = 3x6x5\n")
        box.ok("sluice-train", "plain.ini")
        result = box.ok("sluice-predict", "run/weights.h5", "set/val/ant", "--json")
        expect(result.err == "note: 6 of 6 pictures had another size than the network takes, 3x6x5: of each the largest part of that "
               "shape in its middle was resized\n", f"other sizes: {result.err}")
        expect(json.loads(result.out)["pictures"][0]["classes"][0]["name"] in ("0", "1", "2"), "classes without names have numbers")


def read_png(data):
    """(width, height, channels, rows of bytes) of a PNG file, by the definition of the format."""
    at, pixels, texts = 8, b"", {}
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, _, colours = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            pixels += body
        elif kind == b"tEXt":
            key, value = body.split(b"\0", 1)
            texts[key.decode()] = value.decode()
        at += 12 + size
    channels = {0: 1, 2: 3}[colours]
    raw, rows, before = zlib.decompress(pixels), [], bytes(width * channels)
    for y in range(height):
        line = raw[y * (1 + width * channels):(y + 1) * (1 + width * channels)]
        row = bytearray(line[1:])
        for x in range(len(row)):
            left, up = row[x - channels] if x >= channels else 0, before[x]
            corner = before[x - channels] if x >= channels else 0
            nearest = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[line[0]]) % 256
        rows.append(bytes(row))
        before = rows[-1]
    return width, height, channels, rows, texts


def maps_agree_with_counts():
    with Sandbox() as box:
        trained(box)
        box.ok("sluice-train", "gated.ini", "--run.dir=gated", *GATED)
        evaluated = json.loads(box.ok("sluice-eval", "gated/weights.h5", "--json").out)
        predicted = json.loads(box.ok("sluice-predict", "gated/weights.h5", "set/val", "--json", "--maps=maps").out)["pictures"]
        densities = [picture["density"] for picture in predicted]
        expect(abs(sum(densities) / 18 - evaluated["gate_density"]) < 1e-6, f"densities {densities}, counted {evaluated['gate_density']}")
        names = sorted(os.listdir(box.at("maps")))
        expect(len(names) == 18 and names[0] == "ant_0.png", f"maps: {names}")
        for name, picture in zip(names, predicted):
            expect(sorted(os.listdir(box.at("maps/" + name))) == ["01-conv.png", "picture.png"], f"maps of {name}")
            width, height, channels, rows, texts = read_png(box.read(f"maps/{name}/01-conv.png"))
            values = [value for row in rows for value in row]
            expect((width, height, channels) == (7, 8, 1) and set(values) <= {round(255 * k / 6 + 1e-9) for k in range(7)}, f"{name}: {values}")
            share = sum(round(6 * value / 255) for value in values) / 6 / 56
            expect(abs(share - picture["density"]) < 1e-9, f"{name}: map {share}, said {picture['density']}")
            expect(texts["Software"] == "sluice-predict" and texts["Description"].startswith("share of open gates of conv, 255: all; set/val/"),
                   f"texts: {texts}")
        # The picture is the one that the network was given: predicted as it is it gets the same answer.
        again = json.loads(box.ok("sluice-predict", "gated/weights.h5", "maps/ant_0.png/picture.png", "--json",
                                  "--data.eval_transforms=resize(8x7)").out)["pictures"][0]
        expect(abs(again["classes"][0]["probability"] - predicted[0]["classes"][0]["probability"]) < 1e-5, f"{again}, {predicted[0]}")
        rows = list(csv.DictReader(box.ok("sluice-predict", "gated/weights.h5", "set/val/ant/0.png", "--csv", "--maps=maps").out.splitlines()))
        expect(all(abs(float(row["density"]) - densities[0]) < 1e-9 for row in rows), f"--csv: {rows}")
        # Pictures of one name have places of their own.
        result = box.ok("sluice-predict", "gated/weights.h5", "set/val/ant/0.png", "set/val/bee/0.png", "--maps=both/")
        expect(result.err == "note: wrote 2 maps of 2 pictures into both\n", f"what was written: {result.err}")
        result = box.ok("sluice-predict", "gated/weights.h5", "set/val/ant/0.png", "--maps=both", "--json")
        expect(json.loads(result.out)["maps"] == {"folder": "both", "written": 1}, f"--json: {result.out}")
        expect(result.err == "note: wrote 1 map of 1 picture into both\n", f"what was written: {result.err}")
        expect(sorted(os.listdir(box.at("both"))) == ["0.png", "0.png-2"], f"both: {os.listdir(box.at('both'))}")
        outputs(box)


def outputs(box):
    """Earlier maps are replaced, files of others only with --force, inputs never."""
    def refused(code, text, *arguments):
        result = box.run("sluice-predict", "gated/weights.h5", *arguments)
        expect(result.code == code and result.err == f"sluice-predict: {text}\n", f"{arguments}: {result}")

    box.ok("sluice-predict", "gated/weights.h5", "set/val", "--maps=maps")
    box.write("maps/ant_0.png/01-conv.png", "precious")
    one = ["set/val", "--maps=maps/"]
    refused(2, "maps/ant_0.png/01-conv.png: is there already, and sluice-predict did not write it; name another file, or replace it "
            "with --force", *one)
    expect(box.text("maps/ant_0.png/01-conv.png") == "precious", "a file of somebody else is gone")
    box.ok("sluice-predict", "gated/weights.h5", *one, "--force")
    expect(box.read("maps/ant_0.png/01-conv.png")[1:4] == b"PNG", "--force writes nothing")
    os.remove(box.at("maps/ant_0.png/01-conv.png"))
    os.symlink(box.at("net.ini"), box.at("maps/ant_0.png/01-conv.png"))
    refused(2, "maps/ant_0.png/01-conv.png: is a symbolic link, which is not followed for writing; name the file itself, or remove "
            "the link", *one, "--force")
    refused(2, "command line: --maps: set/val/ant/0.png is read by this call and lies in set; name another folder",
            "set/val", "--maps=set", "--force")
    refused(2, "command line: --maps: gated/weights.h5 is read by this call and lies in gated; name another folder",
            "set/val", "--maps=gated")
    refused(2, "command line: --maps: net.ini is a file, expected a folder", "set/val", "--maps=net.ini")
    refused(2, "command line: --maps: expected a folder, got '-'", "set/val", "--maps=-")
    refused(6, "no/where: cannot make: No such file or directory; make the directory first", "set/val", "--maps=no/where")
    expect(not stat.S_ISLNK(os.lstat(box.at("set/val/ant/0.png")).st_mode) and not os.path.exists(box.at("no")), "traces are left")


CASES = [
    Case("predict: nothing", "sluice-predict", 2, "command line: expected a checkpoint and pictures; see sluice-predict --help"),
    Case("predict: no pictures", "sluice-predict run/weights.h5", 2,
         "command line: expected a checkpoint and pictures; see sluice-predict --help"),
    Case("predict: an empty folder", "sluice-predict x.h5 .", 3,
         ".: has no pictures (files that end in .jpg, .jpeg, .png, .webp, .bmp, .ppm or .pgm)"),
    Case("predict: no checkpoint", "sluice-predict x.h5 a.png", 5, "x.h5: cannot open: No such file or directory"),
    Case("predict: a wrong number", "sluice-predict x.h5 a.png --top=0", 2,
         "command line: --top: expected an integer of at least 1, got '0'"),
    Case("predict: two forms", "sluice-predict x.h5 a.png --csv --json", 2,
         "command line: --csv and --json exclude each other"),
    Case("predict: no gates", "sluice-predict run/weights.h5 a.png --maps=maps", 2,
         "command line: --maps: no layer of run/weights.h5 decides what it computes; leave it out",
         make=lambda box: box.ok("sluice-train", "net.ini")),
    Case("predict: channels", "sluice-predict run/weights.h5 set/val/ant/0.png", 3, "1 of 1 picture cannot be read",
         make=lambda box: (pictures(box), box.ok("sluice-train", "net.ini")),
         warns="warning: set/val/ant/0.png: the network takes images of 2 channels, and pictures have 1 (grey) or 3 (colours)\n"),
]

if __name__ == "__main__":
    if not os.path.exists(os.path.join(TOOLS, "write_pictures")):
        print("skipped: this build reads no pictures")
        sys.exit(77)
    agrees_with_evaluation()
    bad_pictures_are_counted()
    other_sizes_are_said()
    maps_agree_with_counts()
    run_table(CASES, 8, len(failures))
