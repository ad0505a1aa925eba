"""Learning from a teacher: the figures that training reports against the formula, computed here from both networks' answers."""
import csv
import math
import os
import re
import shutil
import sys

from harness import NET, TOOLS, Sandbox

# No batch normalisation: its answers in the first step are those of an evaluation.
STUDENT = NET.replace("[layer.bn]\ntype = batchnorm\n", "").replace("batch = 8", "batch = 48").replace("epochs = 2", "epochs = 1")
# Wider, with batch normalisation, another normalisation of its images, and a layer that only a plug-in knows.
TEACHER = NET.replace("channels = 4", "channels = 6").replace("mean = 0.5", "mean = 0.4").replace("std = 0.25", "std = 0.3") \
    .replace("[layer.pool]", "[layer.gate]\ntype = test_gate\n[layer.pool]").replace("dir = run", "dir = teacher") \
    .replace("epochs = 2", "epochs = 6")
PLUGIN = f"--plugins.load={TOOLS}/plugin_gate.so"
LEARN = ["--distillation.teacher=teacher/weights.h5", PLUGIN]

failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def sandbox():
    box = Sandbox()
    box.write("net.ini", STUDENT)
    box.write("teacher.ini", TEACHER)
    box.ok("sluice-train", "teacher.ini", PLUGIN)
    return box


def rows(box, run="run"):
    return list(csv.DictReader(box.text(run + "/metrics.csv").splitlines()))


def answers(box, checkpoint, *arguments):
    """index -> (label, logits) of the images that were trained on."""
    box.ok("sluice-eval", checkpoint, "--split=train", "--predictions=p.csv", *arguments)
    return {int(row["index"]): (int(row["label"]), [float(row[f"logit_{c}"]) for c in range(3)])
            for row in csv.DictReader(box.text("p.csv").splitlines())}


def softmax(logits, temperature=1.0):
    top = max(logits)
    powers = [math.exp((x - top) / temperature) for x in logits]
    return [power / sum(powers) for power in powers]


def formula(student, teacher, smoothing, temperature):
    """Plain cross entropy, the smoothed one, T^2 KL: means over the images."""
    plain = smoothed = divergence = 0.0
    for index, (label, logits) in student.items():
        p, u, v = softmax(logits), softmax(teacher[index][1], temperature), softmax(logits, temperature)
        plain -= math.log(p[label])
        smoothed -= (1 - smoothing) * math.log(p[label]) + smoothing / 3 * sum(map(math.log, p))
        divergence += temperature ** 2 * sum(a * math.log(a / b) for a, b in zip(u, v))
    return plain / len(student), smoothed / len(student), divergence / len(student)


def figures():
    """The first step's loss, before weights have moved, is (1 - w) CE + w T^2 KL; both parts are told separately."""
    with sandbox() as box:
        teacher = answers(box, "teacher/weights.h5", PLUGIN)
        for smoothing, weight, temperature in [(0, 0.5, 4), (0.1, 0.9, 2), (0.2, 1, 1)]:
            run = f"run{temperature}"
            out = box.ok("sluice-train", "net.ini", *LEARN, f"--run.dir={run}", "--optimizer.lr=1e-12",
                         f"--layer.loss.label_smoothing={smoothing}", f"--distillation.weight={weight}",
                         f"--distillation.temperature={temperature}").out
            expect(f"learns from teacher/weights.h5 with weight {weight} at temperature {temperature}\n" in out, out)
            student = answers(box, f"{run}/weights.h5", PLUGIN)
            expect(len(student) == 48 and student.keys() == teacher.keys(), f"{len(student)} images")
            plain, smoothed, divergence = formula(student, teacher, smoothing, temperature)
            row = {key: float(value) for key, value in rows(box, run)[0].items()}
            wanted = {"train_cross_entropy": plain, "distillation_loss": divergence,
                      "train_loss": (1 - weight) * smoothed + weight * divergence}
            for key, value in wanted.items():
                expect(abs(row[key] - value) <= 2e-5 * (1 + value), f"{smoothing}, {weight}, {temperature}: {key} is "
                                                                     f"{row[key]}, by the formula {value}")
            expect(divergence > 1e-3, f"a teacher that says nothing else: {divergence}")


def several():
    """Of several teachers, each in its own normalisation, the mean of the logits teaches."""
    with sandbox() as box:
        box.ok("sluice-train", "net.ini", "--run.dir=second", "--run.seed=2", "--train.epochs=4")
        first, second = answers(box, "teacher/weights.h5", PLUGIN), answers(box, "second/weights.h5")
        mean = {index: (label, [(a + b) / 2 for a, b in zip(logits, second[index][1])])
                for index, (label, logits) in first.items()}
        command = ["sluice-train", "net.ini", PLUGIN, "--distillation.teacher=teacher/weights.h5, second/weights.h5",
                   "--distillation.weight=0.5", "--distillation.temperature=2", "--optimizer.lr=1e-12"]
        box.ok(*command)
        divergence = formula(answers(box, "run/weights.h5", PLUGIN), mean, 0, 2)[2]
        found = float(rows(box)[0]["distillation_loss"])
        expect(abs(found - divergence) <= 2e-5 * (1 + divergence), f"two teachers: {found}, by the formula {divergence}")
        os.replace(box.at("second/weights.h5"), box.at("moved.h5"))
        result = box.run(*command, "--resume")
        expect(result.code == 5 and "second/weights.h5" in result.err, f"without the second teacher: {result}")


def learning():
    """A student of weight 1 comes to answer as its teacher does; evaluation needs no teacher."""
    with sandbox() as box:
        box.ok("sluice-train", "net.ini", *LEARN, "--train.epochs=60", "--train.batch=8", "--optimizer.lr=0.05",
               "--distillation.weight=1", "--distillation.temperature=2", "--early_stopping.metric=distillation_loss")
        found = [float(row["distillation_loss"]) for row in rows(box)]
        expect(found[-1] < 0.5 * found[0], f"learning: {found[0]} -> {found[-1]}")
        box.ok("sluice-bench", "run/weights.h5", "--steps=1", "--only=infer", PLUGIN)
        shutil.rmtree(box.at("teacher"))
        box.ok("sluice-eval", "run/weights.h5", PLUGIN)
        result = box.run("sluice-train", "net.ini", *LEARN, "--distillation.weight=1", "--resume")
        expect(result.code == 5 and re.fullmatch(r"sluice-train: command line: \[distillation\] teacher: teacher/weights.h5: .*No such "
                                                   r"file or directory\n", result.err),
               f"resumed without its teacher: {result.code} {result.err}")
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        columns = rows(box)[0]
        expect("distillation_loss" not in columns and "train_cross_entropy" not in columns, f"without a teacher: {columns}")


def plugins():
    """A teacher's checkpoint loads no code: its plug-ins must be those of the run."""
    with sandbox() as box:
        result = box.run("sluice-train", "net.ini", "--distillation.teacher=teacher/weights.h5", "--distillation.weight=1")
        expect(result.code == 2 and re.fullmatch(
            r"sluice-train: command line: \[distillation\] teacher: teacher/weights.h5: \[layer\.gate\] type: unknown layer "
            r"type 'test_gate'.*; the network was made with plug-ins \(.*plugin_gate\.so\): load them first \(plugins\.load\)\n", result.err),
            f"a teacher's plug-in: {result}")
        out = box.ok("sluice-train", "net.ini", *LEARN, "--distillation.weight=1", "--dry-run")
        expect(out.err == "", f"--dry-run: {out.err}")
        out = box.ok("sluice-train", "net.ini", PLUGIN, "--distillation.teacher=no.h5", "--distillation.weight=1", "--dry-run")
        expect(out.err == "warning: training cannot start: command line: [distillation] teacher: no.h5: cannot open: No such file or directory\n", out.err)


def another_teacher():
    """A teacher whose contents have changed is another one; where its file lies does not matter."""
    with sandbox() as box:
        command = ["sluice-train", "net.ini", *LEARN, "--distillation.weight=0.5"]
        box.ok(*command)
        out = box.ok(*command, "--resume", "--train.epochs=2").out
        expect("is not the one" not in out, f"the same teacher: {out}")
        box.ok("sluice-train", "teacher.ini", PLUGIN, "--run.dir=other", "--run.seed=2")
        os.replace(box.at("teacher/weights.h5"), box.at("moved.h5"))
        os.replace(box.at("other/weights.h5"), box.at("teacher/weights.h5"))
        result = box.run(*command, "--resume", "--train.epochs=3")
        match = re.fullmatch(r"sluice-train: run: holds a run of another configuration \(\[train\] epochs: 2 -> 3; \[distillation\] "
                             r"weights of teacher: (\w{32}) -> (\w{32})\); choose another run.dir; or --accept-changes goes on with "
                             r"them from here\n", result.err)
        expect(result.code == 2 and match and match[1] != match[2], f"another teacher: {result}")
        box.ok(*command, "--distillation.teacher=moved.h5", "--resume", "--train.epochs=3")


if __name__ == "__main__":
    for part in [figures, several, learning, plugins, another_teacher]:
        part()
    sys.exit(1 if failures else 0)
