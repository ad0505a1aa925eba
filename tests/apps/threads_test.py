"""Threads that are not granted, and signals at any time: nothing waits for ever, and one line says what is the matter."""
import os
import shutil
import signal
import subprocess
import sys
import time

from harness import SANITIZED, TOOLS, Sandbox

OPENMP = "OpenMP grants no more (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS)"
SYSTEM = "the system starts no more (ulimit -u, or the pids limit of a container)"
LIBRARY = "a library ended the program (see above); free memory, or use fewer threads"
PROCESSORS = len(os.sched_getaffinity(0))
problems = []


def expect(what, found, expected):
    if found != expected:
        problems.append(f"{what}:\n{found}\nexpected:\n{expected}")


def clean(environment):
    """What the variables of OpenMP say of the number of threads means nothing to the programs."""
    return {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", **environment}


def fewer(granted, wanted, why):
    return f"warning: command line: [run] threads: computes with {granted} instead of {wanted} threads: {why}\n"


def openmp_grants_fewer():
    for variable, wanted, granted in (("OMP_THREAD_LIMIT=1", 2, 1), ("OMP_THREAD_LIMIT=2", 3, 2),
                                      ("OMP_MAX_ACTIVE_LEVELS=0", 2, 1), ("OMP_DYNAMIC=true", PROCESSORS + 2, 0)):
        environment = clean(dict([variable.split("=")]))
        with Sandbox() as box:
            line = fewer(granted, wanted, OPENMP) if granted else ""
            for command in ("sluice-train net.ini", "sluice-train net.ini --dry-run", "sluice-eval run/weights.h5",
                            "sluice-deploy run/weights.h5 -o d.h5 --eval.batch=8", "sluice-bench net.ini --steps=1"):
                result = box.run(*command.split(), f"--run.threads={wanted}", env=environment)
                expect(f"{variable} {command}", (result.code, result.err), (0, line))
            expect(f"{variable}: threads of the run", box.header("run/checkpoints/best.h5")["state"]["threads"],
                   granted or wanted)


def the_system_grants_fewer():
    """So many at a time: the program does with those. So many in all: it does without, or ends with code 6; never hangs."""
    if SANITIZED:
        return  # their libraries want to be loaded first
    preloaded = clean({"LD_PRELOAD": os.path.join(TOOLS, "libno_threads.so")})
    commands = ("sluice-train net.ini --auto-resume", "sluice-eval run/weights.h5", "sluice-deploy run/weights.h5 -o d.h5 --eval.batch=8")
    with Sandbox() as box:
        for threads, limit, count in ((1, "AT_ONCE", 0), (3, "AT_ONCE", 0), (3, "AT_ONCE", 1), (3, "AT_ONCE", 2),
                                      *((3, "IN_ALL", count) for count in range(9))):
            for command in commands:
                if "train" in command:
                    shutil.rmtree(box.at("run"), ignore_errors=True)
                result = box.run(*command.split(), f"--run.threads={threads}", f"--data.workers={threads}",
                                 env={**preloaded, f"THREADS_{limit}": str(count)})
                name = f"THREADS_{limit}={count} run.threads={threads} {command}"
                line = fewer(count + 1, threads, SYSTEM) if count + 1 < threads else ""
                if limit == "AT_ONCE":
                    expect(name, (result.code, result.err), (0, line))
                elif result.code == 6:
                    expect(name, result.err.splitlines()[-1], f"{command.split()[0]}: {LIBRARY}")
                else:
                    expect(name, result.code, 0)
                if not os.path.exists(box.at("run/weights.h5")):
                    box.ok("sluice-train", "net.ini", "--auto-resume")


def bound_threads_are_counted():
    for variable in ("OMP_PROC_BIND=true", "OMP_PROC_BIND=spread", "OMP_PLACES=cores", "OMP_PLACES={0}"):
        environment = clean(dict([variable.split("=")]))
        expected = 1 if variable == "OMP_PLACES={0}" else PROCESSORS
        with Sandbox() as box:
            box.ok("sluice-train", "net.ini", "--run.threads=0", env=environment)
            expect(variable, box.header("run/checkpoints/best.h5")["state"]["threads"], expected)


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def handles(process, number):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


def signals_at_any_time():
    """While data are measured, and between steps: code 75, and the same command goes on."""
    hang_up = "stopped before the first step: received SIGHUP; nothing is lost, start again with the same command"
    with Sandbox() as box:
        os.mkfifo(box.at("f.ini"))
        process = box.start("sluice-train", "f.ini", "--auto-resume")  # waits for its configuration
        wait_for(lambda: handles(process, signal.SIGHUP))
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=120)
        expect("SIGHUP while the configuration is read", (process.returncode, err), (75, f"sluice-train: {hang_up}\n"))
        box.write("m.ini", box.text("net.ini").replace("mean = 0.5\nstd = 0.25\n", "").replace("size = 56", "size = 1000000"))
        process = box.start("sluice-train", "m.ini", "--auto-resume")
        wait_for(lambda: os.path.exists(box.at("run/log.txt")))
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=120)
        expect("SIGHUP while data are measured", (process.returncode, err), (75, f"sluice-train: {hang_up}\n"))
        expect("the directory of a run that never began", os.path.exists(box.at("run")), False)
        rows = 0
        for number in (signal.SIGHUP, signal.SIGXCPU):
            process = box.start("sluice-train", "net.ini", "--auto-resume", "--train.epochs=1000000",
                                "--checkpoint.every_epochs=1000000", stdout=subprocess.DEVNULL)
            wait_for(lambda: os.path.exists(box.at("run/metrics.csv"))
                     and len(box.text("run/metrics.csv").splitlines()) > rows + 2)  # pylint: disable=cell-var-from-loop
            process.send_signal(number)
            _, err = process.communicate(timeout=120)
            expect(f"{number.name} between steps", (process.returncode, err), (75, ""))
            rows = len(box.text("run/metrics.csv").splitlines())
            step = int(box.text("run/metrics.csv").splitlines()[-1].split(",")[1])
            if box.header(box.newest())["state"]["step"] < step:
                problems.append(f"{number.name}: no checkpoint of what was trained")


if __name__ == "__main__":
    for check in (openmp_grants_fewer, the_system_grants_fewer, bound_threads_are_counted, signals_at_any_time):
        check()
    print("\n".join(problems) or "all right")
    sys.exit(1 if problems else 0)
