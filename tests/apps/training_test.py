"""What a training can be told beyond its network: steps in parts, and the accuracy among the best answers."""
import csv
import io
import json
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
        expect(f"top 2       {100 * found / len(lines):.2f} %" in text, text)
        plain = json.loads(box.ok("sluice-eval", "run/weights.h5", "--json", "--eval.top_k=0").out)
        expect(not any(key.startswith("top") for key in plain), f"{plain.keys()}")


if __name__ == "__main__":
    parts_give_the_step_of_the_whole()
    accuracy_among_the_best_answers()
    sys.exit(1 if failures else 0)
