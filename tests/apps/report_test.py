"""sluice-report: one page that is well formed, needs no network, shows text of strangers as text, and says what is so."""
import base64
import html.parser
import json
import os
import re

from harness import NET, Case, Sandbox, run_table

failures = []
GATED = "--type.cg_conv.partitions=2 --gating_loss.penalty=0.1 --gating_loss.target=1".split()
VOID = {"meta", "br", "link", "img"}
EVIL = "</script><img src=x onerror=alert(1)>&\"'"


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


class Page(html.parser.HTMLParser):
    """Notes every element, and whether each is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.problems, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        if self.open:
            self.problems.append(f"not closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"closed out of turn: {tag}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def page_of(text):
    page = Page(text)
    expect(not page.problems, f"the page is not well formed: {page.problems}")
    tags = [tag for tag, _ in page.elements]
    expect(tags == ["html", "head", "meta", "title", "meta", "meta", "style", "body", "noscript", "script", "script"], f"elements: {tags}")
    links = [value for _, attrs in page.elements for name, value in attrs.items() if name in ("src", "href", "srcset", "action")]
    expect(not links, f"the page refers to {links}")
    policy = [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    expect(policy and policy[0].startswith("default-src 'none'"), f"policy: {policy}")
    # The one address in the script names the kind of an element.
    addresses = set(re.findall(r"https?://[\w./]+", text)) - {"http://www.w3.org/2000/svg"}
    expect(not addresses, f"addresses in the page: {addresses}")
    return json.loads(page.scripts[0])


def trained(box):
    box.write("gated.ini", NET.replace("type = conv\n", "type = cg_conv\n", 1))
    box.ok("sluice-train", "net.ini")
    box.ok("sluice-train", "gated.ini", "--run.dir=gated", *GATED)


def one_run():
    with Sandbox() as box:
        trained(box)
        result = box.ok("sluice-report", "gated", "-o", "report.html")
        expect(result.out == "wrote report.html\n" and result.err == "", f"one run: {result}")
        data = page_of(box.text("report.html"))
        subject = data["subjects"][0]
        evaluated = json.loads(box.ok("sluice-eval", "gated/weights.h5", "--json").out)
        for key in ("accuracy", "loss", "macs_executed", "macs_dense", "classes", "confusion", "images"):
            expect(subject["evaluation"][key] == evaluated[key], f"{key}: {subject['evaluation'][key]}, evaluated {evaluated[key]}")
        rows = box.text("gated/metrics.csv").splitlines()
        expect(subject["history"]["columns"] == rows[0].split(","), f"history: {subject['history']['columns']}")
        expect(len(subject["history"]["rows"]) == len(rows) - 1 == 2, f"rows: {subject['history']['rows']}")
        expect(subject["config"] == box.text("gated/config.ini"), "the configuration is another one")
        expect(subject["state"] == "finished" and subject["epochs"] == "2 of 2" and not subject["problems"], f"state: {subject['state']}")
        threshold = next(layer["threshold"] for layer in subject["evaluation"]["layers"] if layer["name"] == "conv")
        inspected = json.loads(box.ok("sluice-inspect", "gated/weights.h5", "--gates", "--json").out)["gates"][0]["threshold"]
        expect(sum(threshold["bins"]) == 4 and abs(threshold["mean"] - inspected["mean"]) < 1e-5, f"{threshold}, inspected {inspected}")
        maps(subject, box)
        # Its own earlier page is replaced, another file is not.
        box.ok("sluice-report", "gated", "-o", "report.html", "--no-eval")
        data = page_of(box.text("report.html"))
        expect("evaluation" not in data["subjects"][0] and data["subjects"][0]["history"]["rows"], "--no-eval evaluates, or shows nothing")


def maps(subject, box):
    """The decisions of the images that are shown are a part of those that an evaluation counts."""
    shown = subject["maps"]
    expect(len(shown) == 8 and {one["why"] for one in shown} >= {"found", "least computed", "most computed"}, f"maps: {[m['why'] for m in shown]}")
    for one in shown:
        expect(len(base64.b64decode(one["rgb"])) == 3 * one["width"] * one["height"] == 90, f"picture: {one}")
        layer, = one["layers"]
        shares = base64.b64decode(layer["shares"])
        mean = sum(shares) / len(shares) / 255
        expect(len(shares) == 30 and abs(mean - layer["density"]) < 0.005 and layer["density"] == one["density"], f"shares: {layer}")
        expect(set(shares) <= {0, 64, 128, 191, 255}, f"four channels, but shares {list(shares)}")
    densities = [one["density"] for one in shown]
    least = next(one["density"] for one in shown if one["why"] == "least computed")
    most = next(one["density"] for one in shown if one["why"] == "most computed")
    whole = subject["evaluation"]["metrics"]["gate_density"]
    expect(least <= min(densities) + 0.05 and most >= whole >= least, f"least {least}, most {most}, over all images {whole}")
    # All eight images that were held out: their gates are those that an evaluation counts.
    data = page_of(box.ok("sluice-report", "gated", "--split=validation", "-o", "-").out)["subjects"][0]
    densities = [one["density"] for one in data["maps"]]
    counted = json.loads(box.ok("sluice-eval", "gated/weights.h5", "--split=validation", "--json").out)["gate_density"]
    expect(len(densities) == 8 and abs(sum(densities) / 8 - counted) < 1e-9, f"densities {densities}, counted {counted}")
    # Every image opens and closes alike where all thresholds are out of reach.
    for shift, share in ((-9, 1), (9, 0)):
        box.ok("sluice-deploy", "gated/weights.h5", f"--shift={shift}", "--eval.batch=5", "-o", "moved.h5")
        data = page_of(box.ok("sluice-report", "moved.h5", "-o", "-").out)
        found = {(one["density"], one["layers"][0]["shares"]) for one in data["subjects"][0]["maps"]}
        expect(found == {(share, base64.b64encode(bytes([255 * share] * 30)).decode())}, f"thresholds moved by {shift}: {found}")


def timed():
    with Sandbox() as box:
        trained(box)
        one = page_of(box.ok("sluice-report", "gated", "--time", "--eval.batch=5", "-o", "-").out)["subjects"][0]["evaluation"]
        layers = {layer["name"]: layer.get("milliseconds") for layer in one["layers"]}
        expect(one["milliseconds"] > 0 and one["batch"] == 5 and layers["conv"] > 0 and layers["fc"] > 0, f"times: {one}")
        data = page_of(box.ok("sluice-report", "gated", "run", "--time", "--eval.batch=5", "-o", "-").out)
        titles, rows = data["table"]["titles"], data["table"]["rows"]
        expect(titles[-1] == "ms, batch 5" and all(float(row[-1]) >= 0 and len(row) == len(titles) for row in rows), f"{titles} {rows}")


def several():
    with Sandbox() as box:
        trained(box)
        box.ok("sluice-train", "net.ini", "--run.dir=third", "--optimizer.lr=0.01")
        box.ok("sluice-report", "run", "gated/weights.h5", "third/", "-o", "all.html")
        data = page_of(box.text("all.html"))
        expect([one["short"] for one in data["subjects"]] == ["run", "gated/weights.h5", "third"], f"names: {data['subjects']}")
        titles, rows = data["table"]["titles"], data["table"]["rows"]
        expect({"optimizer.lr", "layer.*.type"} <= set(titles), f"differences: {titles}")
        expect([row[titles.index("optimizer.lr")] for row in rows] == ["0.1", "0.1", "0.01"], f"rows: {rows}")
        expect(all(len(row) == len(titles) for row in rows), f"rows: {rows}")
        expect("confusion" not in data["subjects"][0]["evaluation"] and data["subjects"][0]["config"] == "", "details of one among several")


def strangers():
    """Text of strangers is text; what cannot be read is said."""
    with Sandbox() as box:
        trained(box)
        box.write("run/metrics.csv", f'epoch,"{EVIL.replace(chr(34), chr(34) * 2)}"\n1,2\n')
        box.write("run/log.txt", f"2026-01-02T03:04:05+0100 error: {EVIL}\n")
        os.rename(box.at("run"), box.at("<b>run"))
        result = box.ok("sluice-report", "<b>run", "-o", "report.html")
        text = box.text("report.html")
        expect("<img" not in text and "<b>" not in text, "markup of a stranger in the page")
        subject = page_of(text)["subjects"][0]
        expect(subject["history"]["columns"][1] == EVIL and subject["problems"] == [EVIL], f"text is changed: {subject['history']}")
        expect(result.err == f"warning: <b>run: {EVIL}\n", f"warnings: {result.err}")
        # Without its data a run is still shown.
        result = box.ok("sluice-report", "gated", "-o", "report.html", "--data.kind=idx", "--data.dir=nowhere")
        subject = page_of(box.text("report.html"))["subjects"][0]
        expect(len(subject["problems"]) == 1 and subject["problems"][0].startswith("not evaluated: command line: [data] dir: nowhere: "), f"{subject['problems']}")
        expect(result.err == f"warning: gated: {subject['problems'][0]}\n", f"warnings: {result.err}")
        # A run that has no weights yet.
        box.ok("sluice-train", "net.ini", "--run.dir=young")
        for name in ("weights.h5", "checkpoints/best.h5"):
            os.remove(box.at("young/" + name))
        subject = page_of(box.ok("sluice-report", "young", "-o", "-").out)["subjects"][0]
        expect(subject["problems"] == ["not evaluated: the run has no weights.h5 and no checkpoints/best.h5 yet"], f"{subject['problems']}")


BAD = [
    Case("report: nothing", "sluice-report -o r.html", 2,
         "command line: expected a run directory or a checkpoint; see sluice-report --help"),
    Case("report: no output", "sluice-report run", 2, "command line: expected -o FILE, the file to write"),
    Case("report: no run", "sluice-report . -o r.html", 2, ".: holds no run; expected a run directory of sluice-train"),
    Case("report: a directory of runs", "sluice-report runs -o r.html", 2,
         "runs: holds no run; expected a run directory of sluice-train, such as runs/a, or runs/* for all",
         make=lambda box: [box.ok("sluice-train", "net.ini", f"--run.dir=runs/{name}") for name in "ab"]),
    Case("report: no file", "sluice-report x.h5 -o r.html", 5, "x.h5: cannot open: No such file or directory"),
    Case("report: over a file of the user", "sluice-report run -o net.ini", 2,
         "net.ini: is there already, and sluice-report did not write it; name another file, or replace it with --force", make=trained),
    Case("report: over its input", "sluice-report run/weights.h5 -o run/weights.h5 --force", 2,
         "run/weights.h5: is read by this call; name another file", make=trained),
    Case("report: a wrong split", "sluice-report run -o r.html --split=all", 2,
         "command line: --split: expected test, validation or train, got 'all'", make=trained),
]

if __name__ == "__main__":
    for test in (one_run, several, timed, strangers):
        test()
    run_table(BAD, 7, len(failures))
