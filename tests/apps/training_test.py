"""What a training can be told beyond its network: steps in parts, and the accuracy among the best answers."""
import csv
import io
import json
import re
import sys

from harness import NET, Sandbox

# Without batch normalisation a step does not depend on the parts that it is computed in.
PLAIN_NET = NET.replace("[layer.bn]\ntype = batchnorm\n", "")
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def rows(box, run="run"):
    return list(csv.DictReader(io.StringIO(box.text(run + "/metrics.csv"))))


def parts_give_the_step_of_the_whole():
    with Sandbox() as box:
        box.write("net.ini", PLAIN_NET)
        box.ok("sluice-train", "net.ini", "--run.dir=whole")
        box.ok("sluice-train", "net.ini", "--run.dir=parts", "--train.accumulate=4")
        for ours, theirs in zip(rows(box, "parts"), rows(box, "whole")):
            for column in ("train_loss", "val_loss", "gradient_norm", "lr"):
                a, b = float(ours[column]), float(theirs[column])
                expect(abs(a - b) <= 1e-4 * abs(b), f"{column}: {a} in parts, {b} as a whole")
            expect(ours["step"] == theirs["step"] and ours["train_accuracy"] == theirs["train_accuracy"], f"{ours} {theirs}")
        refused = box.run("sluice-train", "net.ini", "--run.dir=bad", "--train.accumulate=3")
        expect(refused.code == 2 and "accumulate: expected a number that divides the batch of 8, got 3" in refused.err,
               refused.err)


def accuracy_among_the_best_answers():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini", "--eval.top_k=2", "--early_stopping.metric=val_top2_accuracy")
        last = rows(box)[-1]
        expect(float(last["val_top2_accuracy"]) >= float(last["val_accuracy"]), f"{last}")
        box.ok("sluice-eval", "run/weights.h5", "--predictions=p.csv", "--json")
        lines = list(csv.DictReader(io.StringIO(box.text("p.csv"))))
        found = 0
        for line in lines:
            logits = [float(line[f"logit_{c}"]) for c in range(3)]
            found += sorted(range(3), key=lambda c: -logits[c]).index(int(line["label"])) < 2
        for k, share in ((2, found / len(lines)), (3, 1.0), (7, 1.0)):
            report = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", f"--eval.top_k={k}").out)
            expect(abs(report[f"top{k}_accuracy"] - share) < 1e-12, f"top {k}: {report[f'top{k}_accuracy']}, counted {share}")
        best = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", "--eval.top_k=1").out)
        expect(best["top1_accuracy"] == best["accuracy"], "the best answer")
        text = box.ok("sluice-eval", "run/weights.h5").out
        expect(re.search(rf"^top 2 +{100 * found / len(lines):.2f} %$", text, re.MULTILINE), text)
        plain = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", "--eval.top_k=0").out)
        expect(not any(key.startswith("top") for key in plain), f"{plain.keys()}")


def places(box, run="run"):
    return [(row["epoch"], row["step"]) for row in rows(box, run)]


def evaluations_within_epochs():
    """Six steps an epoch: also behind steps 4 and 8. Step 12 ends the second epoch, and is evaluated once."""
    with Sandbox() as box:
        bests = set()
        for goal in ("min", "max"):
            result = box.ok("sluice-train", "net.ini", f"--run.dir={goal}", "--train.evaluate_every_steps=4",
                            "--early_stopping.metric=val_loss", f"--early_stopping.goal={goal}")
            expect(places(box, goal) == [("0.666667", "4"), ("1", "6"), ("1.333333", "8"), ("2", "12")], f"{places(box, goal)}")
            for row in rows(box, goal):
                inside = "." in row["epoch"]
                expect(row["val_loss"] != "" and row["lr"] != "" and (row["train_loss"] == "") == inside, f"{goal}: {row}")
            best = (min if goal == "min" else max)(rows(box, goal), key=lambda row: float(row["val_loss"]))
            bests.add(best["step"])
            weights = box.header(f"{goal}/weights.h5")
            expect(str(weights["state"]["step"]) == best["step"], f"{goal}: {weights['state']}, best {best}")
            epoch = float(best["epoch"])
            said = f"after epoch {epoch:.3f}" if epoch % 1 else f"after epoch {epoch:.0f}"
            expect(result.out.splitlines()[-1].endswith(said), f"{goal}: {result.out}")
            expect(f"epoch {float(rows(box, goal)[0]['epoch']):.3f}/2, lr " in result.out, f"{goal}: {result.out}")
            lines = [json.loads(line) for line in box.text(goal + "/metrics.jsonl").splitlines()]
            expect([line["epoch"] for line in lines] == [0.666667, 1, 1.333333, 2] and "train_loss" not in lines[0], f"{lines}")
        expect(bests & {"4", "8"}, f"the best is never within an epoch: {bests}")
        table = json.loads(box.ok("sluice-runs", "min", "max", "--json").out)
        found = {str(row["best_epoch"]) for row in table["rows"]} if isinstance(table, dict) else {str(row["best_epoch"]) for row in table}
        expect(found & {"0.666667", "1.333333"}, f"{table}")
        plot = box.ok("sluice-inspect", box.newest("min"), "--plot").out
        expect("train_loss: last " in plot and "nan" not in plot, plot)


def early_stopping_within_an_epoch():
    """A metric that never changes: the first evaluation is the best one, and half an epoch of patience ends at step 8."""
    with Sandbox() as box:
        result = box.ok("sluice-train", "net.ini", "--train.epochs=9", "--train.evaluate_every_steps=4",
                        "--early_stopping.metric=val_macs_executed", "--early_stopping.patience=0.5")
        expect(places(box)[-1] == ("1.333333", "8"), f"{places(box)}")
        expect("(epoch 0.667) for 0.667 epochs\n" in result.out, result.out)
        state = box.header(box.newest())["state"]
        expect(state["step"] == 8 and state["batch"] == 2 and state["epoch"] == 1, f"{state}")
        before = box.tree()
        again = box.ok("sluice-train", "net.ini", "--resume", "--train.epochs=9", "--train.evaluate_every_steps=4",
                       "--early_stopping.metric=val_macs_executed", "--early_stopping.patience=0.5")
        changed = {name for name, digest in box.tree().items() if before.get(name) != digest}
        expect(changed <= {"run/log.txt", "run/.lock"}, f"{changed}: {again.out}")
        box.ok("sluice-train", "net.ini", "--resume", "--train.epochs=2", "--train.evaluate_every_steps=4",
               "--early_stopping.metric=val_macs_executed", "--early_stopping.patience=0")
        with Sandbox() as whole:
            whole.ok("sluice-train", "net.ini", "--train.evaluate_every_steps=4", "--early_stopping.metric=val_macs_executed")
            expect(places(box) == places(whole), f"{places(box)}")
            for ours, theirs in zip(rows(box), rows(whole)):
                expect(ours["val_loss"] == theirs["val_loss"] and ours["train_loss"] == theirs["train_loss"], f"{ours} {theirs}")


def averages_and_their_statistics():
    """What the weights at the end are evaluated to is what the best evaluation said, however statistics came to be."""
    with Sandbox() as box:
        losses = {}
        for batches in (0, 3):
            run = f"run{batches}"
            box.ok("sluice-train", "net.ini", f"--run.dir={run}", "--ema.decay=0.9", f"--ema.statistics_batches={batches}",
                   "--early_stopping.metric=val_loss")
            report = json.loads(box.ok("sluice-eval", run + "/weights.h5", "--split=validation", "--json").out)
            best = min(float(row["val_loss"]) for row in rows(box, run))
            expect(abs(report["loss"] - best) <= 1e-6 * best, f"{run}: {report['loss']} of the weights, {best} of the run")
            losses[batches] = best
            trained = [row["train_loss"] for row in rows(box, run)]
            losses["trained", batches] = trained
        expect(losses[0] != losses[3], f"measuring changes nothing: {losses}")
        expect(losses["trained", 0] == losses["trained", 3], f"measuring changes the training: {losses}")
        refused = box.run("sluice-train", "net.ini", "--run.dir=bad", "--ema.statistics_batches=3")
        expect(refused.code == 2 and "[ema] statistics_batches: there is no average; set ema.decay, or leave statistics_batches "
               "at 0" in refused.err, refused.err)


def gates_begin_as_the_dense_network():
    """Weights of a dense run in the form that gated layers want, and so many gates open in the first step."""
    second = "[layer.conv2]\ntype = conv\nchannels = 6\nkernel = 3\npad = 1\n[layer.bn2]\ntype = batchnorm\n[layer.relu2]\ntype = relu\n"
    gated = second.replace("type = conv\n", "type = cg_conv\npartitions = 2\nshuffle = yes\ntwo_norms = yes\n"
                           "threshold_init = density:0.9\n").replace("[layer.bn2]\ntype = batchnorm\n", "")
    with Sandbox() as box:
        box.write("dense.ini", NET.replace("[layer.pool]", second + "[layer.pool]"))
        box.write("gated.ini", NET.replace("[layer.pool]", gated + "[layer.pool]"))
        box.ok("sluice-train", "dense.ini", "--run.dir=dense")
        told = box.ok("sluice-train", "gated.ini", "--train.init=dense/weights.h5", "--train.init_partial=yes", "--train.batch=48",
                      "--train.epochs=1", "--optimizer.lr=1e-12", "--data.augment=no").out
        for line in ("starts from the weights of dense/weights.h5",
                     "  converts conv2: filters in the order of its shuffled source, both normalisations from bn2",
                     "  without weights/conv2/threshold, buffers/conv2/gate_running_mean, buffers/conv2/gate_running_var, which start anew"):
            expect(line + "\n" in told, f"no line '{line}' in {told}")
        expect("leaves out" not in told and "full_" not in told and "base_" not in told, told)
        density = float(rows(box)[-1]["gate_density"])
        expect(abs(density - 0.9) < 0.01, f"a density of {density} in the first step")
        refused = box.run("sluice-train", "gated.ini", "--train.init=dense/weights.h5", "--run.dir=bad")
        expect(refused.code == 5 and "lacks 3 of the network's tensors and has 0 others, weights/conv2/threshold for one" in
               refused.err, refused.err)


if __name__ == "__main__":
    gates_begin_as_the_dense_network()
    parts_give_the_step_of_the_whole()
    evaluations_within_epochs()
    early_stopping_within_an_epoch()
    averages_and_their_statistics()
    accuracy_among_the_best_answers()
    sys.exit(1 if failures else 0)
