"""The MPI launchers that are installed, and runs of several ranks under them."""
import os
import shutil
import subprocess
from dataclasses import dataclass


@dataclass
class Launcher:
    name: str       # of the engine
    command: tuple  # the number of ranks follows
    library: str    # how its MPI calls itself

    def is_there(self, libraries):
        return shutil.which(self.command[0]) is not None and os.path.exists(f"{libraries}/libsluice_{self.name}.so")


# Tests run as root, in containers, with more ranks than processors.
LAUNCHERS = [
    Launcher("openmpi", ("mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n"), "Open MPI"),
    Launcher("mpich", ("mpirun.mpich", "-n"), "MPICH"),
]


@dataclass
class Ended:
    code: int
    out: str
    err: str


def start(launcher, count, command, env=None, cwd=None):
    return begin([*launcher.command, str(count), *command] if launcher else list(command), env, cwd)


def begin(line, env, cwd):
    """All in a session of their own, so that they can be ended together."""
    # Open MPI's shared memory would lie in /dev/shm, which containers make small; waiting ranks yield the processor.
    # What the MPI libraries do not free at their end is not ours to find.
    environment = {**(os.environ if env is None else env), "OMPI_MCA_mpi_yield_when_idle": "1",
                   "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    return subprocess.Popen(line, cwd=cwd, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)


def launch(launcher, count, command, env=None, cwd=None, seconds=180):
    return await_end(start(launcher, count, command, env, cwd), seconds)


def launch_each(launcher, commands, env=None, cwd=None, seconds=180):
    """A rank for each command."""
    line = list(launcher.command[:-1])
    for command in commands:
        line += [":"] * (command is not commands[0]) + ["-n", "1", *command]
    return await_end(begin(line, env, cwd), seconds)


def await_end(process, seconds):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        return Ended(-1, out, f"{err}\n(did not end within {seconds} s)")
    return Ended(process.returncode, out, err)


def ranks_of(process, program="sluice-train"):
    """The processes of a program below a launcher, by id."""
    found = subprocess.run(["ps", "-eo", "pid,ppid,stat,comm"], capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 3) for line in found.splitlines()[1:]]
    below = {process.pid}
    for _ in range(5):
        below |= {int(pid) for pid, parent, _, _ in lines if int(parent) in below}
    return [int(pid) for pid, _, state, name in lines if name.startswith(program) and int(pid) in below and state[0] != "Z"]
