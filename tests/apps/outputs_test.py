"""Outputs replace nothing that others need: inputs, files of others, links, FIFOs, devices; descriptors are there or missed."""
import os
import resource
import signal
import stat
import subprocess
import threading

from harness import SANITIZED, Case, Sandbox, run_table

EVAL = "sluice-eval run/weights.h5 --predictions="
DEPLOY = "sluice-deploy run/weights.h5 --eval.batch=5 -o "
IMPORT = "sluice-import w.h5 net.ini -o "
EXPORT = "sluice-import --export run/weights.h5 -o "
WEIGHTS = "sluice-export run/weights.h5 --format=weights -o "
RESEAL = "sluice-inspect e.h5 --reseal -o "
WRITERS = {"eval": EVAL, "deploy": DEPLOY, "import": IMPORT, "export": EXPORT, "weights": WEIGHTS, "reseal": RESEAL}
SOURCES = {"import": "w.h5", "reseal": "e.h5"}  # of the others the run's weights.h5
LINK = "is a symbolic link, which is not followed for writing; name the file itself, or remove the link"


def trained(box):
    box.ok("sluice-train", "net.ini")
    box.ok("sluice-import", "--export", "run/weights.h5", "-o", "w.h5")
    box.write("e.h5", box.read("run/weights.h5")[:-48])  # without its seal


def foreign(program):
    return f"is there already, and {program} did not write it; name another file, or replace it with --force"


def linked(box):
    trained(box)
    os.symlink("net.ini", box.at("link"))
    os.symlink("/dev/null", box.at("link_to_device"))


def refusals():
    """Files that no output replaces, whoever writes."""
    cases = []
    for name, command in WRITERS.items():
        program = command.split()[0]
        source = SOURCES.get(name, "run/weights.h5")
        cases += [
            Case(f"{name}: a file of the user", command + "net.ini", 2, f"net.ini: {foreign(program)}", make=trained),
            Case(f"{name}: its input", f"{command}{source} --force", 2, f"{source}: is read by this call; name another file",
                 make=trained),
            Case(f"{name}: its input under another name", f"{command}other.h5 --force", 2,
                 f"other.h5: is read by this call as {source}; name another file",
                 make=lambda box, source=source: (trained(box), os.link(box.at(source), box.at("other.h5")))),
            Case(f"{name}: a link", f"{command}link --force", 2, f"link: {LINK}", make=linked),
            Case(f"{name}: a link to a device", f"{command}link_to_device", 2, f"link_to_device: {LINK}", make=linked),
            Case(f"{name}: a directory", command + "run --force", 6, "run: is a directory, expected the name of a file",
                 make=trained)]
    cases += [
        Case("import: its configuration", IMPORT + "net.ini --force", 2, "net.ini: is read by this call; name another file",
             make=trained),
        Case("import: an included configuration", "sluice-import w.h5 bad.ini -o net.ini --force", 2,
             "net.ini: is read by this call; name another file", make=trained, ini="[train]\nepochs = 3\n"),
        Case("import: a checkpoint of training", IMPORT + "run/weights.h5", 2, f"run/weights.h5: {foreign('sluice-import')}",
             make=trained),
        Case("eval: its data set", EVAL + "idx/train-images-idx3-ubyte --data.kind=idx --data.dir=idx --force", 2,
             "idx/train-images-idx3-ubyte: belongs to the data set that this call reads (data.dir = idx); name another file",
             make=lambda box: (trained(box), box.write("idx/train-images-idx3-ubyte", "pixels"))),
        Case("eval: its HDF5 data set", EVAL + "test.h5 --data.kind=hdf5 --data.dir=. --force", 2,
             "test.h5: belongs to the data set that this call reads (data.dir = .); name another file",
             make=lambda box: (trained(box), box.write("test.h5", "pixels")))]
    return cases


def planted(target):
    """A link in the place of a file that a run writes."""
    def make(box):
        box.write("victim", "precious")
        os.makedirs(box.at("run"))
        os.symlink("../victim", box.at(target))
    return make


def no_checkpoints(only_weights):
    """The directory of a finished run whose checkpoints somebody deleted."""
    def make(box):
        trained(box)
        for folder, _, files in os.walk(box.at("run")):
            for name in files:
                if folder.endswith("checkpoints") or only_weights and name != "weights.h5":
                    os.remove(os.path.join(folder, name))
        os.rmdir(box.at("run/checkpoints"))
    return make


PLACE = "is a symbolic link, expected a regular file or nothing; remove it, or choose another place"
GONE = ("run/weights.h5: is of a run whose checkpoints are gone, so that it cannot be continued; choose another run.dir "
        "(train.init = run/weights.h5 starts from these weights), or move it away")
LOGS = ("run/.lock", "run/log.txt", "run/checkpoints/")

RUNS = [
    Case("a link as the lock", "sluice-train net.ini", 6, f"run/.lock: {PLACE}", make=planted("run/.lock")),
    Case("a link as the log", "sluice-train net.ini --auto-resume", 6, f"run/log.txt: {PLACE}", make=planted("run/log.txt"),
         changes=("run/.lock",)),
    Case("a file of somebody else as the lock", "sluice-train net.ini", 2,
         "run/.lock: is no lock of Sluice, which needs this name; choose another run.dir", files={"run/.lock": "mine\n"}),
    Case("the user's config.ini", "sluice-train run/config.ini --run.dir=run --auto-resume", 2,
         "run/config.ini: a run would replace it by its resolved configuration, and nothing else of a run is here; move it out "
         "of the run directory, or choose another run.dir", files={"run/config.ini": "include = ../net.ini\n"},
         changes=("run/.lock",)),
    Case("the user's changes.log", "sluice-train net.ini", 2,
         "run: holds a run already (changes.log); continue it with --resume or --auto-resume, or choose another run.dir",
         files={"run/changes.log": "mine\n"}),
    Case("a FIFO as the checkpoint", "sluice-eval fifo", 5, "fifo: is no regular file", make=lambda box: os.mkfifo(box.at("fifo"))),
    Case("weights without checkpoints", "sluice-train net.ini", 2,
         "run: holds a run already (weights.h5); continue it with --resume or --auto-resume, or choose another run.dir",
         make=no_checkpoints(True)),
    Case("weights without checkpoints, --auto-resume", "sluice-train net.ini --auto-resume", 5, GONE,
         make=no_checkpoints(True), changes=LOGS),
    Case("a run without checkpoints, --resume", "sluice-train net.ini --resume", 5, GONE, make=no_checkpoints(False),
         changes=LOGS),
]

CLOSED = "cannot write to standard output: Bad file descriptor; it was closed: redirect it to a file, or to /dev/null"



DESCRIPTORS = [
    Case(f"closed standard output: {command}", command, 6, CLOSED, make=trained, prepare=lambda: os.close(1))
    for command in ("sluice-eval run/weights.h5", "sluice-bench net.ini --steps=1", "sluice-inspect run/weights.h5",
                    "sluice-inspect run/weights.h5 --config", DEPLOY + "new.h5", EXPORT + "new.h5", IMPORT + "new.h5",
                    "sluice-train net.ini --print-config", "sluice-train net.ini --dry-run", "sluice-train --help")
]


def ends_with_its_reader(check):
    """What only prints ends in silence, as other programs do, when `head` has seen enough."""
    with Sandbox() as box:
        trained(box)
        for command in ("sluice-train --help all", "sluice-train net.ini --print-config", "sluice-train net.ini --dry-run",
                        "sluice-pack --help", "sluice-eval --help all", "sluice-inspect run/weights.h5"):
            reader, writer = os.pipe()
            os.close(reader)
            ended = box.run(*command.split(), stdout=writer)
            os.close(writer)
            check.expect((ended.code, ended.err) == (128 + signal.SIGPIPE, ""), f"{command}: {ended}")


class Check:
    def __init__(self):
        self.problems = []

    def expect(self, condition, text):
        if not condition:
            self.problems.append(text)


def writes_directly(check):
    """A FIFO, a device and standard output get the very bytes that a file gets, and stay what they are."""
    with Sandbox() as box:
        trained(box)
        for name, command in WRITERS.items():
            box.ok(*(command + "file").split())
            wanted = box.read("file")
            os.mkfifo(box.at("fifo"))
            found = []
            reader = threading.Thread(target=lambda found=found: found.append(box.read("fifo")))
            reader.start()
            box.ok(*(command + "fifo").split())
            reader.join()
            check.expect(stat.S_ISFIFO(os.stat(box.at("fifo")).st_mode), f"{name}: the FIFO became something else")
            check.expect(same(name, found[0], wanted), f"{name}: the FIFO got other bytes")
            os.remove(box.at("fifo"))
            for output in ("-", "/dev/stdout"):
                with open(box.at("redirected"), "wb") as file:
                    report = box.ok(*(command + output).split(), stdout=file).err
                check.expect(same(name, box.read("redirected"), wanted), f"{name} {output}: other bytes on standard output")
                check.expect(report, f"{name} {output}: the report is not on standard error")
            box.ok(*(command + "/dev/null").split())
            check.expect(stat.S_ISCHR(os.stat("/dev/null").st_mode), f"{name}: /dev/null became something else")
            # Its own earlier output is replaced, that of another program with --force only.
            box.ok(*(command + "file").split())
            box.write("file", "somebody else's")
            box.ok(*(command + "file --force").split())
            check.expect(same(name, box.read("file"), wanted), f"{name}: --force wrote something else")
            os.remove(box.at("file"))


def same(name, found, wanted):
    """Equal but for times and host, which only checkpoints hold."""
    return found == wanted if name in ("eval", "export") else found[:8] == wanted[:8] and len(found) == len(wanted)


def temporaries(check):
    """Planted links and files that look like temporaries are neither followed nor removed."""
    with Sandbox() as box:
        names = [".notes.tmp", ".write-probe", ".config.ini.17.tmp", ".x.17-0123.tmp"]
        for name in names:
            box.write("run/" + name, "mine")
        trained(box)
        box.write("run/checkpoints/.labels.v2.tmp", "mine")
        # As a killed process leaves it: one that is sure to be gone wrote it.
        dead = subprocess.Popen(["true"])
        dead.wait()
        stale = f"run/checkpoints/.best.h5.{dead.pid}-0123456789abcdef.tmp"
        box.write(stale, "half")
        box.ok("sluice-train", "net.ini", "--train.epochs=3", "--resume")
        for name in names + ["checkpoints/.labels.v2.tmp"]:
            check.expect(box.read("run/" + name) == b"mine", f"{name}, a file of the user, is gone")
        check.expect(not os.path.exists(box.at(stale)), "a temporary of a dead process is still there")


def closed_descriptors(check):
    """Training goes on in its log without standard output, input or error, and nothing takes their place."""
    for closed in ((1,), (2,), (0, 1, 2)):
        with Sandbox() as box:
            result = box.run("sluice-train", "net.ini", prepare=lambda closed=closed: [os.close(fd) for fd in closed])
            lock, log = box.text("run/.lock"), box.text("run/log.txt")
            check.expect(result.code == 0, f"training without {closed}: {result}")
            check.expect(lock.count("\n") == 1 and " on " in lock, f"training without {closed}: .lock holds {lock}")
            check.expect("done: best" in log, f"training without {closed}: the log holds {log}")
            box.ok("sluice-inspect", "run/weights.h5", "--verify")


def few_files(check):
    """Too many open files is no fault of the disk."""
    if SANITIZED:
        return  # sanitizers open pipes to look at memory
    with Sandbox() as box:
        trained(box)
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))  # one beyond the standard ones
        for command in (["sluice-train", "net.ini", "--run.dir=new"], ["sluice-inspect", "w.h5"]):
            result = box.run(*command, prepare=limit)
            check.expect(result.code == 6 and result.err.endswith(": Too many open files; raise the limit (ulimit -n)\n"),
                         f"{command} with four descriptors: {result}")


if __name__ == "__main__":
    everything = Check()
    for test in (writes_directly, temporaries, closed_descriptors, few_files, ends_with_its_reader):
        test(everything)
    for problem in everything.problems:
        print("FAILED " + problem)
    run_table(refusals() + RUNS + DESCRIPTORS, 40, len(everything.problems))
