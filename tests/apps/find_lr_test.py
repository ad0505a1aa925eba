"""sluice-train --find-lr: what it prints and writes, where it stops, and that it leaves runs alone."""
import csv
import io
import re
import signal
import sys

from harness import Paced, Sandbox

failures = []
EASY = ["--data.synthetic_size=488", "--optimizer.momentum=0.9"]
USAGE = [
    (["--lr-steps=50"], "--lr-steps goes with --find-lr"),
    (["--lr-range=1:2"], "--lr-range goes with --find-lr"),
    (["-o", "x.csv"], "--output goes with --find-lr"),
    (["--find-lr", "--resume"], "--find-lr and --resume exclude each other"),
    (["--find-lr", "--dry-run"], "--find-lr and --dry-run exclude each other"),
    (["--find-lr", "--lr-steps=19"], "--lr-steps: expected an integer from 20 to 100000, got '19'"),
    (["--find-lr", "--lr-steps=ten"], "--lr-steps: expected an integer from 20 to 100000, got 'ten'"),
    *(([f"--find-lr", f"--lr-range={text}"],
       f"--lr-range: expected two rates above 0, the smaller one first, such as 1e-6:10, got '{text}'")
      for text in ("1", "1:", ":1", "0:1", "-1:1", "2:1", "1:1", "1:inf", "nan:1", "1:2:3")),
]


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def suggestion_of(out):
    found = re.search(r"^suggestion: optimizer.lr = (\S+), where the loss falls steepest; averaged over a tenth of the sweep it is "
                      r"lowest at (\S+)$", out, re.MULTILINE)
    return (float(found[1]), float(found[2])) if found else None


def finds_a_rate():
    with Sandbox() as box:
        before = box.tree()
        first = box.ok("sluice-train", "net.ini", *EASY, "--find-lr", "-o", "lr.csv")
        expect({name for name in box.tree() if name not in before} == {"lr.csv"}, f"{box.tree().keys()}")
        expect(first.out.startswith("learning rates 1e-06 to 10 in 300 steps of 8 images"), first.out)
        rate, lowest = suggestion_of(first.out)
        expect(1e-4 < rate <= lowest <= 10, f"{rate}, lowest at {lowest}")
        expect("⣀" in first.out or "⠤" in first.out or "⠒" in first.out, first.out)
        mark = [line for line in first.out.splitlines() if "^" in line]
        expect(len(mark) == 1 and f"{rate:.2g}" in mark[0], f"{mark}")
        expect(all(len(line) <= 80 for line in first.out.splitlines()[1:-1]), first.out)
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(io.StringIO(box.text("lr.csv")))]
        expect(list(rows[0]) == ["lr", "loss", "smoothed"] and abs(rows[0]["lr"] - 1e-6) < 1e-12, f"{rows[0]}")
        factor = 1e7 ** (1 / 299)
        expect(len(rows) > 200 and all(abs(b["lr"] / a["lr"] - factor) < 1e-4 for a, b in zip(rows, rows[1:])), f"{len(rows)} rows")
        again = box.ok("sluice-train", "net.ini", *EASY, "--find-lr")
        expect(again.out == first.out, "two sweeps differ")
        # It is the training that follows: the first step's loss is that of the run's first step.
        box.ok("sluice-train", "net.ini", "--data.synthetic_size=16", "--train.epochs=1", "--data.validation=8")
        single = box.ok("sluice-train", "net.ini", "--data.synthetic_size=16", "--data.validation=8", "--find-lr", "--lr-steps=20",
                        "-o", "one.csv")
        loss = float(box.text("one.csv").splitlines()[1].split(",")[1])
        trained = float(list(csv.DictReader(io.StringIO(box.text("run/metrics.csv"))))[0]["train_loss"])
        expect(abs(loss - trained) <= 1e-6 * trained, f"first loss {loss}, of the run {trained}: {single.out}")


def leaves_runs_alone():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        before = box.tree()
        box.ok("sluice-train", "net.ini", "--find-lr", "--lr-steps=30")
        expect(box.tree() == before, "the run directory changed")


def stops_where_it_diverges():
    with Sandbox() as box:
        out = box.ok("sluice-train", "net.ini", *EASY, "--find-lr", "--lr-range=1e-3:1e30", "-o", "lr.csv").out
        ended = re.search(r"; ended at (\S+): the loss is not finite, or four times its lowest\n", out)
        expect(ended is not None, out)
        rows = list(csv.DictReader(io.StringIO(box.text("lr.csv"))))
        expect(len(rows) < 300 and abs(float(rows[-1]["lr"]) / float(ended[1]) - 1) < 0.06, f"{len(rows)} rows, {ended[1]}")


def suggests_nothing_of_what_does_not_fall():
    with Sandbox() as box:
        means = r"averaged over a tenth of the sweep,? %s from \d+\.\d{4} to \d+\.\d{4}, "
        fell = "no suggestion: the loss, " + means % "falls" + r"but it may do so by chance: means differ by up to \d\.\d{4}; try more "
        never = "no suggestion: the loss never falls: " + means % "it goes" + "which is not below 95 %, and "
        all_images = "--train.batch=48"
        for limits, batch, reason in (("1e-12:1e-11", "--train.batch=8", fell + "--lr-steps or a larger train.batch"),
                                      ("1e-12:1e-11", all_images, never + "does not rise either; try a --lr-range that goes further"),
                                      ("3:1e9", all_images, never + "then rises; try a --lr-range that begins lower, or more --lr-steps"),
                                      ("1e20:1e30", all_images, "no suggestion: the sweep ended after [1-4] of 40 steps, before there was a mean "
                                       "over a tenth of it; try a --lr-range that begins lower")):
            out = box.ok("sluice-train", "net.ini", "--find-lr", f"--lr-range={limits}", "--lr-steps=40", batch).out
            expect(re.search(reason + "\n$", out), f"{limits} {batch}: {out}")
            expect("^" not in out, out)


def cuts_what_diverges():
    """A loss that explodes leaves the rest of the curve to see."""
    with Sandbox() as box:
        out = box.ok("sluice-train", "net.ini", *EASY, "--find-lr", "--lr-range=1e-3:1e30", "-o", "lr.csv").out
        rows = list(csv.DictReader(io.StringIO(box.text("lr.csv"))))
        losses, half = [float(row["loss"]) for row in rows], 15  # of a span of a tenth of 300 steps
        means = [sum(losses[i - half:i + half + 1]) / (2 * half + 1) for i in range(half, len(losses) - half)]
        top = max(max(means[:means.index(min(means)) + 1]), 1.5 * min(means))
        labels = [float(found[1]) for line in out.splitlines() if (found := re.match(r" +(\d+\.\d{4}) [\u2800-\u28ff]", line))]
        expect(max(means) > top and abs(labels[0] - top) < 1e-4 and abs(labels[-1] - min(means)) < 1e-4, f"{labels}, {top}: {out}")
        expect(f"the curve is cut at {labels[0]:.4f}; its highest mean is {max(means):.4f}\n" in out, out)
        first, last = (f"{float(rows[at]['lr']):.2g}" for at in (half, -half - 1))
        expect(f"the curve: means over a tenth of the sweep, at rates {first} to {last}\n" in out, out)


def curve_and_sentence_agree():
    """The curve's lowest place lies at the rate that the sentence names, between the rates that the caption names; so does the mark."""
    with Sandbox() as box:
        out = box.ok("sluice-train", "net.ini", *EASY, "--find-lr", "-o", "lr.csv").out
        rows = list(csv.DictReader(io.StringIO(box.text("lr.csv"))))
        shown = [float(row["lr"]) for row in rows][15:-15]
        curve = [line[9:] for line in out.splitlines() if re.match(r"[ \d.]{9}[\u2800-\u28ff]", line)]
        rate, lowest = suggestion_of(out)
        mark = next(line for line in out.splitlines() if "^" in line).index("^") - 9
        bottom = [column for column, dots in enumerate(curve[-1]) if ord(dots) & 0xc0]  # the lowest row of dots

        def rate_at(column):
            return shown[round(column / (len(curve[0]) - 1) * (len(shown) - 1))]
        step = 1e7 ** (1 / 299)
        reach = step ** (len(shown) / len(curve[0]) + 1) * 1.05  # a column, and two digits
        expect(1 / reach < rate_at(mark) / rate < reach, f"mark at {rate_at(mark)}, suggested {rate}: {out}")
        expect(rate_at(bottom[0]) / reach < lowest < rate_at(bottom[-1]) * reach, f"lowest at {lowest}, drawn at {[rate_at(at) for at in bottom]}: {out}")


def refuses():
    with Sandbox() as box:
        for arguments, text in USAGE:
            result = box.run("sluice-train", "net.ini", *arguments)
            expect(result.code == 2 and result.err == f"sluice-train: command line: {text}\n", f"{arguments}: {result.err}")
        missing = box.run("sluice-train", "net.ini", "--find-lr", "-o", "no/such/lr.csv")
        expect(missing.code == 6 and missing.out == "", f"{missing.code} {missing.out} {missing.err}")
        int8 = box.run("sluice-train", "net.ini", "--find-lr", "--run.precision=int8")
        expect(int8.code == 2 and "int8 is for inference" in int8.err, int8.err)
        expect(sorted(box.tree()) == ["net.ini"], f"{box.tree().keys()}")


def stops_at_a_signal():
    with Sandbox() as box:
        box.write("slow.ini", "include = net.ini\n[log]\ninterval = 1e-9\n")
        paced = Paced(box, "sluice-train", "slow.ini", "--find-lr", "--lr-steps=100000")
        paced.steps(5)
        paced.process.send_signal(signal.SIGTERM)
        code = paced.end()
        expect(code == 75, f"exit code {code}")
        expect(sorted(box.tree()) == ["net.ini", "slow.ini"], f"{box.tree().keys()}")


if __name__ == "__main__":
    finds_a_rate()
    leaves_runs_alone()
    stops_where_it_diverges()
    suggests_nothing_of_what_does_not_fall()
    cuts_what_diverges()
    curve_and_sentence_agree()
    refuses()
    stops_at_a_signal()
    sys.exit(1 if failures else 0)
