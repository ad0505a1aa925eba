"""A real Slurm on one machine: a controller, and node daemons in namespaces of their own, so that a node can be lost with all it runs.

Wants root, and to be the first process of PID, mount and UTS namespaces of its own: whatever was started ends with it."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

CONFIGURATION = """\
ClusterName=sluice
SlurmctldHost=login(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that was put back waits until the credentials of its last start are void.
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool.%n
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
TmpFS={folder}/tmp.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=10
KillWait=15
ReturnToService=2
SlurmdParameters=config_overrides
{nodes}
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""
CPUS = 16
FINISHED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"}


class Stuck(Exception):
    """What was waited for did not happen."""


def wait_for(what, condition, seconds=600):
    """The first true answer of the condition."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise Stuck(f"{what}: not within {seconds} s")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    def __init__(self, folder, nodes):
        self.folder = folder
        self.names = [f"n{i + 1}" for i in range(nodes)]
        self.daemons = {}  # by name of node
        os.chmod(folder, 0o755)
        os.makedirs(os.path.join(folder, "state"))
        self.ports = free_ports(nodes + 1)
        os.environ["SLURM_CONF"] = self.write("slurm.conf", CONFIGURATION.format(
            folder=folder, port=self.ports[-1],
            nodes="\n".join(f"NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} RealMemory=64000"
                            for name, port in zip(self.names, self.ports))))
        hosts = self.write("hosts", "127.0.0.1 localhost login " + " ".join(self.names) + "\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        socket.sethostname("login")
        self.start_munge()
        self.start_daemon(["slurmctld", "-D"])
        for name in self.names:
            self.start_node(name)
        self.wait_for_nodes()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def start_daemon(self, command, **options):
        with open(os.path.join(self.folder, "daemons.log"), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

    def start_munge(self):
        folder = os.path.join(self.folder, "munge")
        user = pwd.getpwnam("munge")
        os.makedirs(folder, 0o755)
        with open(folder + "/key", "wb") as file:
            file.write(os.urandom(128))
        os.chmod(folder + "/key", 0o400)
        for path in (folder, folder + "/key"):
            os.chown(path, user.pw_uid, user.pw_gid)
        self.start_daemon(["munged", "--foreground", f"--key-file={folder}/key", f"--socket={folder}/socket", f"--log-file={folder}/log",
                           f"--pid-file={folder}/pid", f"--seed-file={folder}/seed"], user="munge", group="munge", extra_groups=[])
        wait_for("munge", lambda: os.path.exists(folder + "/socket"))

    def start_node(self, name):
        # Like one that was set up anew: with the sockets that lost steps leave, Slurm 22.05 cannot start the same job there again.
        for kind in ("spool", "tmp"):
            path = os.path.join(self.folder, f"{kind}.{name}")
            shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path)
        # The shell is the first process of the namespace: it buries the dead.
        self.daemons[name] = self.start_daemon(["unshare", "--pid", "--mount-proc", "--uts", "--fork", "--kill-child", "bash", "-c",
                                                f"hostname {name}; slurmd -N {name} -D & wait"])

    def lose(self, name):
        """The daemon, job steps and ranks of a node end together."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def bring_back(self, name):
        self.start_node(name)
        self.wait_for_nodes()

    def states(self):
        lines = subprocess.run(["sinfo", "-h", "-N", "-p", "low", "-o", "%N %T"], capture_output=True, text=True, check=False).stdout.splitlines()
        return dict(line.split() for line in lines)

    def wait_for_nodes(self):
        wait_for("nodes", lambda: [self.states().get(name) for name in self.names] == ["idle"] * len(self.names))

    def submit(self, *arguments, cwd, env=None):
        result = subprocess.run(["sbatch", "--parsable", *arguments], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True,
                                text=True, check=False)
        if result.returncode != 0:
            raise Stuck(f"sbatch {' '.join(arguments)}: {result.stderr}")
        return Job(self, result.stdout.strip())

    def clear(self):
        """Ends all jobs and starts the nodes that are gone."""
        subprocess.run(["scancel", "--user=root"], check=False)
        subprocess.run(["scancel", "--signal=KILL", "--full", "--user=root"], stderr=subprocess.DEVNULL, check=False)
        for name, daemon in self.daemons.items():
            if daemon.poll() is not None:
                self.start_node(name)
        self.wait_for_nodes()

    def what_happened(self):
        """The ends of the logs."""
        parts = []
        for name in ["slurmctld.log", "daemons.log", *(f"slurmd.{node}.log" for node in self.names)]:
            with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                parts.append(f"--- {name}\n" + "".join(file.readlines()[-30:]))
        return "".join(parts)


class Job:
    """A job, or one task of an array ("7_2")."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number

    def task(self, index):
        return Job(self.cluster, f"{self.number}_{index}")

    def fields(self):
        """What scontrol knows of it: {"JobState": "RUNNING", "Restarts": "0", ...}."""
        shown = subprocess.run(["scontrol", "show", "job", "-o", self.number], capture_output=True, text=True, check=False).stdout
        return dict(field.split("=", 1) for field in shown.split() if "=" in field)

    def state(self):
        return self.fields().get("JobState", "")

    def is_finished(self):
        return self.state() in FINISHED

    def outcome(self):
        """Waits for its end: ("COMPLETED", "0:0", how often it was started again)."""
        wait_for(f"end of job {self.number}", lambda: self.state() in FINISHED)
        fields = self.fields()
        return fields["JobState"], fields["ExitCode"], int(fields["Restarts"])

    def wait_for_start(self, restarts=0):
        def is_running():
            fields = self.fields()
            return fields.get("JobState") == "RUNNING" and int(fields["Restarts"]) >= restarts
        wait_for(f"start {restarts + 1} of job {self.number}", is_running)

    def nodes(self):
        """The first is that of the script."""
        listed = self.fields()["NodeList"]
        return subprocess.run(["scontrol", "show", "hostnames", listed], capture_output=True, text=True, check=True).stdout.split()

    def ranks(self):
        """The processes of sluice-train: {PID: node}."""
        wanted = [f"SLURM_JOB_ID={self.fields().get('JobId')}"]
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) != "sluice-train":
                    continue
                with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as file:
                    environment = file.read().split("\0")
            except OSError:
                continue  # it has ended
            if all(each in environment for each in wanted):
                found[int(pid)] = next(each.split("=")[1] for each in environment if each.startswith("SLURMD_NODENAME="))
        return found

    def signal_ranks(self, number):
        for pid in self.ranks():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def hold(self, progress, beyond=0, may_end=False):
        """Stops the ranks when more than so many steps are done: what comes then does not depend on how fast the machine is.
        Returns the steps; None where the job may end, and did."""
        wait_for(f"step {beyond + 1} of job {self.number}", lambda: progress() > beyond or self.is_finished())
        self.signal_ranks(signal.SIGSTOP)
        if not self.is_finished():
            return progress()
        if not may_end:
            raise Stuck(f"job {self.number} ended before step {beyond + 1}: {self.outcome()}")
        return None

    def release_when_told(self, number):
        """Lets held ranks go on as soon as each of them was sent a signal."""
        def is_told(pid):
            try:
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    status = dict(line.split(":", 1) for line in file)
            except OSError:
                return True
            pending = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
            return "T (stopped)" not in status["State"] or pending >> (number - 1) & 1
        ranks = self.ranks()
        wait_for(f"{signal.Signals(number).name} for job {self.number}", lambda: all(map(is_told, ranks)))
        self.signal_ranks(signal.SIGCONT)
