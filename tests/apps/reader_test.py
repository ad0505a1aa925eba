"""What becomes of a run when its reader of HDF5 files crashes, hangs, or gets the run's signals; and of the reader when the run is killed."""
import os
import signal
import sys
import time

from harness import Sandbox

SET = ["--data.kind=hdf5", "--data.dir=d", "--data.hdf5_memory_mib=9", "--data.hdf5_timeout=2", "--train.epochs=1000000",
       "--train.batch=4000", "--network.input=1x6x5"]
WHERE = "d/train.h5: "


def wait_for(condition):
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited for five minutes")


def state(process):
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rsplit(") ", 1)[1][0]
    except OSError:
        return ""


def readers(process):
    """The readers of a process."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii") as file:
                text = file.read()
            if int(text.rsplit(") ", 1)[1].split()[1]) == process.pid and "(sluice-reader)" in text:
                found.append(int(entry))
        except (OSError, ValueError, IndexError):
            continue
    return found


def training(box):
    """A run in its second epoch, which reads the set in pieces, and its reader."""
    os.makedirs(box.at("d"))
    box.forge("dataset", "d/train.h5", "images=800000x6x5x1", "labels=800000")
    box.forge("dataset", "d/test.h5", "images=20x6x5x1", "labels=20")
    process = box.start("sluice-train", "net.ini", *SET, prepare=os.setpgrp)
    box.at_end.append(process.kill)
    wait_for(lambda: process.poll() is not None or
             (os.path.exists(box.at("run/metrics.csv")) and box.text("run/metrics.csv").count("\n") > 1))
    found = readers(process)
    assert len(found) == 1, f"{len(found)} readers while training: {process.poll()}"
    return process, found[0]


def expect(name, process, code, line):
    out, err = process.communicate(timeout=60)
    last = (err.strip().splitlines() or [""])[-1]
    assert process.returncode == code and last.endswith(line), f"{name}: exit code {process.returncode}: {out[-300:]}{err}"


def reader_crashes():
    with Sandbox() as box:
        process, reader = training(box)
        os.kill(reader, signal.SIGSEGV)
        expect("crash", process, 3, WHERE + "is damaged: reading it crashed (signal 11, Segmentation fault); take another copy")


def reader_hangs():
    with Sandbox() as box:
        process, reader = training(box)
        os.kill(reader, signal.SIGSTOP)
        expect("hang", process, 3, WHERE + "reading it took longer than 2 s")
        wait_for(lambda: state(reader) == "")


def signals_are_for_the_run():
    for number in [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]:
        with Sandbox() as box:
            process, _ = training(box)
            os.killpg(process.pid, number)
            process.communicate(timeout=60)
            assert process.returncode == 75, f"signal {number}: exit code {process.returncode}"
            box.ok("sluice-inspect", box.newest(), "--verify")


def nobody_is_left():
    with Sandbox() as box:
        process, reader = training(box)
        process.kill()
        process.communicate()
        wait_for(lambda: state(reader) in ("", "Z"))


def main():
    failed = 0
    for test in [reader_crashes, reader_hangs, signals_are_for_the_run, nobody_is_left]:
        try:
            test()
        except AssertionError as error:
            print(f"{test.__name__}: {error}")
            failed += 1
    print(f"{failed} failed" if failed else "all as expected")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
