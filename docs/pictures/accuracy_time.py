"""Draws accuracy against milliseconds: accuracy_time.py FIGURES.csv PICTURE.svg. A network is gated if its name has the word cg or channels."""
import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

DENSE, GATED = "#0072b2", "#d55e00"  # told apart by the colour-blind, and by their marks
PANELS = [(precision, batch) for batch in ("128", "1") for precision in ("fp32", "int8")]


def is_gated(name):
    return not {"cg", "channels"}.isdisjoint(name.split("_"))


def draw(axes, rows, precision, batch):
    for row in rows:
        if (row["precision"], row["batch"]) != (precision, batch):
            continue
        at = float(row["milliseconds"]), 100 * float(row["accuracy"])
        gated = is_gated(row["network"])
        axes.plot(*at, "s" if gated else "o", color=GATED if gated else DENSE, markersize=5)
        axes.annotate(row["network"].replace("_", " "), at, xytext=(5, -3), textcoords="offset points", fontsize=7)
    axes.set_title(f"{precision}, batch {batch}", fontsize=10)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.margins(x=0.25, y=0.15)
    axes.grid(alpha=0.3)
    axes.set_xlabel("milliseconds for a batch")
    axes.set_ylabel("test accuracy in %")


def main():
    figures, picture = sys.argv[1:]
    rows = list(csv.DictReader(open(figures)))
    plt.rcParams["svg.hashsalt"] = "sluice"  # the same figures give the same file
    fig, panels = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for axes, (precision, batch) in zip(panels.flat, PANELS):
        draw(axes, rows, precision, batch)
    marks = [plt.Line2D([], [], marker=mark, color=colour, linestyle="") for mark, colour in (("o", DENSE), ("s", GATED))]
    panels[0][0].legend(marks, ["dense", "gated"], fontsize=8)
    fig.savefig(picture, facecolor="white", metadata={"Date": None})


main()
