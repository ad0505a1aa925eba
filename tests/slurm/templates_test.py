"""The job templates on a real Slurm: what a user submits, and what time limits, preemption, scancel and lost nodes make of it.

    run.sh BUILD_DIRECTORY [TEST...] [--preemptions N] [--lost N] [--ends N]

Whatever happens to a job, its run ends with the bits of an undisturbed one."""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from signal import SIGCONT, SIGTERM, SIGUSR1, signal

from cluster import Cluster, Stuck, wait_for
from harness import BIN, SOURCE, Sandbox

TEMPLATES = os.path.join(SOURCE, "configs/cluster")
NODES = 3
# 60 steps, each with a checkpoint.
LONG = """\
include = net.ini
[data]
synthetic_size = 248
[train]
epochs = 2
[checkpoint]
interval = 0.000001
keep = 2
"""
# Ranks that wait leave the processor to others; nodes of one machine speak over the loopback, and share no memory.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_tcp_if_include": "lo",
               "UCX_TLS": "tcp,self", "UCX_NET_DEVICES": "lo"}
problems = []
whole = {}  # digests of undisturbed runs


def expect(what, found, expected):
    if found != expected:
        problems.append(what)
        print(f"FAILED {what}:\n  {found}\nexpected:\n  {expected}", flush=True)


@dataclass
class Kind:
    """A template, and how it is submitted here."""
    name: str
    template: str
    options: tuple = ()
    env: dict = field(default_factory=dict)


SINGLE = Kind("single", "single.sbatch")
REQUEUE = Kind("requeue", "requeue.sbatch")
OPENMPI = Kind("openmpi", "mpi.sbatch", ("--nodes=2",))
MPICH = Kind("mpich", "mpi.sbatch", ("--nodes=2",), {"SLUICE_MPI": "pmi2"})
MPI = [kind for kind in (OPENMPI, MPICH) if os.path.exists(f"{BIN}/../lib/libsluice_{kind.name}.so")]
REQUEUED = [REQUEUE, *MPI]


class Runs:
    """A directory with configurations, and the jobs of one test."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.box = Sandbox()
        self.box.write("long.ini", LONG)
        self.before = len(problems)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if len(problems) > self.before:
            for name in sorted(os.listdir(self.box.path)):
                if name.endswith(".out"):
                    print(f"--- {name}\n" + "\n".join(self.box.text(name).splitlines()[-25:]), flush=True)
        self.box.__exit__()

    def submit(self, kind, run, *options, config="long.ini", arguments=()):
        return self.cluster.submit("--cpus-per-task=1", *kind.options, *options, f"{TEMPLATES}/{kind.template}", config, f"--run.dir={run}",
                                   *arguments, cwd=self.box.path, env=kind.env)

    def steps(self, run):
        """A function: how many steps the newest checkpoint of a run holds."""
        folder = self.box.at(run + "/checkpoints")

        def count():
            names = os.listdir(folder) if os.path.isdir(folder) else []
            return max((int(name[-13:-3]) for name in names if re.fullmatch(r"checkpoint-.*\d{10}\.h5", name)), default=0)
        return count

    def digest(self, run):
        log = run + "/log.txt"
        found = re.findall(r"digest of the last weights (\w+)", self.box.text(log) if os.path.exists(self.box.at(log)) else "")
        return found[-1] if found else "none"

    def undisturbed(self, kind, config="long.ini"):
        """The digest of a run to which nothing happened."""
        key = kind.name if kind in MPI else "alone", config
        if key not in whole:
            run = f"whole-{key[0]}-{config}"
            if kind in MPI:
                expect(f"undisturbed {run}", self.submit(kind, run, config=config).outcome(), ("COMPLETED", "0:0", 0))
            else:
                self.box.ok("sluice-train", config, f"--run.dir={run}")
            whole[key] = self.digest(run)
        return whole[key]

    def expect_whole(self, what, kind, job, run, least=1, config="long.ini"):
        """It ended well, after so many restarts or more, with the bits of an undisturbed run."""
        state, code, restarts = job.outcome()
        expect(f"{what}: end", (state, code, restarts >= least), ("COMPLETED", "0:0", True))
        expect(f"{what}: weights", self.digest(run), self.undisturbed(kind, config))


def as_they_are(cluster):
    """With the lines that the templates have."""
    with Runs(cluster) as runs:
        box = runs.box
        box.write("list.txt", "--optimizer.lr=0.05 --run.seed=1\n--optimizer.lr=0.1 --run.seed=2\n")
        jobs = {}
        for kind in [SINGLE, *REQUEUED]:
            jobs[kind.name] = cluster.submit(f"{TEMPLATES}/{kind.template}", "net.ini", f"--run.dir={kind.name}", cwd=box.path, env=kind.env)
            expect(kind.name, jobs[kind.name].outcome(), ("COMPLETED", "0:0", 0))
        array = cluster.submit("--array=1-2", f"{TEMPLATES}/sweep.sbatch", "list.txt", "net.ini", cwd=box.path)
        expect("sweep", [array.task(i).outcome() for i in (1, 2)], [("COMPLETED", "0:0", 0)] * 2)
        box.ok("sluice-train", "net.ini", "--run.dir=direct", "--run.threads=8")
        for name in ("single", "requeue"):
            expect(f"weights of {name}", runs.digest(name), runs.digest("direct"))
        listed = box.ok("sluice-runs", "runs/list").out
        expect(f"runs of the sweep:\n{listed}", [listed.count(text) for text in ("finished", "lr=0.05,run.seed=1", "lr=0.1,run.seed=2")], [2, 1, 1])
        for name in (f"sluice-{jobs['single'].number}.out", f"sluice-mpi-{jobs['openmpi'].number}.out", f"sluice-sweep-{array.number}_2.out"):
            expect(f"log {name}", "digest of the last weights" in box.text(name), True)


def stop_and_submit_again(cluster):
    with Runs(cluster) as runs:
        job = runs.submit(SINGLE, "run")
        job.hold(runs.steps("run"))
        subprocess.run(["scancel", "--signal=USR1", job.number], check=True)
        job.release_when_told(SIGUSR1)
        expect("stopped", job.outcome(), ("FAILED", "75:0", 0))
        runs.expect_whole("submitted again", SINGLE, runs.submit(SINGLE, "run"), "run", least=0)


def time_limit(cluster):
    """Slurm looks at limits twice a minute: the signal comes at any time within the 40 s that remain."""
    with Runs(cluster) as runs:
        jobs = {kind.name: (kind, runs.submit(kind, kind.name, "--time=1", "--signal=USR1@50")) for kind in REQUEUED}
        for name, (_, job) in jobs.items():
            job.hold(runs.steps(name))
        for name, (kind, job) in jobs.items():
            job.release_when_told(SIGUSR1)
        for name, (kind, job) in jobs.items():
            runs.expect_whole(name, kind, job, name)
        log = runs.box.text(f"sluice-{jobs['requeue'][1].number}.out")
        expect("one log of both starts", ("stopped at epoch" in log, "digest of the last weights" in log), (True, True))


def preempt(cluster, jobs):
    """A job of another partition takes all nodes for a moment."""
    urgent = cluster.submit("--partition=high", f"--nodes={len(cluster.names)}", "--exclusive", "--output=/dev/null", "--wrap=true", cwd="/")
    for job in jobs:
        job.release_when_told(SIGTERM)
    expect("the urgent job", urgent.outcome(), ("COMPLETED", "0:0", 0))


def preemption(cluster):
    """Who does not put itself back is submitted again."""
    with Runs(cluster) as runs:
        jobs = {kind.name: (kind, runs.submit(kind, kind.name)) for kind in [SINGLE, *REQUEUED]}
        for name, (_, job) in jobs.items():
            job.hold(runs.steps(name))
        preempt(cluster, [job for _, job in jobs.values()])
        expect("single: end", jobs["single"][1].outcome(), ("FAILED", "75:0", 0))
        jobs["single"] = SINGLE, runs.submit(SINGLE, "single")
        for name, (kind, job) in jobs.items():
            runs.expect_whole(name, kind, job, name, least=int(kind is not SINGLE))
            expect(f"{name}: stopped with a checkpoint", "stopped at epoch" in runs.box.text(name + "/log.txt"), True)


def cancel(cluster):
    """A cancelled job writes a checkpoint and stays away; the same command goes on."""
    with Runs(cluster) as runs:
        jobs = {kind.name: (kind, runs.submit(kind, kind.name)) for kind in [SINGLE, *REQUEUED]}
        for name, (kind, job) in jobs.items():
            job.hold(runs.steps(name))
            subprocess.run(["scancel", job.number], check=True)
            job.release_when_told(SIGTERM)
            state, _, restarts = job.outcome()
            expect(f"{name}: cancelled", (state, restarts), ("CANCELLED", 0))
            expect(f"{name}: stopped with a checkpoint", "stopped at epoch" in runs.box.text(name + "/log.txt"), True)
        for name, (kind, job) in jobs.items():
            expect(f"{name}: stays away", job.state(), "CANCELLED")
            runs.expect_whole(f"{name} again", kind, runs.submit(kind, name), name, least=0)


def sweep(cluster):
    """One task of an array is put back, not the others."""
    with Runs(cluster) as runs:
        lines = [f"--optimizer.lr={lr} --run.seed={seed}" for lr in (0.05, 0.1) for seed in (1, 2)]
        runs.box.write("lr.txt", "\n".join(lines) + "\n")
        array = cluster.submit("--cpus-per-task=1", "--array=1-4", f"{TEMPLATES}/sweep.sbatch", "lr.txt", "long.ini", cwd=runs.box.path)
        folders = ["runs/lr/" + line.replace("--", "").replace(" ", ",") for line in lines]
        tasks = [array.task(i + 1) for i in range(4)]
        tasks[1].hold(runs.steps(folders[1]))
        subprocess.run(["scancel", "--signal=USR1", tasks[1].number], check=True)
        tasks[1].release_when_told(SIGUSR1)
        expect("tasks", [task.outcome() for task in tasks], [("COMPLETED", "0:0", int(i == 1)) for i in range(4)])
        for line, folder in zip(lines, folders):
            runs.box.ok("sluice-train", "long.ini", *line.split(), "--run.dir=direct")
            expect(line, runs.digest(folder), runs.digest("direct"))
            subprocess.run(["rm", "-r", runs.box.at("direct")], check=True)


def lose_a_node(cluster, job, which):
    """The daemon of one of a job's nodes, its job steps and its ranks end together; the others are there again for what comes."""
    node = job.nodes()[which]
    cluster.lose(node)
    job.signal_ranks(SIGCONT)
    return node


def lost_node(cluster):
    """The node of the script, and another one."""
    for kind, which in [(SINGLE, 0), (REQUEUE, 0), *((kind, which) for kind in MPI for which in (0, 1))]:
        with Runs(cluster) as runs:
            job = runs.submit(kind, "run")
            job.hold(runs.steps("run"))
            node = lose_a_node(cluster, job, which)
            runs.expect_whole(f"{kind.name}: node {which} lost", kind, job, "run")
            cluster.bring_back(node)


def fewer_nodes(cluster):
    """A range of nodes goes on with those that are left; a run is submitted again with another number."""
    with Runs(cluster) as runs:
        for kind in MPI:
            job = runs.submit(kind, kind.name, f"--nodes=2-{NODES}")
            job.hold(runs.steps(kind.name))
            expect("nodes at first", len(job.nodes()), NODES)
            node = lose_a_node(cluster, job, 1)
            state, code, restarts = job.outcome()
            expect(f"{kind.name}: end", (state, code, restarts >= 1, len(job.nodes())), ("COMPLETED", "0:0", True, NODES - 1))
            cluster.bring_back(node)
            job = runs.submit(kind, kind.name, "--nodes=1", arguments=["--train.epochs=3", "--extend"])
            expect(f"{kind.name}: on one node", job.outcome(), ("COMPLETED", "0:0", 0))
            rows = [line.split(",")[0] for line in runs.box.text(kind.name + "/metrics.csv").splitlines()[1:]]
            expect(f"{kind.name}: epochs", rows, [str(epoch) for epoch in range(1, 4)])


def first_second(cluster):
    """SIGUSR1 before a program has said anything."""
    rng = random.Random(3)
    with Runs(cluster) as runs:
        for kind in REQUEUED:
            jobs = []
            for i in range(4):
                jobs.append(runs.submit(kind, f"{kind.name}{i}", config="net.ini"))
                jobs[-1].wait_for_start()
                time.sleep(rng.uniform(0, 0.7))
                subprocess.run(["scancel", "--signal=USR1", jobs[-1].number], stderr=subprocess.DEVNULL, check=False)
            for i, job in enumerate(jobs):
                runs.expect_whole(f"{kind.name} {i}", kind, job, f"{kind.name}{i}", least=0, config="net.ini")


def mpirun_in_a_job(cluster):
    """The libraries' own launchers ask Slurm for the nodes."""
    with Runs(cluster) as runs:
        for kind, command in [(OPENMPI, "mpirun.openmpi --allow-run-as-root"), (MPICH, "mpirun.mpich")]:
            if kind in MPI:
                runs.box.write("job.sh", f"#!/bin/bash\n{command} {BIN}/sluice-train net.ini --run.dir={kind.name}\n")
                job = cluster.submit("--nodes=2", "--ntasks-per-node=1", "job.sh", cwd=runs.box.path)
                runs.expect_whole(f"mpirun of {kind.name}", kind, job, kind.name, least=0, config="net.ini")


def disturb_often(cluster, count, kinds, disturb):
    """So many times, of one run after another."""
    done = started = 0
    while done < count:
        with Runs(cluster) as runs:
            kind = kinds[started % len(kinds)]
            started += 1
            job, steps, restarts, position = runs.submit(kind, "run"), runs.steps("run"), 0, 0
            while done < count and restarts < 4:
                position = job.hold(steps, position, may_end=True)
                if position is None:
                    break
                disturb(job, random.choice(range(len(job.nodes()))))
                done, restarts = done + 1, restarts + 1
                wait_for("restart", lambda: int(job.fields()["Restarts"]) >= restarts or job.is_finished())  # pylint: disable=cell-var-from-loop
                if not job.is_finished():
                    job.wait_for_start(restarts)
                expect(f"{kind.name}: steps after {done}", steps() >= position, True)
                position = steps()
            runs.expect_whole(f"{kind.name} after {done}", kind, job, "run", least=restarts)
            print(f"{kind.name}: {restarts} times, {done} in all", flush=True)


def preempt_often(cluster, count):
    disturb_often(cluster, count, REQUEUED, lambda job, _: preempt(cluster, [job]))


def lose_often(cluster, count):
    def lose(job, which):
        node = lose_a_node(cluster, job, which)
        wait_for("the loss", lambda: job.state() != "RUNNING")
        cluster.start_node(node)
    disturb_often(cluster, count, [*MPI, REQUEUE], lose)


def end_often(cluster, count):
    """Short runs of each MPI library between nodes: none hangs at its end, and each ends with the right code."""
    with Runs(cluster) as runs:
        jobs = [(kind, f"{kind.name}{i}") for i in range(count) for kind in MPI]
        jobs = [(kind, run, runs.submit(kind, run, config="net.ini")) for kind, run in jobs]
        for kind, run, job in jobs:
            runs.expect_whole(run, kind, job, run, least=0, config="net.ini")


TESTS = [as_they_are, stop_and_submit_again, time_limit, preemption, cancel, sweep, lost_node, fewer_nodes, first_second, mpirun_in_a_job]


def main():
    signal(SIGTERM, lambda *_: sys.exit(1))  # which the first process of a namespace would not hear
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="by default all: " + " ".join(test.__name__ for test in TESTS))
    parser.add_argument("--preemptions", type=int, default=0, metavar="N", help="instead: N, of one run after another")
    parser.add_argument("--lost", type=int, default=0, metavar="N", help="instead: N lost nodes")
    parser.add_argument("--ends", type=int, default=0, metavar="N", help="instead: N short runs of each MPI library")
    arguments = parser.parse_args()
    loops = [(preempt_often, arguments.preemptions), (lose_often, arguments.lost), (end_often, arguments.ends)]
    chosen = [(lambda cluster, loop=loop, count=count: loop(cluster, count), loop.__name__) for loop, count in loops if count]
    chosen = chosen or [(test, test.__name__) for test in TESTS if not arguments.tests or test.__name__ in arguments.tests]
    with tempfile.TemporaryDirectory(prefix="sluice-slurm-", dir="/var/tmp") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)  # hundreds of checkpoints
        tempfile.tempdir = folder  # jobs of all nodes see it
        os.environ.update(ENVIRONMENT)
        cluster = Cluster(folder, NODES)
        for test, name in chosen:
            begin, before = time.monotonic(), len(problems)
            try:
                test(cluster)
            except Stuck as error:
                expect(f"{name}: {error}", "stuck", "")
            if len(problems) > before:
                print(cluster.what_happened())
                cluster.clear()
            print(f"{name}: {len(problems) - before} problems, {time.monotonic() - begin:.0f} s", flush=True)
        subprocess.run(["umount", "--lazy", folder], check=True)
    return 1 if problems or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
