"""Which run a directory holds: other experiments are refused, changes are said and kept, and a run that was changed, or whose
files were, goes on as it should and always ends with its weights."""
import csv
import io
import os
import re
import shutil
import signal
import sys
import time

from harness import Paced, Sandbox
from resume_test import expect, failures

NEWEST = "run/checkpoints/checkpoint-0000000012.h5"
BEST = "run/checkpoints/best.h5"
OTHER = "holds a run of another configuration"
LEFT = "nothing is left to train in it: choose another run.dir"
# A metric that never improves: the first epoch stays the best one.
FIRST_IS_BEST = ["--early_stopping.metric=val_macs_executed"]


def rows(box, run="run"):
    return list(csv.DictReader(io.StringIO(box.text(run + "/metrics.csv"))))


def refused(box, name, text, *arguments):
    """Exit code 2 with this text; nothing but the log changes."""
    before = box.tree()
    result = box.run("sluice-train", *arguments)
    expect(result.code == 2 and result.err == f"sluice-train: {text}\n", f"{name}: exit code {result.code}: {result.err}")
    changed = [path for path, digest in box.tree().items() if before.get(path) != digest and not path.endswith(("log.txt", ".lock"))]
    expect(not changed and len(box.tree()) == len(before), f"{name}: changed {changed}")


def stopped(box, *arguments, steps=3, pause=0.0):
    """A run of 60 steps in an epoch that was stopped inside its first one, after it had waited for so many seconds; the
    header of its newest checkpoint."""
    paced = Paced(box, "sluice-train", "net.ini", "--data.synthetic_size=488", "--log.interval=1e-9", *arguments)
    paced.steps(steps)
    if pause:  # it waits for its reader
        time.sleep(pause)
        paced.steps(200)
    paced.process.send_signal(signal.SIGTERM)
    expect(paced.end() == 75, f"stopped: {paced.lines}")
    return box.header(box.newest())


def two_experiments():
    """Two files of one name mean one default directory: the second is neither called done nor trained over the first."""
    with Sandbox() as box:
        text = box.text("net.ini").replace("dir = run\n", "")
        box.write("one/exp.ini", text + "[optimizer]\nlr = 0.1\n")
        box.write("two/exp.ini", text + "[optimizer]\nlr = 0.01\n")
        box.ok("sluice-train", "one/exp.ini")
        refused(box, "two experiments", f"runs/exp: {OTHER} ([optimizer] lr: 0.1 -> 0.01); {LEFT}", "two/exp.ini", "--auto-resume")
        refused(box, "with a word", f"runs/exp: {OTHER} ([optimizer] lr: 0.1 -> 0.01); {LEFT}", "two/exp.ini", "--resume",
                "--accept-changes")
        refused(box, "batch", f"runs/exp: {OTHER} ([train] batch: 8 -> 4); {LEFT}", "one/exp.ini", "--resume", "--train.batch=4")
        refused(box, "fewer epochs", f"runs/exp: {OTHER} ([train] epochs: 2 -> 1); it has trained 2 epochs already: give "
                "--train.epochs=2 or more", "one/exp.ini", "--resume", "--train.epochs=1")
        refused(box, "a word without a run", "command line: --extend goes with --resume or --auto-resume", "one/exp.ini", "--extend")
        before = box.text("runs/exp/config.ini")
        out = box.ok("sluice-train", "one/exp.ini", "--auto-resume", "--run.layout=nhwc", "--log.interval=5").out
        for line in ["[run] layout: auto -> nhwc; results may differ in the last bits", "[log] interval: 60 -> 5; no effect on the result"]:
            expect(f"changed since the checkpoint: {line}\n" in out, f"harmless: {out}")
        expect(box.text("runs/exp/config.ini") == before, "harmless: config.ini of a finished run changed")
        box.ok("sluice-train", "two/exp.ini", "--auto-resume", "--run.dir=runs/two")


def more_epochs():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--run.dir=whole", "--train.epochs=4")
        box.ok("sluice-train", "net.ini")
        result = box.ok("sluice-train", "net.ini", "--auto-resume", "--train.epochs=4")
        expect(result.err == "warning: changed since the checkpoint: [train] epochs: 2 -> 4; the run ends after them\n",
               f"more epochs: {result.err}")
        diff = box.run("sluice-inspect", box.newest(), "--diff=" + box.newest("whole")).out
        expect([row["train_loss"] for row in rows(box)] == [row["train_loss"] for row in rows(box, "whole")], f"more epochs: {diff}")
        expect(box.text("run/changes.log") == "after 2 epochs: [train] epochs: 2 -> 4\n", "more epochs: changes.log")
        expect(box.header("run/checkpoints/best.h5")["state"].get("changes", "after 2 epochs: [train] epochs: 2 -> 4") ==
               "after 2 epochs: [train] epochs: 2 -> 4", "more epochs: /state/changes")
    cosine = "--schedule.type=cosine"
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", cosine)
        refused(box, "cosine", f"run: {OTHER} ([train] epochs: 2 -> 4); choose another run.dir; or --extend stretches the schedule "
                "to the new number of epochs", "net.ini", cosine, "--resume", "--train.epochs=4")
        box.ok("sluice-train", "net.ini", cosine, "--resume", "--train.epochs=4", "--extend")
        rates = [float(row["lr"]) for row in rows(box)]
        expect(rates[1] < rates[2] and rates[2] > rates[3], f"stretched: {rates}")


def running():
    """A run with steps left goes on with what it may, and with more where a word says so."""
    with Sandbox() as box:
        stopped(box)
        run = ["net.ini", "--data.synthetic_size=488", "--resume"]
        refused(box, "lr", f"run: {OTHER} ([optimizer] lr: 0.1 -> 0.05); choose another run.dir; or --accept-changes goes on with "
                "them from here", *run, "--optimizer.lr=0.05")
        refused(box, "gating", f"run: {OTHER} ([gating_loss]: absent -> present); choose another run.dir; or --accept-changes goes "
                "on with them from here", *run, "--gating_loss.penalty=0")
        images = box.header(box.newest())["state"]["images"]
        result = box.ok("sluice-train", *run, "--optimizer.lr=0.05", "--run.seed=4", "--early_stopping.patience=9", "--accept-changes")
        wanted = ["[run] seed: 1 -> 4", "[optimizer] lr: 0.1 -> 0.05", "[early_stopping] patience: 0 -> 9"]
        expect(sorted(result.err.splitlines()) == sorted(f"warning: changed since the checkpoint: {text}" + tail for text, tail in
                                                         zip(wanted, ["", "", "; the run may end elsewhere"])), f"running: {result.err}")
        log = box.text("run/changes.log").splitlines()
        expect(sorted(log) == sorted(f"after 0 epochs and {images} images: {text}" for text in wanted), f"running: {log}")
        expect(box.header(box.newest())["state"]["changes"].splitlines() == log, "running: /state/changes")
        expect(re.search(r"^lr = 0.05 ", box.text("run/config.ini"), re.MULTILINE), "running: config.ini")


def other_batch():
    """Learning rate, images and means do not depend on the batch a run was begun with."""
    schedule = ["--schedule.type=cosine", "--train.epochs=3"]
    with Sandbox() as box:
        state = stopped(box, *schedule)["state"]
        expect(state["images"] == 8 * state["batch"] > 0, f"other batch: {state}")
        left = 480 - state["images"]
        box.ok("sluice-train", "net.ini", "--data.synthetic_size=488", *schedule, "--resume", "--train.batch=16")
        steps = [int(row["step"]) for row in rows(box)]
        expect(steps[0] == state["step"] + left // 16 and [b - a for a, b in zip(steps, steps[1:])] == [30, 30],
               f"other batch: {state} then {steps}")
        box.ok("sluice-train", "net.ini", "--data.synthetic_size=488", *schedule, "--run.dir=whole")
        for ours, theirs in zip(rows(box), rows(box, "whole")):  # the last step begins at most 16 images earlier
            expect(abs(float(ours["lr"]) - float(theirs["lr"])) < 0.1 * 3.2 / 2 * 16 / 480 / 3 + 1e-6, f"other batch: {ours}, {theirs}")
        expect(abs(float(rows(box)[0]["train_loss"]) - float(rows(box, "whole")[0]["train_loss"])) < 0.3, "other batch: loss")


def counted_in_steps():
    """A checkpoint of a version that counted steps goes on as the new ones do."""
    with Sandbox() as box:
        state = stopped(box)["state"]
        newest = box.newest()
        shutil.copytree(box.at("run"), box.at("old"))
        old = newest.replace("run/", "old/", 1)
        box.forge("edit", old, old, "state=images", f"state=loss_sum:{state['loss_sum'] / 8!r}")
        expect("images" not in box.header(old)["state"], "in steps: images")
        for run in ["run", "old"]:
            box.ok("sluice-train", "net.ini", "--data.synthetic_size=488", "--resume", f"--run.dir={run}")
        digests = {box.header(box.newest(run))["content_digest"] for run in ["run", "old"]}
        losses = [[row["train_loss"] for row in rows(box, run)] for run in ["run", "old"]]
        expect(losses[0] == losses[1], f"in steps: {losses}, {digests}")
        for value in ["-8", "2199023255552"]:
            box.forge("edit", box.newest("old"), box.newest("old"), f"state=images:{value}")
            result = box.run("sluice-train", "net.ini", "--data.synthetic_size=488", "--resume", "--run.dir=old")
            expect(result.code == 5 and result.err == f"sluice-train: {box.newest('old')}: /state/images is {value}, expected 0 to "
                   "1099511627776; resume from another checkpoint\n", f"in steps: {result.code} {result.err}")


def whole_epochs_are_timed():
    """The row of an interrupted epoch has the seconds of both parts."""
    with Sandbox() as box:
        size = "--data.synthetic_size=8008"
        before = float(stopped(box, "--train.epochs=1", size, pause=0.5)["run"]["train_seconds"])
        expect(before >= 0.4, f"timed: {before} s before the stop")
        box.ok("sluice-train", "net.ini", size, "--train.epochs=1", "--resume")
        row = rows(box)[0]
        expect(float(row["seconds"]) > before, f"timed: {row['seconds']} s after {before} s")
        rate = float(row["images_per_second"]) * float(row["seconds"])
        expect(abs(rate - 8000) < 1e-6 * 8000, f"timed: {rate} images")


def its_own_directory():
    """The config.ini of a run leads to it, wherever it was moved to."""
    with Sandbox() as box:
        box.write("exp.ini", box.text("net.ini").replace("dir = run\n", ""))
        box.ok("sluice-train", "exp.ini")
        os.rename(box.at("runs/exp"), box.at("moved"))
        out = box.ok("sluice-train", "moved/config.ini", "--resume", "--train.epochs=3").out
        expect(out.startswith("run directory moved; "), f"its own directory: {out}")
        box.ok("sluice-train", "moved/config.ini", "--auto-resume", "--train.epochs=3")
        refused(box, "its own directory", "moved: holds a run already (config.ini, changes.log, weights.h5, metrics.csv, metrics.jsonl, log.txt, "
                "checkpoints); continue it with --resume or --auto-resume, or choose another run.dir", "moved/config.ini")
        box.ok("sluice-train", "moved/config.ini", "--run.dir=again")
        expect(sorted(os.listdir(box.path)) == ["again", "exp.ini", "moved", "net.ini", "runs"], f"{os.listdir(box.path)}")


def best_file(name, spoil, problem, after):
    """A best.h5 that cannot be used is noticed before training; the run ends with weights.h5 all the same."""
    for epochs in [2, 3]:
        with Sandbox() as box:
            box.ok("sluice-train", "net.ini", *FIRST_IS_BEST)
            spoil(box)
            os.remove(box.at("run/weights.h5"))
            result = box.ok("sluice-train", "net.ini", *FIRST_IS_BEST, "--resume", f"--train.epochs={epochs}")
            warning = f"warning: {problem}; {after}\n"
            expect(warning in result.err, f"{name}: {result.err}")
            box.ok("sluice-inspect", "run/weights.h5", "--verify")
            expect(result.out.splitlines()[-1].startswith("done: best val_macs_executed "), f"{name}: {result.out}")
            again = box.ok("sluice-train", "net.ini", *FIRST_IS_BEST, "--resume", f"--train.epochs={epochs}")
            mended = epochs == 3 or after.endswith("epoch 1 is the best one now")
            expect(again.err.count("best.h5") == (not mended), f"{name}: {again.err}")


def remove_first(box):
    os.remove(box.at(BEST))
    os.remove(box.at("run/checkpoints/checkpoint-0000000006.h5"))


def foreign(box):
    box.ok("sluice-train", "net.ini", "--run.dir=other", "--run.seed=9", *FIRST_IS_BEST)
    os.remove(box.at(BEST))  # it is one file with the checkpoint
    shutil.copy(box.at("other/checkpoints/best.h5"), box.at(BEST))


def cut(box):
    data = box.read(BEST)
    os.remove(box.at(BEST))
    box.write(BEST, data[:9000])


def best_files():
    of = "of the checkpoints that there are, that of epoch {} is the best one now"
    best_file("missing", lambda box: os.remove(box.at(BEST)), f"{BEST}: cannot open: No such file or directory", of.format(1))
    best_file("missing for good", remove_first, f"{BEST}: cannot open: No such file or directory", of.format(2))
    best_file("of another run", foreign, f"{BEST}: is not of this run as it stands", of.format(1))
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", *FIRST_IS_BEST)
        cut(box)
        result = box.ok("sluice-train", "net.ini", *FIRST_IS_BEST, "--resume", "--train.epochs=3")
        expect(f"warning: {BEST}: " in result.err and of.format(1) in result.err, f"cut: {result.err}")


def other_metric():
    """With another metric the best epoch is chosen anew, among what is left, and patience begins anew."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", *FIRST_IS_BEST)
        result = box.ok("sluice-train", "net.ini", "--early_stopping.metric=train_loss", "--early_stopping.patience=2",
                        "--early_stopping.min_delta=100", "--train.epochs=9", "--resume")
        losses = [float(row["train_loss"]) for row in rows(box)]
        first = 1 + losses.index(min(losses[:2]))
        expect("warning: early_stopping.metric or its goal was changed; of the checkpoints that there are, that of epoch "
               f"{first} is the best one now\n" in result.err, f"other metric: {result.err}")
        expect(len(losses) == 5, f"other metric: {len(losses)} epochs")
        epoch = box.header("run/weights.h5")["state"]["epoch"]
        expect(epoch == 1 + losses.index(min(losses)), f"other metric: weights of epoch {epoch} of {losses}")


def switched_on():
    """An average starts from the weights; an optimiser's memory at zero, with a word."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--optimizer.momentum=0")
        shutil.copytree(box.at("run"), box.at("keep"))
        run = ["sluice-train", "net.ini", "--optimizer.momentum=0", "--resume", "--train.epochs=4"]
        result = box.ok(*run, "--ema.decay=0.9")
        expect(f"warning: no average of the weights is in {NEWEST}: it starts from the weights\n" in result.err, f"average: {result.err}")
        expect(len(result.err.splitlines()) == 3, f"average: {result.err}")
        result = box.ok(*run[:-1], "--train.epochs=5", "--ema.decay=0")
        expect("warning: the average of the weights is dropped: ema.decay is 0\n" in result.err, f"average off: {result.err}")
        for name, memory, arguments in [("momentum", "momentum", ["--optimizer.momentum=0.9"]),
                                        ("adamw", "exp_avg, exp_avg_sq", ["--optimizer.type=adamw"])]:
            shutil.rmtree(box.at("run"))
            shutil.copytree(box.at("keep"), box.at("run"))
            result = box.run(*run[:2], *arguments, *run[3:])
            expect(result.code == 2 and len(result.err.splitlines()) == 1 and "[optimizer] " in result.err, f"{name}: {result.err}")
            result = box.ok(*run[:2], *arguments, *run[3:], "--accept-changes")
            expect(f"warning: the optimiser's memory ({memory}) is not in {NEWEST}: it starts at zero\n" in result.err, f"{name}: {result.err}")


def started_again_with_its_weights():
    """A run that ended before its first checkpoint starts again as it was to start, from train.init."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--run.dir=first")
        run = ["sluice-train", "net.ini", "--train.init=first/weights.h5"]
        box.ok(*run, "--run.dir=whole")
        box.write("run/log.txt", "")
        out = box.ok(*run, "--auto-resume").out
        expect("starts from the weights of first/weights.h5\n" in out, f"started again: {out}")
        expect([row["train_loss"] for row in rows(box)] == [row["train_loss"] for row in rows(box, "whole")], "started again: loss")


def an_old_key():
    """A key's old name is no mistake: a note, in the log too; a run goes on with either name."""
    with Sandbox() as box:
        new = box.text("net.ini")
        old = new.replace("features = 3", "channels = 3")
        box.write("net.ini", old)
        line = old.splitlines().index("channels = 3") + 1
        note = f"note: net.ini:{line}: [layer.fc] channels: is called features now\n"
        result = box.ok("sluice-train", "net.ini")
        expect(result.out.count(note) == 1 and result.err == "", f"an old key: {result.out}{result.err}")
        log = box.text("run/log.txt")
        expect(note in log and "warning" not in log, f"an old key: {log}")
        box.write("net.ini", new)
        out = box.ok("sluice-train", "net.ini", "--resume").out
        expect("note:" not in out and "changed since" not in out, f"an old key, resumed: {out}")


def no_idle_column():
    """Without gated layers there is nothing that a penalty on thresholds could say."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--gating_loss.target=2")
        expect("gating_loss" not in rows(box)[0], f"columns: {list(rows(box)[0])}")


if __name__ == "__main__":
    for part in [two_experiments, more_epochs, running, other_batch, counted_in_steps, whole_epochs_are_timed, its_own_directory,
                 best_files, other_metric, switched_on, started_again_with_its_weights, an_old_key, no_idle_column]:
        part()
    sys.exit(1 if failures else 0)
