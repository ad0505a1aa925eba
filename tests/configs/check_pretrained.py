#!/usr/bin/env python3
"""Evaluates the shipped weights and compares with what configs/pretrained/models.json says of them.

  check_pretrained.py SLUICE_EVAL SLUICE_INSPECT REPOSITORY

Every file is verified; accuracy is checked where the data set is found: in SLUICE_CIFAR10_DIR, in data/ of the repository, or in a data/
folder beside the repository or one level below its neighbours. Exits with 77 (skipped) when no data set is there.
"""
import glob
import json
import os
import subprocess
import sys

SKIPPED = 77
TOLERANCE = 0.0005  # of the accuracy: another instruction set may tip a few images


def find_cifar10(repository):
    parent = os.path.dirname(os.path.abspath(repository))
    candidates = [os.environ.get("SLUICE_CIFAR10_DIR", ""), os.path.join(repository, "data", "cifar-10-batches-bin")]
    candidates += glob.glob(os.path.join(parent, "data", "cifar-10-batches-bin"))
    candidates += glob.glob(os.path.join(parent, "*", "data", "cifar-10-batches-bin"))
    return next((c for c in candidates if c and os.path.isfile(os.path.join(c, "test_batch.bin"))), None)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        sys.exit("%s exited with %d: %s" % (" ".join(command), done.returncode, done.stderr.strip()))
    return done.stdout


def main():
    evaluate, inspect, repository = sys.argv[1:]
    folder = os.path.join(repository, "configs", "pretrained")
    with open(os.path.join(folder, "models.json")) as file:
        models = json.load(file)
    for model in models:
        run(inspect, os.path.join(folder, model["file"]), "--verify")
    data = find_cifar10(repository)
    if data is None:
        print("verified %d files; no CIFAR-10 here to evaluate them on (set SLUICE_CIFAR10_DIR)" % len(models))
        sys.exit(SKIPPED)
    failures = 0
    for model in models:
        path = os.path.join(folder, model["file"])
        report = json.loads(run(evaluate, path, "--data.dir=" + data, "--run.precision=fp32", "--json"))
        good = report["images"] == 10000 and abs(report["accuracy"] - model["accuracy"]) <= TOLERANCE
        print("%s: accuracy %.4f, recorded %.4f: %s" % (model["file"], report["accuracy"], model["accuracy"], "ok" if good else "FAILED"))
        failures += not good
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
