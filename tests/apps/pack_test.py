"""sluice-pack: a packed set is the folder that it was made of, in training and evaluation; tar files; a packing that is
stopped goes on; what is said about bad input."""
import io
import os
import signal
import sys
import tarfile
import time

from folder_test import INI, LEVELS, broken_png, pictures, ppm, weights_digest
from harness import Case, Sandbox, run_table

PACKED = """\
[data]
kind = hdf5
dir = .
hdf5_train = set.h5
hdf5_train_group = train
hdf5_test = set.h5
hdf5_test_group = test
"""
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def fill(box, files):
    for name, content in files.items():
        box.write(name, content)
    box.write("folder.ini", "include = net.ini\n" + INI + "[optimizer]\nlr = 0.05\n")
    box.write("packed.ini", "include = folder.ini\n" + PACKED)


def answers(box, *options):
    """What a network of folder.ini answers for each picture: lines of the test set."""
    return box.ok("sluice-eval", "run/weights.h5", "--predictions=-", "--confusion", *options).out


def a_packed_folder_is_the_folder():
    with Sandbox() as box:
        fill(box, pictures(12))
        result = box.ok("sluice-pack", "set", "-o", "set.h5")
        expect(result.out == "wrote set.h5: 36 training and 36 test pictures of 3 classes; 0 could not be read\n" + PACKED,
               "report: " + result.out)
        expect(sorted(os.listdir(box.path)) == ["folder.ini", "net.ini", "packed.ini", "set", "set.h5"], "left behind")
        folder = box.ok("sluice-train", "folder.ini")
        packed = box.ok("sluice-train", "packed.ini", "--run.dir=packed")
        expect(weights_digest(packed) == weights_digest(folder), "training differs")
        # The runs know other sets, of the same pictures and names.
        expect(answers(box) == answers(box, *(f"--{line.replace(' = ', '=')}" for line in [
            "data.kind = hdf5", "data.dir = .", "data.hdf5_test = set.h5", "data.hdf5_test_group = test"])), "answers differ")
        again = box.ok("sluice-pack", "set", "-o", "again.h5", "--threads=1")
        expect(again.code == 0 and box.read("again.h5") == box.read("set.h5"), "threads change the file")
        box.ok("sluice-pack", "set", "-o", "set.h5")  # our own output may be replaced


def pixels_are_those_of_the_transforms():
    with Sandbox() as box:
        fill(box, pictures(6))
        box.ok("sluice-train", "folder.ini", "--data.transforms=", "--train.epochs=1")
        box.ok("sluice-pack", "set", "-o", "set.h5", "--pixels=resize(6x5)")
        box.write("pixels.ini", "include = packed.ini\n[data]\ntransforms =\neval_transforms =\n")
        packed = box.ok("sluice-train", "pixels.ini", "--run.dir=packed", "--train.epochs=1")
        ours, theirs = (box.ok("sluice-eval", f"{run}/weights.h5", "--predictions=-").out for run in ("packed", "run"))
        without_file = [line.rsplit(",", 1)[0] for line in theirs.splitlines()]
        expect(ours.splitlines() == without_file, f"pixels differ: {ours[:200]} {theirs[:200]} {packed.err}")
        box.ok("sluice-pack", "set", "-o", "grey.h5", "--pixels=resize(6x5)", "--grey")
        grey = box.ok("sluice-train", "pixels.ini", "--run.dir=grey", "--data.hdf5_train=grey.h5",
                      "--data.hdf5_test=grey.h5", "--network.input=1x6x5")
        expect(grey.code == 0, grey.err)


def a_set_larger_than_memory_is_read_in_groups():
    with Sandbox() as box:
        big = {name.replace("BMP", "ppm"): ppm(200, 190 + i % 7, LEVELS[name.split("/")[2]])
               for i, name in enumerate(pictures(24))}
        fill(box, big)
        box.ok("sluice-pack", "set", "-o", "set.h5")
        whole = box.ok("sluice-train", "packed.ini", "--train.epochs=1", "--data.transforms=")
        expect(box.ok("sluice-eval", "run/weights.h5", "--predictions=-").out ==
               box.ok("sluice-eval", "run/weights.h5", "--predictions=-", "--data.hdf5_memory_mib=3").out, "groups differ")
        pieces = [box.ok("sluice-train", "packed.ini", "--train.epochs=1", "--data.hdf5_memory_mib=3", f"--run.dir={run}",
                         f"--data.workers={workers}") for run, workers in (("a", 0), ("b", 2))]
        expect(weights_digest(pieces[0]) == weights_digest(pieces[1]), "workers change the result")
        expect(whole.code == 0, whole.err)
        small = box.run("sluice-eval", "run/weights.h5", "--data.hdf5_memory_mib=1")
        expect(small.code == 3 and "expected at least two of them to fit into 1048576 bytes; raise [data] hdf5_memory_mib"
               in small.err, small.err)


def tar_of(files, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "elsewhere"
            else:
                info.size = len(content)
            archive.addfile(info, None if content is None else io.BytesIO(content))
    return buffer.getvalue()


def tar_files_are_folders():
    with Sandbox() as box:
        files = pictures(6)
        fill(box, files)
        box.ok("sluice-train", "folder.ini", "--train.epochs=1")
        wanted = answers(box)
        in_tar = {"./top/" + name: content for name, content in files.items()}
        in_tar.update({"./top/set/train/dark/link.ppm": None, "top/set/train/dark/notes.txt": b"x", "top/._a.jpg": b"x"})
        options = ["--data.kind=hdf5", "--data.dir=.", "--data.hdf5_test=set.h5", "--data.hdf5_test_group=test"]

        def packed(*arguments):
            box.ok("sluice-pack", *arguments, "-o", "set.h5")
            return [line.replace("set/val/", "") for line in sorted(answers(box, *options).splitlines())]

        def plain(text):
            return sorted(text.splitlines())

        names = [line.rsplit(",", 1)[0].split(",", 1)[1] for line in plain(wanted) if line.count(",") == 6]
        for mode in ("w", "w:gz", "w:xz"):
            box.write("all.tar", tar_of(in_tar, mode))
            lines = packed("all.tar")
            expect([line.rsplit(",", 1)[0].split(",", 1)[1] for line in lines if line.count(",") == 6] == names, f"{mode}: {lines[:5]}")
        train = {name[4:]: content for name, content in files.items() if "/train/" in name}
        val = {name[8:]: content for name, content in files.items() if "/val/" in name}
        box.write("train.tar", tar_of(train))
        box.write("val.tar", tar_of(val))
        lines = packed("train.tar", "--test=val.tar")
        expect([line.rsplit(",", 1)[0].split(",", 1)[1] for line in lines if line.count(",") == 6] == names, f"two tars: {lines[:5]}")
        shards = [{}, {}]
        for i, (name, content) in enumerate(val.items()):
            label = sorted(LEVELS).index(name.split("/")[0])
            shards[i % 2][f"{i:06}.{name.rsplit('.', 1)[1]}"] = content
            shards[i % 2][f"{i:06}.cls"] = f"{label}\n".encode()
            shards[i % 2][f"{i:06}.mask.png"] = b"no picture"
        for i, shard in enumerate(shards):
            box.write(f"{i}.tar", tar_of(shard))
        box.write("names", "bright\ndark\nmiddle\n")
        box.ok("sluice-pack", "0.tar", "--test=0.tar", "--test=1.tar", "-o", "set.h5", "--class-names=names")
        lines = sorted(answers(box, *options).splitlines())
        expect(sorted(line.rsplit(",", 1)[0].split(",", 1)[1] for line in lines if line.count(",") == 6) == sorted(names),
               f"shards: {lines[:5]}")


def bad_pictures_are_named_and_left_out():
    with Sandbox() as box:
        fill(box, pictures(4, **{"set/train/dark/2x.png": broken_png(), "set/val/dark/a.gif": b"GIF89a"}))
        result = box.ok("sluice-pack", "set", "-o", "set.h5")
        lines = result.err.splitlines()
        expect(len(lines) == 2 and lines[0].startswith("warning: dark/2x.png: PNG: ")
               and lines[0].endswith("; it is left out"), result.err)
        expect(lines[1] == "warning: dark/a.gif: it is a GIF picture, expected JPEG, PNG, WebP, BMP, PPM or PGM; it is left out",
               result.err)
        expect("12 training and 12 test pictures of 3 classes; 2 could not be read\n" in result.out, result.out)
        box.ok("sluice-train", "packed.ini", "--train.epochs=1")


def a_stopped_packing_goes_on():
    with Sandbox() as box:
        many = {f"set/train/{name}/{i}.ppm": ppm(300, 400, level) for name, level in LEVELS.items() for i in range(60)}
        fill(box, many)
        box.ok("sluice-pack", "set", "-o", "whole.h5", "--pixels=resize(30x40)")
        for how in (signal.SIGTERM, signal.SIGKILL):
            process = box.start("sluice-pack", "set", "-o", "set.h5", "--pixels=resize(30x40)", "--threads=1")
            while process.poll() is None and not (os.path.exists(box.at("set.h5.partial"))
                                                  and os.path.getsize(box.at("set.h5.partial")) > 20000):
                time.sleep(0.001)
            process.send_signal(how)
            out, err = process.communicate(timeout=120)
            if process.returncode == 0:  # it was faster
                print("not stopped in time: " + out)
                continue
            if how == signal.SIGTERM:
                expect(process.returncode == 75 and "; the same command goes on from there (set.h5.partial)" in err,
                       f"{process.returncode}: {err}")
            partial = box.read("set.h5.partial")
            other = box.run("sluice-pack", "set", "-o", "set.h5", "--pixels=resize(20x40)")
            expect(other.code == 6 and "set.h5.partial: is of an interrupted packing of other pictures, or with other options"
                   in other.err, other.err)
            for cut in (0, 1000, len(partial) - 30):
                box.write("set.h5.partial", partial[:len(partial) - cut])
                result = box.ok("sluice-pack", "set", "-o", "set.h5", "--pixels=resize(30x40)")
                expect(box.read("set.h5") == box.read("whole.h5"), f"{how}, cut by {cut}: another file")
                expect(("goes on behind " in result.out) == (cut < len(partial) - 30), f"cut by {cut}: {result.out}")
            expect(not os.path.exists(box.at("set.h5.partial")), "the spool is left behind")
            os.remove(box.at("set.h5"))


TAR = tar_of({"dark/1.ppm": ppm(5, 5, 1), "bright/1.ppm": ppm(5, 5, 200)})
GOOD = pictures(2)


def bad(name, command, code, text, **more):
    return Case(name, "sluice-pack " + command, code, text, files={**GOOD, **more.pop("files", {})},
                changes=("set.h5.partial",), **more)


CASES = [
    bad("nothing to pack", "-o set.h5", 2, "command line: expected a folder of pictures or tar files, got nothing"),
    bad("no output", "set", 2, "command line: expected -o FILE, the file to write"),
    bad("to a stream", "set -o -", 2, "command line: -o: expected the name of a file; HDF5 is not written to a stream"),
    bad("another file is in the way", "set -o net.ini", 2,
        "net.ini: is there already, and sluice-pack did not write it; name another file, or replace it with --force"),
    bad("over an input", "a.tar -o a.tar --force", 2, "a.tar: is read by this call; name another file", files={"a.tar": TAR}),
    bad("over a picture", "set -o set/train/dark/0.BMP --force", 2,
        "set/train/dark/0.BMP: lies in the folder that this call reads (set); name another file"),
    bad("random pixels", "set -o set.h5 --pixels=resize(5x5),flip", 2,
        "command line: --pixels: flip draws random numbers, and pixels are stored once"),
    bad("pixels of several sizes", "set -o set.h5 --pixels=resize(5)", 2,
        "command line: --pixels: expected transforms that give all pictures one size, such as resize(72), center_crop(64)"),
    bad("grey without pixels", "set -o set.h5 --grey", 2, "command line: --grey goes with --pixels"),
    bad("two folders", "set set -o set.h5", 2, "command line: expected one folder, got 2 sources"),
    bad("a test set beside a folder", "set -o set.h5 --test=a.tar", 2,
        "command line: --test goes with tar files; a folder has its test set in itself"),
    bad("threads", "set -o set.h5 --threads=0", 2, "command line: --threads: expected 1 to 1024, got '0'"),
    bad("no such file", "nothing.tar -o set.h5", 3, "nothing.tar: no such file"),
    bad("no tar file", "net.ini -o set.h5", 3, "net.ini: cannot open as a tar file: Unrecognized archive format"),
    bad("pictures in no folder", "a.tar -o set.h5", 3,
        "a.tar: 1.ppm: lies in no folder of a class, and has no label NAME.cls", files={"a.tar": tar_of({"1.ppm": b"x"})}),
    bad("one class", "a.tar -o set.h5", 3, "a.tar: expected folders of at least two classes, got 1",
        files={"a.tar": tar_of({"dark/1.ppm": b"x"})}),
    bad("no pictures", "a.tar -o set.h5", 3, "a.tar: has no pictures", files={"a.tar": tar_of({"dark/readme": b"x"})}),
    bad("a test class of its own", "a.tar --test=b.tar -o set.h5", 3,
        "b.tar: the class 'drak' of the test set has no training pictures; did you mean 'dark'?",
        files={"a.tar": TAR, "b.tar": tar_of({"drak/1.ppm": b"x"})}),
    bad("a picture without label", "a.tar -o set.h5", 3, "a.tar: 2.ppm: has no label, expected 2.cls",
        files={"a.tar": tar_of({"1.ppm": b"x", "1.cls": b"0", "2.ppm": b"x"})}),
    bad("no label", "a.tar -o set.h5", 3, "a.tar: 1.cls: expected a label of 0 to 16777215, got 'x'",
        files={"a.tar": tar_of({"1.ppm": b"x", "1.cls": b"x"})}),
    bad("a class of bad pictures", "a.tar -o set.h5", 3, "the class 'dark' has no training picture that can be read",
        files={"a.tar": tar_of({"dark/1.ppm": b"", "bright/1.ppm": ppm(5, 5, 1)})},
        warns="warning: dark/1.ppm: the file is empty; it is left out\n"),
    bad("no spool", "set -o set.h5", 6, "set.h5.partial: is in the way, and no file of an interrupted packing; move it away",
        files={"set.h5.partial": "something else that is long enough"}),
]

if __name__ == "__main__":
    with Sandbox() as sandbox:
        fill(sandbox, pictures(2))
        if "reads no pictures" in sandbox.run("sluice-pack", "set", "-o", "set.h5").err:
            print("skipped: this build reads no pictures")
            sys.exit(77)
    a_packed_folder_is_the_folder()
    pixels_are_those_of_the_transforms()
    a_set_larger_than_memory_is_read_in_groups()
    tar_files_are_folders()
    bad_pictures_are_named_and_left_out()
    a_stopped_packing_goes_on()
    run_table(CASES, 15, len(failures))
