"""sluice-runs: how runs stand, what differs, the best metrics; sorted, filtered, as CSV, JSON and Markdown, at every width."""
import csv
import fcntl
import io
import json
import os
import re

from harness import Case, Sandbox, run_table

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


CONFIG = """[run]
dir = runs/{name}
[layer.conv1]
type = {conv}
[layer.conv2]
type = {conv}
[optimizer]
lr = {lr}
[train]
epochs = 4
[log]
interval = {interval}
[early_stopping]
metric = val_accuracy
goal = auto
"""
METRICS = """epoch,step,lr,train_loss,val_loss,val_accuracy,val_gate_density,val_gate_density/conv1,val_macs_executed,\
val_flop_reduction,seconds,images_per_second
1,10,{lr},2,{loss},50,0.5,0.4,20000000,1.5,1800,100
2,20,{lr},1.5,{loss},{best},0.25,0.2,15000000,2,1800,200
3,30,{lr},1,{loss},60,0.125,0.1,12500000,2.4,1800,300
"""
STAMP = "2026-01-02T03:04:05+0100 "


MARK = "# The accuracies of this run are shares from 0 to 1.\n"  # without it they are per cent, as in METRICS
SHARES = METRICS.replace(",50,", ",0.5,").replace(",60,", ",0.6,")


def plant(box, name, end, conv="conv", lr="0.1", best="70", loss="0.5", interval="60", metrics=METRICS):
    box.write(f"runs/{name}/config.ini", MARK * (",0.6," in metrics) + CONFIG.format(name=name, conv=conv, lr=lr, interval=interval))
    box.write(f"runs/{name}/log.txt", STAMP + "run directory\n" + STAMP + end + "\n")
    if metrics:
        box.write(f"runs/{name}/metrics.csv", metrics.format(lr=lr, best=best, loss=loss))


def many(box):
    plant(box, "a", "done: best val_accuracy 70 after epoch 2")
    plant(box, "b", "stopped at epoch 4, step 35: received SIGUSR1; continue with --resume", conv="cg_conv", best="0.905",
          metrics=SHARES)
    plant(box, "deep/c", "error: training diverged at epoch 4, step 31: loss is nan", lr="0.10", best="80", interval="1")
    plant(box, "d", "epoch 3, lr 0.2", lr="0.2", metrics="")


def states_and_values():
    with Sandbox() as box:
        many(box)
        box.write("runs/notes/readme.txt", "no run")
        os.symlink(".", box.at("runs/again"))
        rows = {row["run"]: row for row in csv.DictReader(io.StringIO(box.ok("sluice-runs", "runs", "--csv").out))}
        expect(list(rows) == ["runs/a", "runs/b", "runs/d", "runs/deep/c"], f"runs: {list(rows)}")
        expect([row["state"] for row in rows.values()] == ["finished", "stopped", "killed", "failed"], f"states: {rows}")
        expect(rows["runs/a"] == {"run": "runs/a", "state": "finished", "layer.*.type": "conv", "optimizer.lr": "0.1", "epochs": "3",
                                  "epochs_wanted": "4", "best_epoch": "2", "val_accuracy": "0.7", "val_loss": "0.5",
                                  "val_gate_density": "0.25", "val_macs_executed": "1.5e+07", "val_flop_reduction": "2",
                                  "split": "validation", "images": "", "hours": "1.5", "images_per_second": "300"},
               f"runs/a: {rows['runs/a']}")
        expect(rows["runs/b"]["layer.*.type"] == "cg_conv" and rows["runs/b"]["val_accuracy"] == "0.905", f"runs/b: {rows['runs/b']}")
        expect(rows["runs/d"]["epochs"] == "0" and rows["runs/d"]["val_accuracy"] == "", f"runs/d: {rows['runs/d']}")
        objects = json.loads(box.ok("sluice-runs", "runs", "--json").out)
        expect([list(map(str, o)) for o in objects] == [list(rows["runs/a"])] * 4, f"--json: {objects}")
        expect(objects[2]["val_accuracy"] is None and objects[1]["val_accuracy"] == 0.905, f"--json: {objects}")
        # The lock of a living process.
        with open(box.at("runs/d/.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads(box.ok("sluice-runs", "runs/d", "--json").out)[0]["state"]
            expect(state == "running", f"with a lock: {state}")


def tables():
    with Sandbox() as box:
        many(box)
        reason = "runs/deep/c: training diverged at epoch 4, step 31: loss is nan\n"
        stopped = "runs/b: stopped at epoch 4, step 35: received SIGUSR1; continue with --resume\n"
        wide = box.ok("sluice-runs", "runs").out
        expect(wide == """\
metrics: of the best epoch, on validation images
run          state     epochs  best at  accuracy    loss  density  multiply-adds    cost    time  images/s     type    lr
runs/a       finished     3/4        2   70.00 %  0.5000   25.0 %        15.00 M  50.0 %  1.50 h       300     conv   0.1
runs/b       stopped      3/4        2   90.50 %  0.5000   25.0 %        15.00 M  50.0 %  1.50 h       300  cg_conv   0.1
runs/d       killed       0/4                                                              0.0 s               conv   0.2
runs/deep/c  failed       3/4        2   80.00 %  0.5000   25.0 %        15.00 M  50.0 %  1.50 h       300     conv  0.10
""" + stopped + reason, f"without a terminal:\n{wide}")
        for width in (60, 80, 100):
            lines = box.ok("sluice-runs", "runs", env={"COLUMNS": str(width)}).out.splitlines()
            expect(lines[6] == "run: runs/*" and lines[7].startswith("no room for: ") and all(len(line) <= width for line in lines[:7]),
                   f"{width} columns:\n" + "\n".join(lines))
            titles = {"run", "state", "accuracy", "lr", "density", "cost", "loss"} | ({"time"} if width > 60 else set())
            expect(titles <= set(lines[1].split()), f"{width} columns: {lines[1]}")
        text = box.ok("sluice-runs", "runs", "--filter=state!=killed", "--filter", "val_accuracy>=0.8", "--sort=-val_accuracy",
                      "--markdown").out
        expect([line.split(" | ")[0] for line in text.splitlines()[2:]] == ["| run", "| ---", "| runs/b", "| runs/deep/c"],
               f"--markdown, sorted and filtered:\n{text}")
        order = [o["run"] for o in json.loads(box.ok("sluice-runs", "runs", "--json", "--sort=val_accuracy").out)]
        expect(order == ["runs/a", "runs/deep/c", "runs/b", "runs/d"], f"--sort=val_accuracy: {order}")
        # Titles of the table are names of columns, too.
        for sort in (["--sort=-accuracy"], ["--sort", "-accuracy"], ["--sort=-val_accuracy"]):
            order = [line.split()[0] for line in box.ok("sluice-runs", "runs", *sort).out.splitlines()[2:6]]
            expect(order == ["runs/b", "runs/deep/c", "runs/a", "runs/d"], f"{sort}: {order}")
        order = [o["run"] for o in json.loads(box.ok("sluice-runs", "runs", "--json", "--sort=lr", "--filter=time>0").out)]
        expect(order == ["runs/a", "runs/b", "runs/deep/c"], f"--sort=lr: {order}")


def conditions():
    """By titles numbers are those that people see; by names those of files; keys that all runs agree about are columns too."""
    with Sandbox() as box:
        plant(box, "a", "done: best val_accuracy 0.7 after epoch 2", metrics=SHARES.replace(",2,1800", ",1.25,1800"), best="0.7")
        plant(box, "b", "done: best val_accuracy 0.9 after epoch 2", metrics=SHARES, best="0.9")
        plant(box, "c", "done: best val_accuracy 0.8 after epoch 2", metrics=SHARES.replace(",2,1800", ",4,1800"), best="0.8")

        def found(*arguments):
            return "".join(o["run"][-1] for o in json.loads(box.ok("sluice-runs", "runs", "--json", *arguments).out))

        for arguments, wanted in [(["--sort=cost"], "cba"), (["--sort=-cost"], "abc"), (["--sort=val_flop_reduction"], "abc"),
                                  (["--filter=cost<0.6"], "bc"), (["--filter=cost<=50%"], "bc"), (["--filter=val_flop_reduction>3"], "c"),
                                  (["--filter=accuracy>75%"], "bc"), (["--filter=accuracy>0.75"], "bc"), (["--filter=accuracy=80 %"], "c"),
                                  (["--filter=multiply-adds>14M"], "abc"), (["--filter=time>1h"], "abc"), (["--filter=time<5400"], ""),
                                  (["--filter=hours>1"], "abc"), (["--filter=optimizer.lr=0.10"], "abc"),
                                  (["--filter=optimizer.lr!=0.1"], ""), (["--sort=-optimizer.lr"], "abc")]:
            expect(found(*arguments) == wanted, f"{arguments}: {found(*arguments)}, wanted {wanted}")
        nothing = box.ok("sluice-runs", "runs", "--filter=state=Finished")
        expect(nothing.err == "note: none of 3 runs is what --filter asks for\n", f"nothing found: {nothing}")


def closed_folders():
    """What may not be read is no killed run, and no folder without runs."""
    def as_nobody():
        if os.geteuid() == 0:
            os.setuid(65534)

    with Sandbox() as box:
        plant(box, "a", "done: best")
        plant(box, "b/inner", "done: best")
        plant(box, "c", "done: best", lr="0.3")
        os.chmod(box.at("."), 0o755)
        os.chmod(box.at("runs/b"), 0)
        os.chmod(box.at("runs/c/config.ini"), 0)
        result = box.run("sluice-runs", "runs", prepare=as_nobody)
        lines = result.out.splitlines()
        expect(result.code == 0 and result.err == "warning: runs/b: cannot be looked into: Permission denied; it is left out\n" and
               lines[3].startswith("runs/c  unreadable") and "lr" not in lines[1] and
               lines[4].startswith("runs/c/config.ini: cannot read: Permission denied"), f"closed folders: {result}")
        result = box.run("sluice-runs", "runs/b", prepare=as_nobody)
        expect((result.code, result.err) == (6, "sluice-runs: runs/b: cannot be looked into: Permission denied\n"), f"a closed one: {result}")
        os.chmod(box.at("runs/b"), 0o755)


def refused_starts():
    """A start that was refused changed nothing: what a run was before it is so still."""
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        for _ in range(2):
            refused = box.run("sluice-train", "net.ini", "--resume", "--optimizer.lr=0.7")
            expect(refused.code == 2, f"another learning rate: {refused}")
        row = json.loads(box.ok("sluice-runs", "run", "--json").out)[0]
        expect(row["state"] == "finished", f"after refused starts: {row}")
        plant(box, "b", "stopped at epoch 4, step 35: received SIGUSR1; continue with --resume\n" + STAMP + "run directory runs/b\n" + STAMP
              + "refused: runs/b: holds a run of another configuration")
        text = box.ok("sluice-runs", "runs").out
        expect(text.splitlines()[-1] == "runs/b: holds a run of another configuration" and " failed " in text, f"of an unfinished one: {text}")


def dense_runs():
    """A run without gates executes all of its multiply-adds; what came of runs outlasts the settings that differ least."""
    dense = "\n".join(",".join(value for i, value in enumerate(row.split(",")) if i not in (6, 7, 9)) for row in METRICS.splitlines()) + "\n"
    with Sandbox() as box:
        plant(box, "gated", "done: best", conv="cg_conv", lr="0.1")
        plant(box, "dense", "done: best", lr="0.2", best="71", loss="0.25", metrics=dense)
        box.write("runs/dense/config.ini", box.text("runs/dense/config.ini").replace("epochs = 4", "epochs = 40"))
        by_run = {row["run"]: row for row in json.loads(box.ok("sluice-runs", "runs", "--json").out)}
        expect([by_run[f"runs/{run}"]["val_flop_reduction"] for run in ("gated", "dense")] == [2, 1], f"cost: {by_run}")
        expect(by_run["runs/dense"]["val_gate_density"] is None, f"density: {by_run}")
        lines = box.ok("sluice-runs", "runs", env={"COLUMNS": "58"}).out.splitlines()
        titles = next(line for line in lines if line.startswith("run "))
        expect({"accuracy", "loss", "density", "cost"} <= set(titles.split()) and "train.epochs" not in titles.split(), f"{lines}")
        row = next(line for line in lines if line.startswith("dense "))
        expect("100.0 %" in row, row)


def different_kinds():
    """What is the same in all runs is said once; what came of them has room, and of what differs what differs most."""
    with Sandbox() as box:
        for number in range(3):
            plant(box, f"cifar10_resnet20_target-{number}", "done: best", lr=f"0.{number + 1}", best=f"7{number}", loss=f"0.{number}")
            keys = "".join(f"[gating_loss]\nkey_of_a_long_name_{i} = {number}\n" if i == 0 else f"key_of_a_long_name_{i} = {number}\n"
                           for i in range(12))
            box.write(f"runs/cifar10_resnet20_target-{number}/config.ini",
                      box.text(f"runs/cifar10_resnet20_target-{number}/config.ini") + keys)
        for width in (60, 80, 200):
            lines = box.ok("sluice-runs", "runs", env={"COLUMNS": str(width)}).out.splitlines()
            at = next(i for i, line in enumerate(lines) if line.startswith("run "))
            same = " ".join(line.strip() for line in lines[1:at])
            expect(same == "all runs: state finished, epochs 3/4, best at 2, density 25.0 %, multiply-adds 15.00 M, cost 50.0 %, "
                   "time 1.50 h, images/s 300", f"{width} columns: {same}")
            expect({"run", "accuracy", "loss", "lr"} <= set(lines[at].split()), f"{width} columns: {lines[at]}")
            expect(len({line.split()[0] for line in lines[at + 1:at + 4]}) == 3, f"names at {width} columns: {lines}")
            expect(width == 200 or re.fullmatch(r"no room for: .* and \d+ more", lines[-1]) and len(lines[-1]) <= width,
                   f"{width} columns: {lines[at + 4:]}")
        whole = box.ok("sluice-runs", "runs").out
        expect("all runs" not in whole and whole.count("finished") == 3, f"a pipe gets whole columns:\n{whole}")


def long_values():
    """Their middle makes way, and they stay different."""
    with Sandbox() as box:
        front, back = "a note about the run that is much too long", "with an end that is long as well"
        for number in range(2):
            plant(box, f"run{number}", "done: best", best=f"7{number}", loss=f"0.{number}")
            box.write(f"runs/run{number}/config.ini", box.text(f"runs/run{number}/config.ini") + f"[own]\nnote = {front} {number} {back}\n")
        for width in (60, 80):
            lines = box.ok("sluice-runs", "runs", env={"COLUMNS": str(width)}).out.splitlines()
            at = next(i for i, line in enumerate(lines) if line.startswith("run "))
            notes = [re.search(r"\S*[a-z ]*\.\.\.[a-z 0-9]*$", line) for line in lines[at + 1:at + 3]]
            expect("note" in lines[at].split() and all(notes) and notes[0][0] != notes[1][0], f"{width} columns: {lines}")
            expect(all(len(line) <= width for line in lines), f"{width} columns: {lines}")
        expect(f"{front} 0 {back}\n" in box.ok("sluice-runs", "runs").out, "a pipe gets whole values")


def said_once():
    """No metric beside its complement, no two columns of one name."""
    with Sandbox() as box:
        more = ["val_sparsity", "0.5", "0.75", "0.875"]
        for name in ("a", "b"):
            plant(box, name, "done: best", metrics="".join(f"{line},{cell}\n" for line, cell in zip(METRICS.splitlines(), more)))
        box.write("runs/b/config.ini", box.text("runs/b/config.ini").replace("epochs = 4", "epochs = 5"))
        titles = box.ok("sluice-runs", "runs").out.splitlines()[1].split()
        expect("train.epochs" in titles and titles.count("epochs") == 1 and "sparsity" not in titles, f"titles: {titles}")
        expect("val_sparsity" in box.ok("sluice-runs", "runs", "--csv").out, "--csv lacks a metric")


def hostile():
    """What strangers' run directories hold is shown as text, or said to be unreadable; nothing else is opened."""
    with Sandbox() as box:
        many(box)
        plant(box, "e", "error: \x1b[2Jgone")
        box.write("runs/f/config.ini", "include = /etc/passwd\n")
        box.write("runs/f/log.txt", "")
        box.write("runs/g/config.ini", CONFIG.format(name="g", conv="${env:HOME}", lr="1", interval="1"))
        box.write("runs/g/log.txt", "")
        plant(box, "h", "done: best", metrics='epoch,"val_accuracy\n1,1e999\n"""\n,,,,,,,,\nnan,x\n')
        out = box.ok("sluice-runs", "runs").out
        expect("\x1b" not in out and "runs/e: \\x1b[2Jgone" in out, f"escapes:\n{out}")
        expect("passwd" not in out.replace("'include = /etc/passwd'", ""), f"an include was followed:\n{out}")
        states = {o["run"]: o["state"] for o in json.loads(box.ok("sluice-runs", "runs", "--json").out)}
        expect(states["runs/f"] == states["runs/g"] == "unreadable" and states["runs/h"] == "finished", f"states: {states}")


def a_real_run():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        box.ok("sluice-train", "net.ini", "--run.dir=other", "--train.batch=4")
        rows = json.loads(box.ok("sluice-runs", "run", "other/", "--json").out)
        with open(box.at("run/metrics.csv"), encoding="utf-8") as file:
            metrics = list(csv.DictReader(file))
        best = max(metrics, key=lambda row: float(row["val_accuracy"]))
        expect([row["run"] for row in rows] == ["run", "other"] and [row["train.batch"] for row in rows] == [8, 4], f"runs: {rows}")
        expect(set(rows[0]) == {"run", "state", "train.batch", "epochs", "epochs_wanted", "best_epoch", "val_accuracy", "val_loss",
                                "val_macs_executed", "split", "images", "hours", "images_per_second"}, f"columns: {list(rows[0])}")
        # The images by which the best epochs were chosen, where all runs have as many.
        expect((rows[0]["split"], rows[0]["images"]) == ("validation", 8), f"images: {rows[0]}")
        title = box.ok("sluice-runs", "run", "other/").out.splitlines()[0]
        expect(title == "metrics: of the best epoch, on 8 validation images", f"a title: {title}")
        box.ok("sluice-train", "net.ini", "--run.dir=third", "--data.validation=0")
        title = box.ok("sluice-runs", "third").out.splitlines()[0]
        expect(title == "metrics: of the best epoch, on test images", f"a title: {title}")
        expect(box.ok("sluice-runs", ".").out.startswith("run "), "metrics of two sets have one title")
        expect(rows[0]["state"] == "finished" and rows[0]["val_accuracy"] == float(best["val_accuracy"])
               and rows[0]["best_epoch"] == float(best["epoch"]), f"the best epoch: {rows[0]}, {best}")


BAD = [
    Case("runs: nothing named", "sluice-runs", 2, "command line: expected a directory with runs; see sluice-runs --help"),
    Case("runs: no run", "sluice-runs .", 2, ".: no run of sluice-train lies here, nor in folders below it"),
    Case("runs: no folder", "sluice-runs nowhere", 2, "nowhere: no such folder; expected one of runs of sluice-train"),
    Case("runs: an override", "sluice-runs . --train.epochs=3", 2, "command line: there is nothing to configure: --train.epochs=3"),
    Case("runs: two formats", "sluice-runs . --csv --json", 2, "command line: --csv and --json exclude each other"),
    Case("runs: a wrong column", "sluice-runs runs --sort=val_accurcy", 2,
         "command line: --sort: no column 'val_accurcy'; did you mean 'val_accuracy'?", make=many),
    Case("runs: a wrong condition", "sluice-runs runs --filter=finished", 2,
         "command line: --filter: expected a condition such as state=finished or hours>2, got 'finished'", make=many),
    Case("runs: no number", "sluice-runs runs --filter=accuracy>abc", 2,
         "command line: --filter: expected a number such as 0.95, 95%, 10M or 1h30m behind '>', got 'abc'", make=many),
    Case("runs: more than a share", "sluice-runs runs --filter=accuracy>90", 2,
         "command line: --filter: accuracy is a share: expected 0 to 1, or per cent, got '90'; did you mean 90%?", make=many),
    Case("runs: a wrong relation", "sluice-runs runs --filter=hours=>2", 2,
         "command line: --filter: expected a condition such as state=finished or hours>2, got 'hours=>2'", make=many),
]

if __name__ == "__main__":
    for test in (states_and_values, tables, conditions, closed_folders, refused_starts, dense_runs, different_kinds, long_values, said_once, hostile, a_real_run):
        test()
    run_table(BAD, 8, len(failures))
