"""Opens reports in a browser without a screen: report_pages.py BROWSER [FOLDER_FOR_SCREENSHOTS]."""
import json
import os
import re
import shutil
import subprocess
import sys

from harness import NET, Sandbox

WIDTHS = (390, 800, 1400)
GATED = "--type.cg_conv.partitions=2 --gating_loss.penalty=0.1 --gating_loss.target=1 --train.epochs=3".split()

# Appended to the page: what a reader would do, and what is found then, as the title.
PROBE = """<script>
const found = {errors: window.errors, charts: document.querySelectorAll('figure.chart svg').length,
  tables: document.querySelectorAll('table').length, canvases: document.querySelectorAll('canvas').length,
  texts: [...document.querySelectorAll('p')].map((p) => p.textContent),
  curves: [...document.querySelectorAll('svg')].map((svg) => svg.getAttribute('aria-label')),
  headings: [...document.querySelectorAll('h2')].map((h) => h.textContent), marked: document.querySelectorAll('tr.set').length,
  images: document.querySelectorAll('img').length,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth, dark: matchMedia('(prefers-color-scheme: dark)').matches};
const shade = (text) => {
  const parts = (text.match(/[\d.]+(e-\d+)?/g) || []).map(Number), scale = text.startsWith('color(') ? 255 : 1;
  return [...parts.slice(0, 3).map((part) => scale * part), parts.length > 3 ? parts[3] : 1];
};
const ground = (element) => {
  if (!element) return [255, 255, 255];
  const [r, g, b, share] = shade(getComputedStyle(element).backgroundColor);
  return share === 1 ? [r, g, b] : ground(element.parentElement).map((below, i) => share * [r, g, b][i] + (1 - share) * below);
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
found.contrasts = [...document.body.querySelectorAll('*')].filter((one) => one.tagName !== 'SCRIPT' && one.tagName !== 'title'
  && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())).map((one) => {
  const style = getComputedStyle(one), text = light(shade(one instanceof SVGElement ? style.fill : style.color)), below = light(ground(one));
  return [(Math.max(text, below) + 0.05) / (Math.min(text, below) + 0.05), one.textContent.slice(0, 30)];
}).sort((a, b) => a[0] - b[0]).slice(0, 3);
const shades = {};
for (const button of document.querySelectorAll('figure.chart .legend button'))
  (shades[button.textContent] = shades[button.textContent] || new Set()).add(button.querySelector('i').getAttribute('style'));
found.changing = Object.keys(shades).filter((name) => shades[name].size > 1);
try {
  const chart = document.querySelector('figure.chart'), svg = chart.querySelector('svg'), box = svg.getBoundingClientRect();
  const at = (kind, share, buttons) => svg.dispatchEvent(new PointerEvent(kind,
    {clientX: box.left + share * box.width, clientY: box.top + box.height / 2, buttons, bubbles: true}));
  const lines = () => svg.querySelectorAll('polyline, circle').length, ticks = () => svg.textContent;
  at('pointermove', 0.9, 0);
  found.tip = chart.querySelector('.tip').hidden ? '' : chart.querySelector('.tip').textContent;
  const before = lines(), all = ticks();
  chart.querySelector('.legend button').click();
  found.hides = lines() < before;
  chart.querySelector('.legend button').click();
  found.shows = lines() === before;
  at('pointerdown', 0.2, 1); at('pointermove', 0.5, 1); at('pointerup', 0.5, 0);
  found.zooms = ticks() !== all;
  svg.dispatchEvent(new MouseEvent('dblclick', {bubbles: true}));
  found.resets = ticks() === all;
} catch (error) { found.errors.push(String(error)); }
document.title = JSON.stringify(found);
</script></body>"""
WATCH = "<script>window.errors = []; window.onerror = (text) => { window.errors.push(String(text)); };</script></head>"

HEADINGS = ["Result", "Curves", "Layers", "Where it computes", "Classes", "Confusion", "Configuration", "Environment"]
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def open_page(box, browser, name, width, screenshots, dark=False):
    """What the probe found in a page."""
    page = box.text(name).replace("</head>", WATCH, 1)
    at = page.rindex("</body>")
    box.write("probed.html", page[:at] + PROBE + page[at + len("</body>"):])
    options = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={box.at('profile')}",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--window-size={width},1200", "--virtual-time-budget=5000"]
    dom = subprocess.run([*options, "--dump-dom", "file://" + box.at("probed.html")], capture_output=True, text=True, timeout=240,
                         check=False).stdout
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    if screenshots:
        picture = f"--screenshot={os.path.abspath(screenshots)}/{name.split('.')[0]}-{width}{'-dark' if dark else ''}.png"
        subprocess.run([*options[:-2], f"--window-size={width},4000", picture, "file://" + box.at(name)], capture_output=True, timeout=240,
                       check=False)
    try:
        return json.loads(title[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    except (TypeError, json.JSONDecodeError):
        return {"errors": ["the browser did not run the page: " + dom[:200]]}


def check(found, where, charts, headings, dark=False):
    expect(found["errors"] == [], f"{where}: {found['errors']}")
    if found["errors"]:
        return
    expect(found["dark"] == dark, f"{where}: dark is {found['dark']}")
    expect(found["contrasts"][0][0] >= 4.5, f"{where}: text that is hard to read: {found['contrasts']}")
    expect(found["charts"] == charts, f"{where}: {found['charts']} charts, expected {charts}")
    expect(found["headings"] == headings, f"{where}: {found['headings']}")
    expect(found["wide"] <= 0, f"{where}: {found['wide']} pixels stand out of the page")
    expect(found["images"] == 0, f"{where}: markup of a stranger")
    expect(found["changing"] == [], f"{where}: colours that differ from chart to chart: {found['changing']}")
    expect("\n" in found["tip"], f"{where}: hovering shows '{found['tip']}'")
    for what in ("hides", "shows", "zooms", "resets"):
        expect(found[what], f"{where}: the chart never {what}")


def check_print(box, browser, screenshots, headings):
    """On paper it is light and whole, whatever the screen."""
    options = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={box.at('profile')}",
               "--blink-settings=preferredColorScheme=0", "--virtual-time-budget=5000", f"--print-to-pdf={box.at('one.pdf')}"]
    subprocess.run([*options, "file://" + box.at("one.html")], capture_output=True, timeout=240, check=False)
    expect(os.path.exists(box.at("one.pdf")) and box.read("one.pdf").startswith(b"%PDF"), "print: no PDF")
    if screenshots:
        shutil.copy(box.at("one.pdf"), screenshots)
    if not shutil.which("pdftotext"):
        return
    text = subprocess.run(["pdftotext", "-layout", box.at("one.pdf"), "-"], capture_output=True, text=True, check=False).stdout
    expect(all(heading in text for heading in headings), f"print: of {headings} not all stand in: {text[:400]}")
    subprocess.run(["pdftoppm", "-r", "20", box.at("one.pdf"), box.at("page")], check=False)
    pages = [box.read(name) for name in sorted(os.listdir(box.path)) if name.startswith("page-")]
    bright = [sum(page[-30000:]) / 30000 for page in pages]
    expect(pages and min(bright) > 200, f"print: pages are dark: {bright}")


def main():
    browser, screenshots = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    if screenshots:
        os.makedirs(screenshots, exist_ok=True)
    with Sandbox() as box:
        box.write("gated.ini", NET.replace("type = conv\n", "type = cg_conv\n", 1))
        box.ok("sluice-train", "gated.ini", "--run.dir=gated", *GATED)
        box.ok("sluice-train", "net.ini", "--run.dir=dense")
        shutil.copytree(box.at("gated"), box.at("<img src=x>"))
        box.ok("sluice-report", "gated", "-o", "one.html")
        box.ok("sluice-report", "gated", "dense", "<img src=x>", "-o", "many.html")
        columns = json.loads(re.search(r'id="data">(.*?)</script>', box.text("one.html"), re.DOTALL)[1])["subjects"][0]["history"]["columns"]
        never = {"epoch", "step", "seconds", "sparsity"}
        by_layer = {re.sub("^(train|val|test)_", "", name).split("/")[0] for name in columns if "/" in name}
        whole = {re.sub("^(train|val|test)_", "", name) for name in columns if "/" not in name} - never
        for width in WIDTHS:
            found = open_page(box, browser, "one.html", width, screenshots)
            check(found, f"one run, {width} pixels", len(whole) + len(by_layer),
                  HEADINGS)
            if not found["errors"]:
                expect(found["canvases"] == 16 and found["marked"] > 5, f"maps and marked values: {found}")
            found = open_page(box, browser, "one.html", width, screenshots, dark=True)
            check(found, f"one run in the dark, {width} pixels", len(whole) + len(by_layer), HEADINGS, dark=True)
            found = open_page(box, browser, "many.html", width, screenshots)
            check(found, f"three runs, {width} pixels", len(whole) + 1, ["Side by side", "Trade-off", "Curves"])
            if not found["errors"]:
                expect("evaluated on 20 images of synthetic (test)" in found["texts"] and "Accuracy, validation" in found["curves"],
                       f"what figures are of: {found['texts']}, {found['curves']}")
        check_print(box, browser, screenshots, HEADINGS)
    print(f"{len(failures)} failed")
    sys.exit(1 if failures else 0)


main()
