"""Runs the built programs in fresh directories, and checks tables of cases: exit code, exact text, what lies in the directory."""
import fcntl
import fnmatch
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

BIN = os.environ["SLUICE_BIN"]          # the programs
TOOLS = os.environ["SLUICE_TOOLS"]      # helpers that only tests need
PLUGINS = os.environ["SLUICE_PLUGINS"]  # plug-ins with one fault each
SOURCE = os.environ["SLUICE_SOURCE"]
SANITIZED = bool(os.environ.get("SLUICE_SANITIZE"))

F_SETPIPE_SZ = 1031  # Python 3.10 has it in fcntl

# 95 parameters, some milliseconds for an epoch. One thread: a loaded machine would let two wait for each other.
NET = """\
[network]
input = 2x6x5
[layer.conv]
type = conv
channels = 4
kernel = 3
pad = 1
[layer.bn]
type = batchnorm
[layer.relu]
type = relu
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 3
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[data]
kind = synthetic
synthetic_image = 2x6x5
synthetic_size = 56
synthetic_test_size = 20
validation = 8
classes = 3
mean = 0.5
std = 0.25
[train]
epochs = 2
batch = 8
[run]
dir = run
threads = 1
"""


@dataclass
class Result:
    code: int
    out: str
    err: str


class Sandbox:
    """A directory of its own, with net.ini in it, where programs run."""

    def __init__(self):
        self.path = os.path.realpath(tempfile.mkdtemp(prefix="sluice-test-"))
        self.tokens = {}  # what the expected text calls <name>
        self.at_end = []  # functions
        self.write("net.ini", NET)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for action in reversed(self.at_end):
            action()
        subprocess.run(["chmod", "-R", "u+rwx", self.path], check=False)
        shutil.rmtree(self.path)

    def at(self, name):
        return os.path.join(self.path, name)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def read(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def text(self, name):
        return self.read(name).decode()

    def start(self, *arguments, env=None, prepare=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
        """Starts a program of Sluice; `prepare` runs in the child before it."""
        command = [os.path.join(BIN, arguments[0]), *arguments[1:]]
        environment = {k: v for k, v in os.environ.items() if k != "SLUICE_MAX_ISA"}
        environment.update(env or {})
        return subprocess.Popen(command, cwd=self.path, env=environment, preexec_fn=prepare, text=True,
                                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Result(-1, out, err + "\n(did not end within two minutes)")
        code = process.returncode
        return Result(128 - code if code < 0 else code, out, err)

    def ok(self, *arguments, **options):
        """Runs a program that must succeed."""
        result = self.run(*arguments, **options)
        if result.code != 0:
            raise AssertionError(f"{' '.join(arguments)}: exit code {result.code}\n{result.err}")
        return result

    def newest(self, run="run"):
        """The newest checkpoint of a run."""
        names = [name for name in os.listdir(self.at(run + "/checkpoints")) if name.startswith("checkpoint-")]
        return f"{run}/checkpoints/{max(names)}"

    def header(self, checkpoint):
        """What sluice-inspect says of it, as a dictionary; "content_digest" stands for all that equal runs have in common."""
        return json.loads(self.ok("sluice-inspect", checkpoint, "--json").out)

    def forge(self, *arguments):
        subprocess.run([os.path.join(TOOLS, "forge"), *arguments], cwd=self.path, check=True)

    def tree(self):
        """Every file with a digest of its contents, every directory."""
        found = {}
        for directory, folders, files in os.walk(self.path):
            where = os.path.relpath(directory, self.path)
            for name in folders:
                found[os.path.normpath(os.path.join(where, name)) + "/"] = ""
            for name in files:
                path = os.path.join(directory, name)
                readable = os.path.isfile(path) and os.access(path, os.R_OK)
                found[os.path.normpath(os.path.join(where, name))] = \
                    hashlib.sha256(self.read(path)).hexdigest() if readable else "unreadable"
        return found


class Paced:
    """A program that cannot run ahead of the reader of its output by more than a page: with `log.interval` near zero a
    training prints a line for each step, so that tests stop it where they want to, however slow the machine is."""

    def __init__(self, box, *arguments):
        self.source, sink = os.pipe()
        fcntl.fcntl(sink, F_SETPIPE_SZ, 4096)
        self.process = box.start(*arguments, stdout=sink, stderr=subprocess.DEVNULL)
        os.close(sink)
        self.lines = []

    def line(self):
        """The next line, "" at the end."""
        text = b""
        while not text.endswith(b"\n"):
            byte = os.read(self.source, 1)
            if not byte:
                break
            text += byte
        self.lines.append(text.decode())
        return self.lines[-1]

    def steps(self, count):
        """Reads on until so many steps are done; false where the program ended before."""
        while count > 0:
            line = self.line()
            if not line:
                return False
            count -= " images/s " in line or " %  loss " in line
        return True

    def end(self):
        """Reads the rest; returns the exit code as a shell gives it."""
        while chunk := os.read(self.source, 1 << 16):
            self.lines += chunk.decode().splitlines(True)
        os.close(self.source)
        code = self.process.wait()
        return 128 - code if code < 0 else code


@functools.lru_cache(None)
def layer_types():
    """What messages list as the known types."""
    text = subprocess.run([os.path.join(BIN, "sluice-train"), "--help", "all"], capture_output=True, text=True, check=True).stdout
    return ", ".join(re.findall(r"^\[layer\.NAME\] type = (\w+):", text, re.MULTILINE))


@dataclass
class Case:
    """One row of a table: how the input is made, what is run, what must come of it."""
    name: str
    run: str               # command line
    code: int
    text: str              # all of stderr but warnings, without the program's name; <name>: the sandbox's token
    ini: str = ""          # bad.ini: this behind 'include = net.ini'
    files: dict = field(default_factory=dict)
    make: object = None    # function of the sandbox, after the files
    env: dict = field(default_factory=dict)
    prepare: object = None
    out: str = ""          # how stdout must begin
    warns: str = ""        # all of the warnings on stderr
    changes: tuple = ()    # patterns of files that may appear or change


def put_in(text, box):
    if "<types>" in text:
        box.tokens["types"] = layer_types()
    for name, value in box.tokens.items():
        text = text.replace(f"<{name}>", value)
    return text


def expected_text(case, box):
    return f"{case.run.split()[0]}: {put_in(case.text, box)}\n" if case.text else ""


def check(case):
    """Returns what is wrong, or nothing."""
    with Sandbox() as box:
        if case.ini:
            box.write("bad.ini", "include = net.ini\n" + case.ini)
        for name, content in case.files.items():
            box.write(name, content)
        if case.make:
            case.make(box)
        before = box.tree()
        result = box.run(*case.run.split(), env=case.env, prepare=case.prepare)
        problems = []
        if result.code != case.code:
            problems.append(f"exit code {result.code}, expected {case.code}")
        expected = expected_text(case, box)
        lines = result.err.splitlines(True)
        warnings = "".join(line for line in lines if line.startswith("warning: "))
        if "".join(line for line in lines if not line.startswith("warning: ")) != expected:
            problems.append(f"stderr:\n{result.err}expected:\n{expected}")
        if warnings != put_in(case.warns, box):
            problems.append(f"warnings:\n{warnings}expected:\n{case.warns}")
        if not result.out.startswith(put_in(case.out, box)):
            problems.append(f"stdout:\n{result.out}expected to begin with:\n{case.out}")
        after = box.tree()
        for path in sorted(set(before) | set(after)):
            if before.get(path) == after.get(path) or any(fnmatch.fnmatch(path, p) for p in case.changes):
                continue
            what = "left behind" if path not in before else "lost" if path not in after else "changed"
            problems.append(f"{what}: {path}")
        return problems


def run_table(cases, minimum, failed=0):
    """Checks all cases (or those whose names contain the first argument); ends the process. `failed`: before."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if len({case.name for case in cases}) != len(cases) or len(cases) < minimum:
        sys.exit(f"{len(cases)} cases: expected at least {minimum} with different names")
    start = time.monotonic()
    for case in cases:
        if wanted not in case.name:
            continue
        problems = check(case)
        failed += bool(problems)
        if problems:
            print(f"FAILED {case.name}: {case.run}\n" + "\n".join(problems) + "\n")
    print(f"{len(cases)} cases, {failed} failed, {time.monotonic() - start:.1f} s")
    sys.exit(1 if failed else 0)
