"""Bad surroundings: run directories, permissions, full disks, processors, plug-ins; exact messages and exit codes."""
import ctypes
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import BIN, PLUGINS, SOURCE, Case, Sandbox, run_table

TRAIN = "sluice-train net.ini"
FULL = "free some space, or choose a place with more room"
LIMITED = "File too large; raise the limit (ulimit -f), or choose a file system that takes larger files"


def as_others():
    """In the child: file permissions hold for root as well."""
    prctl_drop_bounding, dac_override, dac_read_search = 24, 1, 2
    for capability in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(prctl_drop_bounding, capability, 0, 0, 0)


def file_size_limit(size):
    """In the child: larger files cannot be written, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def trained(box):
    box.ok("sluice-train", "net.ini")


def read_only(name):
    def make(box):
        os.makedirs(box.at(name), exist_ok=True)
        os.chmod(box.at(name), 0o555)
    return make


def unreadable(name):
    def make(box):
        box.write(name, "x")
        os.chmod(box.at(name), 0)
    return make


def wait_for(condition, process=None):
    for _ in range(6000):
        if condition():
            return
        if process and process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def in_use(box):
    """Another process trains in the same directory; stopped, so that it writes nothing more."""
    process = box.start("sluice-train", "net.ini", "--train.epochs=1000000", "--checkpoint.every_epochs=1000000",
                        stdout=subprocess.DEVNULL)
    box.at_end.append(lambda: (process.kill(), process.wait()))
    wait_for(lambda: os.path.exists(box.at("run/metrics.csv")) and len(box.text("run/metrics.csv").splitlines()) > 2, process)
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: "\nState:\tT" in box.text(f"/proc/{process.pid}/status"))
    box.tokens["holder"] = f"{process.pid} on {socket.gethostname()}"


def processor(box):
    """What --version says of the processor under the same limit."""
    text = box.run("sluice-train", "--version", env={"SLUICE_MAX_ISA": "avx2"}).out
    box.tokens["processor"] = re.search(r"processor +(.*)", text).group(1)


HOLDS = ("run: holds a run already (config.ini, weights.h5, metrics.csv, metrics.jsonl, log.txt, checkpoints); continue it with --resume "
         "or --auto-resume, or choose another run.dir")
IN_USE = "run: another process (<holder>) uses this run directory; wait until it ends, or choose another run.dir"

RUN_DIRECTORIES = [
    Case("nothing to resume", TRAIN + " --resume", 2,
         "run: there is no run to resume; start one without --resume, or use --auto-resume"),
    Case("holds a run", TRAIN, 2, HOLDS, make=trained, changes=("run/.lock",)),
    Case("in use", TRAIN, 6, IN_USE, make=in_use),
    Case("in use, resuming", TRAIN + " --auto-resume", 6, IN_USE, make=in_use),
    Case("a file", TRAIN + " --run.dir=net.ini", 2, "net.ini: [run] dir names a file, not a directory; choose another run.dir"),
    Case("below a file", TRAIN + " --run.dir=net.ini/run", 6,
         "net.ini/run: cannot make the directory: Not a directory; correct the path: a part of it is a file"),
    Case("cannot be made", TRAIN + " --run.dir=dir/a/b", 6,
         "dir/a/b: cannot make the directory: Permission denied; choose a place that you may write to",
         make=read_only("dir"), prepare=as_others),
    Case("cannot be written", TRAIN + " --run.dir=dir", 6,
         "dir/.lock: cannot open: Permission denied; choose a place that you may write to",
         make=read_only("dir"), prepare=as_others),
    Case("checkpoints cannot be written", TRAIN + " --resume", 6,
         "run/checkpoints/best.h5: cannot open: Permission denied; choose a place that you may write to",
         make=lambda box: (trained(box), read_only("run/checkpoints")(box)), prepare=as_others,
         changes=("run/.lock", "run/log.txt")),
    Case("configuration cannot be read", "sluice-train a.ini", 2, "a.ini: cannot be read: Permission denied",
         make=unreadable("a.ini"), prepare=as_others),
    Case("checkpoint cannot be read", "sluice-eval a.h5", 5, "a.h5: cannot open: Permission denied",
         make=unreadable("a.h5"), prepare=as_others),
    Case("data cannot be read", TRAIN + " --data.kind=hdf5 --data.dir=.", 3, "command line: [data] dir: ./train.h5: cannot open: Permission denied",
         make=unreadable("train.h5"), prepare=as_others),
    Case("predictions cannot be written", "sluice-eval a.h5 --predictions=dir/p.csv", 6,
         "dir/p.csv: cannot write: Permission denied; choose a place that you may write to",
         make=read_only("dir"), prepare=as_others),
    Case("disk full at the start", TRAIN, 6, f"run: cannot write: {LIMITED}",
         prepare=file_size_limit(32 << 10)),
    Case("disk full at the first checkpoint", TRAIN + " --layer.conv.channels=512", 6,
         f"run/checkpoints/checkpoint-0000000006.h5: cannot write: {LIMITED}",
         prepare=file_size_limit(120 << 10),
         changes=("run/", "run/.lock", "run/checkpoints/", "run/config.ini", "run/log.txt", "run/metrics.*")),
]

ISA = "SLUICE_MAX_ISA: expected portable, avx2 or avx512, got 'sse'; correct or unset it"
BLOCKS = "run.layout = blocked needs a processor with AVX-512, this one is <processor>; use run.layout = auto"
BF16 = "run.precision = bf16 needs a processor with AVX512_BF16, this one is <processor>; use run.precision = fp32"

PROCESSORS = [
    Case("unknown instruction set", TRAIN, 6, ISA, env={"SLUICE_MAX_ISA": "sse"}),
    Case("unknown instruction set, --version", "sluice-inspect --version", 6, ISA, env={"SLUICE_MAX_ISA": "sse"}),
    Case("no bf16", TRAIN + " --run.precision=bf16", 6, BF16, env={"SLUICE_MAX_ISA": "avx2"}, make=processor),
    Case("no bf16, --dry-run", TRAIN + " --run.precision=bf16 --dry-run", 6, BF16, env={"SLUICE_MAX_ISA": "avx2"},
         make=processor),
    Case("no bf16, evaluation", "sluice-eval run/weights.h5 --run.precision=bf16", 6, BF16, env={"SLUICE_MAX_ISA": "avx2"},
         make=lambda box: (trained(box), processor(box))),
    Case("no bf16, benchmark", "sluice-bench net.ini --run.precision=bf16", 6, BF16, env={"SLUICE_MAX_ISA": "avx2"},
         make=processor),
    Case("no blocks", TRAIN + " --run.layout=blocked", 6, BLOCKS, env={"SLUICE_MAX_ISA": "avx2"}, make=processor),
    Case("no blocks, evaluation", "sluice-eval run/weights.h5 --run.layout=blocked", 6, BLOCKS,
         env={"SLUICE_MAX_ISA": "avx2"}, make=lambda box: (trained(box), processor(box))),
    Case("no blocks, benchmark", "sluice-bench net.ini --run.layout=blocked", 6, BLOCKS, env={"SLUICE_MAX_ISA": "avx2"},
         make=processor),
]


def plugin(name, message, fixture=None, content=None, program="sluice-train net.ini"):
    def make(box):
        if fixture:
            shutil.copy(os.path.join(PLUGINS, f"plugin_{fixture}.so"), box.at("p.so"))
        elif content is not None:
            box.write("p.so", content)
    return Case("plug-in: " + name, f"{program} --plugins.load=p.so", 2,
                f"command line: [plugins] load: plug-in 'p.so': {message}", make=make)


NO_ENTRY = "is a shared library, but no plug-in: it does not define sluice_plugin()"

PLUG_INS = [
    plugin("missing", "there is no such file"),
    plugin("missing, benchmark", "there is no such file", program="sluice-bench net.ini"),
    plugin("text", "is not a shared library", content="[network]\n"),
    plugin("empty", "is not a shared library", content=""),
    plugin("truncated", "cannot be loaded: file too short", content=b"\x7fELF\2\1\1"),
    plugin("another library", NO_ENTRY, fixture="no_entry"),
    plugin("a library that needs a plug-in", NO_ENTRY, fixture="only_needs_one"),
    plugin("describes nothing", "sluice_plugin() returned nothing", fixture="null"),
    plugin("nameless", "its description lacks the name, the documentation or the function that registers types",
           fixture="nameless"),
    plugin("another interface", "has version 2 of the plug-in interface, this program has version 1; build it against Sluice "
           "<version>", fixture="interface"),
    plugin("throws", "this processor is too old", fixture="throws"),
    plugin("name that is taken", "layer type 'relu' is registered twice; two plug-ins may use the same name",
           fixture="duplicate"),
    plugin("needs a newer Sluice", "cannot be loaded: undefined symbol: _Z19from_a_newer_sluicev", fixture="undefined"),
    Case("plug-in: a directory", TRAIN + " --plugins.load=.", 2,
         "command line: [plugins] load: plug-in '.': is a directory; a shared library was expected"),
    Case("plug-in: two in a file", "sluice-train bad.ini", 2, ini="[plugins]\nload = a.so, b.so\n[layer.x]\ntype = mine\n",
         text="bad.ini:3: [plugins] load: plug-in 'a.so': there is no such file\n"
              "bad.ini:3: [plugins] load: plug-in 'b.so': there is no such file"),
]
for case in PLUG_INS:
    if "<version>" in case.text:
        case.make = lambda box, make=case.make: (make(box), box.tokens.update(version=version()))


def version():
    text = subprocess.run([os.path.join(BIN, "sluice-train"), "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[1]


def bf16_elsewhere():
    """A network that was trained in bf16 is used in fp32 by a processor that has no bf16; one line says so."""
    problems = []
    file = f"{SOURCE}/configs/pretrained/cifar10_resnet8_48.h5"
    note = f"note: {file}: was trained in bf16, which this processor does not compute natively; it is used in fp32\n"
    data = ["--data.kind=synthetic", "--data.synthetic_size=8", "--data.synthetic_test_size=8", "--data.validation=0", "--eval.batch=4"]
    calls = {
        ("sluice-eval", file): note, ("sluice-eval", file, "--run.precision=fp32"): "", ("sluice-eval", file, file): note * 2,
        ("sluice-bench", file, "--steps=1", "--only=infer"): note, ("sluice-report", file, "-o", "report.html"): note,
        ("sluice-deploy", file, "-o", "own.h5"): note, ("sluice-deploy", file, "-o", "told.h5", "--precision=fp32"): "",
        ("sluice-eval", "own.h5"): ""}
    with Sandbox() as box:
        for call, said in calls.items():
            result = box.run(*call, *data, env={"SLUICE_MAX_ISA": "avx2"})
            notes = "".join(line for line in result.err.splitlines(True) if "bf16" in line)
            if result.code != 0 or notes != said:
                problems.append(f"bf16 elsewhere: {' '.join(call)}: {result.code}, {result.err}")
        told = box.run("sluice-inspect", "own.h5", "--config").out
        if "precision = fp32" not in told:
            problems.append(f"bf16 deployed in fp32 says: {told}")
    return problems


def full_standard_output():
    """Output that cannot be written is no success."""
    problems = []
    with Sandbox() as box:
        trained(box)
        commands = ["sluice-train net.ini --print-config", "sluice-train net.ini --dry-run", "sluice-train --help",
                    "sluice-eval run/weights.h5", "sluice-inspect run/weights.h5", "sluice-bench net.ini --steps=1"]
        for command in commands:
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = box.run(*command.split(), stdout=full)
            expected = f"{command.split()[0]}: cannot write to standard output: No space left on device; {FULL}\n"
            if result.code != 6 or result.err != expected:
                problems.append(f"{command} > /dev/full: exit code {result.code}, {result.err}")
    return problems


def small_disk():
    """A disk that fills up while training: what was saved is intact, and with more room the run goes on to the same end."""
    with Sandbox() as box:
        os.makedirs(box.at("disk"))
        mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", box.at("disk")]
        if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            print("no file system can be mounted here: a disk that fills up was not tried")
            return []
        box.at_end.append(lambda: subprocess.run(["umount", "-l", box.at("disk")], check=False))
        problems = []
        command = ["sluice-train", "net.ini", "--train.epochs=5", "--run.dir=disk/run", "--early_stopping.metric=train_loss"]
        box.ok(*command)
        digest = box.header(box.newest("disk/run"))["content_digest"]
        size = os.path.getsize(box.at("disk/run/checkpoints/best.h5"))
        shutil.rmtree(box.at("disk/run"))
        free = os.statvfs(box.at("disk"))
        room = 5 * size // 2 + (24 << 10)  # for two checkpoints and the small files, not for a third
        box.write("disk/other", bytes(free.f_bavail * free.f_bsize - room))
        result = box.run(*command)
        expected = rf"sluice-train: disk/run/checkpoints/checkpoint-00000000\d\d\.h5: cannot write: No space left on device; {FULL}\n"
        if result.code != 6 or not re.fullmatch(expected, result.err):
            problems.append(f"exit code {result.code}: {result.err}")
        files = sorted(os.listdir(box.at("disk/run/checkpoints")))
        if any(name.endswith(".tmp") for name in files) or len(files) < 2:
            problems.append(f"left behind: {files}")
        for name in files:
            box.ok("sluice-inspect", "disk/run/checkpoints/" + name, "--verify")
        os.remove(box.at("disk/other"))
        box.ok(*command, "--resume")
        if box.header(box.newest("disk/run"))["content_digest"] != digest:
            problems.append("the resumed run ends elsewhere than one that was not interrupted")
        return problems


if __name__ == "__main__":
    found = [] if len(sys.argv) > 1 else full_standard_output() + bf16_elsewhere() + small_disk()
    for problem in found:
        print("FAILED " + problem)
    run_table(RUN_DIRECTORIES + PROCESSORS + PLUG_INS, 35, len(found))
