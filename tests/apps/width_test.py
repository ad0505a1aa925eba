"""What every program prints fits the terminal: at 60, 80 and 100 columns no line is wider and no word is broken; what matters most is
there. A pipe gets everything."""
import fcntl
import os
import pty
import re
import struct
import sys
import termios

from harness import NET, SOURCE, TOOLS, Sandbox
from predict_test import INI, pictures

WIDTHS = (60, 80, 100)
GATED = NET.replace("type = conv\n", "type = cg_conv\npartitions = 2\n", 1)
LONG = ["--data.synthetic_size=60000", "--train.epochs=2"]  # an epoch that lasts long enough for a line of progress
PICTURES = os.path.exists(os.path.join(TOOLS, "write_pictures"))
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def on_terminal(box, width, *arguments):
    """Exit code and all that a terminal of so many columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {"COLUMNS": "", "TERM": "xterm"}
    process = box.start(*arguments, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    sent = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    return process.wait(), sent.decode().replace("\r\n", "\n")


def lines_of(sent):
    """What stands on the lines; a line that is drawn anew counts each time."""
    return [part for line in sent.split("\n") for part in ESCAPES.sub("", line).split("\r")]


def check(box, width, code, *arguments):
    """Runs a program; returns its lines."""
    what = f"{' '.join(arguments)}, {width} columns"
    got, sent = on_terminal(box, width, *arguments)
    lines = lines_of(sent)
    expect(got == code, f"{what}: exit code {got}\n{sent}")
    wide = [line for line in lines if len(line) > width and " " in line.strip()]
    expect(not wide, f"{what}: {len(wide)} lines are wider:\n" + "\n".join(wide[:3]))
    return lines


def prepare(box):
    box.write("gated.ini", GATED)
    box.ok("sluice-train", "net.ini", "--run.dir=runs/dense")
    box.ok("sluice-train", "gated.ini", "--run.dir=runs/target-0.5", "--gating_loss.penalty=0.1", "--gating_loss.target=0.5")
    box.ok("sluice-export", "runs/dense/weights.h5", "-o", "state.h5")
    if PICTURES:
        pictures(box)
        box.write("folder.ini", INI)
        box.write("pictures.ini", "include = folder.ini\n[layer.conv]\ntype = cg_conv\npartitions = 3\nchannels = 6\n")
        box.ok("sluice-train", "pictures.ini", "--run.dir=runs/pictures")


# Command lines whose exit code is 0.
CALLS = """
sluice-train gated.ini --dry-run
sluice-train --help
sluice-train --help optimizer
sluice-train --help cg_conv
sluice-eval --help
sluice-runs --help
sluice-eval runs/target-0.5/weights.h5 --confusion
sluice-eval runs/target-0.5/weights.h5 --compare
sluice-eval runs/target-0.5/weights.h5 runs/dense/weights.h5
sluice-eval runs/target-0.5/weights.h5 --shift=-1:1:0.5
sluice-runs runs
sluice-inspect runs/target-0.5/weights.h5
sluice-inspect runs/target-0.5/weights.h5 --stats --gates --history --plot
sluice-bench gated.ini --steps=1 --plan
sluice-bench gated.ini --steps=1 --only=data
sluice-deploy runs/target-0.5/weights.h5 --eval.batch=5 -o deployed.h5
sluice-export runs/dense/weights.h5 -o state.h5
sluice-import state.h5 net.ini -o imported.h5
sluice-report runs/target-0.5 -o report.html
""".strip().splitlines()
ON_PICTURES = """
sluice-predict runs/pictures/weights.h5 set/val --top=2
sluice-predict runs/pictures/weights.h5 set/val --maps=maps
sluice-pack set -o set.h5
""".strip().splitlines()
BAD = {
    "sluice-train gated.ini --optimizer.learning=1": 2,
    "sluice-train gated.ini --lr=0.1": 2,
    "sluice-train gated.ini --run.dir=runs/dense": 2,
    "sluice-eval nowhere/weights.h5": 5,
    "sluice-runs nowhere": 2,
    "sluice-eval runs/dense/weights.h5 --shift=-1:1:0.5": 2,
    "sluice-inspect gated.ini": 5,
    "sluice-inspect runs/target-0.5/weights.h5 --diff=runs/dense/weights.h5": 1,
}


def every_program(box):
    for width in WIDTHS:
        for call in CALLS + (ON_PICTURES if PICTURES else []):
            check(box, width, 0, *call.split())
        for call, code in BAD.items():
            check(box, width, code, *call.split())


def training(box):
    """The line of progress and the rows of epochs."""
    for width in WIDTHS:
        lines = check(box, width, 0, "sluice-train", "gated.ini", *LONG, f"--run.dir=at{width}")
        live = [line for line in lines if "ETA " in line]
        expect(live and all(re.fullmatch(r"(epoch )?\d/2\b.* \d+ ?%.* loss \d.* acc(uracy)? \d.*dens(ity)? \d.*/s .*run ETA \d.*", line)
                            for line in live), f"live lines at {width} columns: {live[:2]}")
        rows = [line for line in lines if re.match(r"(epoch )?\d/2\b", line) and "ETA" not in line]
        expect(len(rows) == 2 and all(re.search(r"\b(train_)?loss \d.* val_loss \d.* val_acc.* \d.*dens(ity)? \d", row) for row in rows),
               f"rows at {width} columns: {rows}")
    # A pipe gets whole rows, and so does the log file.
    result = box.ok("sluice-train", "gated.ini", "--run.dir=piped")
    rows = [line for line in result.out.splitlines() if line.startswith("epoch ")]
    expect(len(rows) == 2 and all(row.count(", ") >= 12 and ", data_wait_percent " in row for row in rows), f"piped rows: {rows}")
    logged = [line.split(" ", 1)[1] for line in box.text("at60/log.txt").splitlines() if " epoch " in line and ", lr " in line]
    expect(len(logged) == 2 and all(", data_wait_percent " in row for row in logged), f"log.txt: {logged}")


def measuring(box):
    """Whoever measures for long shows how far it is."""
    for width in WIDTHS:
        lines = check(box, width, 0, "sluice-deploy", "runs/target-0.5/weights.h5", "-o", "deployed.h5", "--data.synthetic_size=20000",
                      "--eval.batch=20000")
        expect(any(re.search(r"\bkernels\b.* \d+ ?%", line) for line in lines), f"deploy at {width} columns: {lines}")
        lines = check(box, width, 0, "sluice-bench", "gated.ini", "--only=infer", "--plan", "--eval.batch=20000")
        for phase in ("kernels", "inference", "thresholds"):
            expect(any(re.search(rf"\b{phase}\b.* \d+ ?%", line) for line in lines), f"bench, {phase}, {width} columns: {lines}")
    # Elsewhere nothing is said in the first minute.
    result = box.ok("sluice-bench", "gated.ini", "--only=infer", "--plan", "--eval.batch=2000")
    expect(result.err == "", f"bench without a terminal: {result.err}")


GATED_FILE, CUT_FILE, DENSE_FILE = "runs/target-0.5/weights.h5", "...target-0.5/weights.h5", "runs/dense/weights.h5"
# What is said meanwhile of programs that evaluate.
EVALUATIONS = {
    f"sluice-eval {DENSE_FILE}": [DENSE_FILE],
    f"sluice-eval {GATED_FILE} --compare": [CUT_FILE],
    f"sluice-eval {GATED_FILE} --split=test --shift=-1:1:0.5": [CUT_FILE],
    f"sluice-eval {DENSE_FILE} {GATED_FILE}": [f"{DENSE_FILE}, 1 of 2", f"{CUT_FILE}, 2 of 2"],
    f"sluice-eval {DENSE_FILE} {GATED_FILE} --time": [f"{DENSE_FILE}, 1 of 2", "kernels, 2 of 2", "networks"],
    "sluice-report runs/dense runs/target-0.5 -o report.html": ["runs/dense, 1 of 2", "runs/target-0.5, 2 of 2"],
    "sluice-report runs/target-0.5 --time -o report.html": ["runs/target-0.5", "kernels"],
}


def evaluating(box):
    """Whoever evaluates says of which file, and how far it is; the line is gone at the end, and not there without a terminal."""
    speed = re.search(r"speed +(\d+) images", box.ok("sluice-eval", DENSE_FILE, "--data.synthetic_test_size=20000", "--eval.batch=2000").out)
    size = f"--data.synthetic_test_size={max(60000, int(speed.group(1)))}"  # a second: lines come after a tenth
    for call, phases in EVALUATIONS.items():
        for width in (60, 100):
            code, sent = on_terminal(box, width, *call.split(), size, "--eval.batch=2000")
            lines = lines_of(sent)
            expect(code == 0 and not any(len(line) >= width for line in lines if "ETA" in line), f"{call}, {width} columns: {sent}")
            for phase in phases:
                begins = re.compile(rf"((evaluating|timing) )?{re.escape(phase)} .*\d+ ?%")
                expect(any(begins.match(line) for line in lines), f"{call}, {phase}, {width} columns: {lines}")
            expect("ETA" not in sent.rpartition("\r\x1b[K")[2],
                   f"{call}: the line stays: {sent}")
        piped = box.ok(*call.split(), size, "--eval.batch=2000").err
        expect("--time" in call or piped == "", f"{call} without a terminal: {piped}")  # times may be noted as unquiet


LONG_LAYER = "first_stage_of_the_network_with_gates_and_a_long_name"
LONG_FOLDER = "results_of_an_experiment_that_has_a_long_name/2026-11-30_at_the_third_attempt/"
# Titles that stand at 60 columns, whatever the names of files and layers are; None: whatever they are, lines fit.
LONG_NAMES = {
    f"sluice-eval {LONG_FOLDER}a/weights.h5 {LONG_FOLDER}b/weights.h5": "checkpoint",
    f"sluice-eval {LONG_FOLDER}a/weights.h5 runs/dense/weights.h5": "checkpoint",
    f"sluice-eval {LONG_FOLDER}a/weights.h5": "layer density multiply-adds dense cost",
    f"sluice-eval {LONG_FOLDER}a/weights.h5 --confusion": "0 1 2",
    f"sluice-runs {LONG_FOLDER}": "run",
    f"sluice-runs {LONG_FOLDER} runs/dense": "run",
    f"sluice-inspect {LONG_FOLDER}a/weights.h5 --gates": "layer threshold mean density cost",
    f"sluice-inspect {LONG_FOLDER}a/weights.h5 --stats": "tensor shape mean std",
    f"sluice-inspect {LONG_FOLDER}a/weights.h5 --diff={LONG_FOLDER}b/weights.h5": "tensor max abs max rel differing",
    "sluice-train long.ini --dry-run": "layer result parameters dense",
    "sluice-bench long.ini --steps=1 --plan": "layer forward kernel",
    f"sluice-deploy {LONG_FOLDER}a/weights.h5 --eval.batch=5 -o {LONG_FOLDER}deployed.h5": "layer runs ms",
    f"sluice-export {LONG_FOLDER}b/weights.h5 -o {LONG_FOLDER}state.h5": None,
    f"sluice-import {LONG_FOLDER}state.h5 long.ini -o {LONG_FOLDER}imported.h5": None,
}


def long_names(box):
    """Names make way for figures; a pipe gets them whole."""
    box.write("long.ini", GATED.replace("layer.conv]", f"layer.{LONG_LAYER}]"))
    for run, more in (("a", ()), ("b", ("--optimizer.lr=0.2", "--optimizer.momentum=0.8"))):
        box.ok("sluice-train", "long.ini", f"--run.dir={LONG_FOLDER}{run}", "--gating_loss.penalty=0.1", *more)
    for call, titles in LONG_NAMES.items():
        lines = check(box, 60, 1 if "--diff" in call else 0, *call.split())
        found = titles is None or any(line.split()[:len(titles.split())] == titles.split() for line in lines)
        expect(found, f"{call}: no line of titles {titles}:\n" + "\n".join(lines))
    piped = box.ok("sluice-eval", f"{LONG_FOLDER}a/weights.h5", f"{LONG_FOLDER}b/weights.h5").out
    expect(f"\n{LONG_FOLDER}b/weights.h5 " in piped, f"a pipe: {piped}")
    if PICTURES:
        os.renames(box.at("set/val"), box.at(LONG_FOLDER + "pictures"))
        lines = check(box, 60, 0, "sluice-predict", "runs/pictures/weights.h5", LONG_FOLDER + "pictures", "--top=2", "--maps=other")
        expect(lines[0].split() == "picture class probability density".split(), f"sluice-predict: {lines}")


def deep_networks(box):
    """Many layers of like names: no two of them look the same; the bits of precision gating stay."""
    for run, seed in (("deep/a", 1), ("deep/b", 2)):
        box.ok("sluice-train", os.path.join(SOURCE, "configs/networks/resnet20.ini"), "--define.gated_conv=pg_conv", "--data.kind=synthetic",
               "--data.synthetic_size=8", "--data.synthetic_test_size=4", "--train.batch=4", "--run.threads=1", f"--run.dir={run}",
               f"--run.seed={seed}")
    for arguments in (["--stats"], ["--diff=deep/b/weights.h5"], ["--gates"]):
        for width in (60, 80):
            lines = check(box, width, 1 if "--diff" in arguments[0] else 0, "sluice-inspect", "deep/a/weights.h5", *arguments)
            rows = [line.split()[0] for line in lines if re.match(r" *\S*layer\d?\S* .*\d", line)]
            expect(len(rows) > 8 and len(set(rows)) == len(rows), f"sluice-inspect {arguments}, {width} columns:\n" + "\n".join(lines))
            expect(arguments != ["--gates"] or lines[0].endswith("  bit cost"), f"--gates, {width} columns: {lines[0]}")


def pipes(box):
    """One line for an error, all columns of a table."""
    result = box.run("sluice-train", "gated.ini", "--optimizer.learning=1")
    expect(result.err.count("\n") == 1 and len(result.err) > 100, f"an error: {result.err}")
    table = box.ok("sluice-eval", "runs/target-0.5/weights.h5", "runs/dense/weights.h5").out
    expect("no room for" not in table and "multiply-adds  dense" in table, f"a table: {table}")
    for_programs, sent = on_terminal(box, 60, "sluice-eval", "runs/target-0.5/weights.h5", "runs/dense/weights.h5", "--csv")
    expect(for_programs == 0 and sent.rpartition("\r\x1b[K")[2] == box.ok("sluice-eval", "runs/target-0.5/weights.h5", "runs/dense/weights.h5", "--csv").out,
           f"--csv on a terminal: {sent}")


if __name__ == "__main__":
    with Sandbox() as sandbox:
        prepare(sandbox)
        for part in (every_program, training, measuring, evaluating, deep_networks, pipes, long_names):
            part(sandbox)
    sys.exit(1 if failures else 0)
