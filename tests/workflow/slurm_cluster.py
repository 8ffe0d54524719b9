"""A private SLURM cluster of pretend nodes on this machine: python tests/workflow/slurm_cluster.py COMMAND ...

Starts munged, slurmctld and a slurmd for each node on loopback, all their files in one folder, runs COMMAND in their
environment, and stops them. A node's GPU is /dev/null and its memory a number: the scheduler is real, the rest is not.
Needs root and Debian's packages slurm-wlm and munge.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
CONF = """ClusterName=pretend
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdTimeout=10
KillWait=2
MinJobAge={remembered}
MaxJobCount={queue}
ReturnToService=2
SwitchType=switch/none
MpiDefault=none
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PropagateResourceLimits=NONE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName={name} NodeAddr=127.0.0.1 NodeHostname={host} Port={port} CPUs={cpus} RealMemory=256000 Gres=gpu:1\n"


def missing() -> str | None:
    """Why there can be no cluster here, or ``None``."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "the daemons of SLURM need root"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Cluster:
    """The daemons of a cluster in a folder, as a context.

    Args:
        folder: receives configuration, state and logs.
        nodes: number of pretend nodes, with one pretend GPU each.
        cpus: of a node.
        queue: jobs that the controller takes, those that ended in the last ``remembered`` seconds among them.
        remembered: seconds for which the controller knows a job that has ended.
    """

    def __init__(self, folder: Path, nodes: int = 1, cpus: int = 2, queue: int = 1000, remembered: int = 300):
        self.folder, self.names = folder.absolute(), [f"node{n}" for n in range(1, nodes + 1)]
        self.env = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self.env["PATH"] = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        self._daemons: dict[str, subprocess.Popen] = {}
        ports, host = free_ports(nodes + 1), socket.gethostname()
        for name in ("bin", "munge", "state", *self.names):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge").chmod(0o711)
        key = self.folder / "munge/key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        conf = CONF.format(host=host, port=ports[0], folder=self.folder, queue=queue, remembered=remembered)
        conf += "".join(NODE.format(name=n, host=host, port=p, cpus=cpus) for n, p in zip(self.names, ports[1:]))
        (self.folder / "slurm.conf").write_text(conf)
        (self.folder / "gres.conf").write_text("".join(f"NodeName={n} Name=gpu File=/dev/null\n" for n in self.names))
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        # inside a job Snakemake's executor calls srun without SLURM_CONF, and there is no /etc/slurm/slurm.conf here
        srun = self.folder / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.env["SLURM_CONF"]} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)

    def __enter__(self) -> Cluster:
        try:
            munge = [f"--{what}-file={self.folder}/munge/{what}" for what in ("key", "pid", "log", "seed")]
            self._start("munged", "munged", "--foreground", "--force", f"--socket={self.folder}/munge/socket", *munge)
            self._wait("munge", lambda: (self.folder / "munge/socket").exists())
            self._start("slurmctld", "slurmctld", "-D")
            self._wait("slurmctld", lambda: "UP" in self.ask("scontrol", "ping"))
            for name in self.names:
                self.start_node(name)
            self._wait("nodes", lambda: set(self.ask("sinfo", "-hNo", "%T").split()) == {"idle"})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.ask("scancel", "--user", "root")
        for name in reversed(list(self._daemons)):
            daemon = self._daemons.pop(name)
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def jobs(self, states: str = "all") -> dict[str, list[str]]:
        """Id -> state, comment (the rule) and node of the jobs in these states."""
        lines = self.ask("squeue", "-h", f"--states={states}", "-o", "%i|%T|%k|%N").splitlines()
        return {line.split("|")[0]: line.split("|")[1:] for line in lines if "|" in line}

    def start_node(self, name: str) -> None:
        self._start(name, "slurmd", "-D", "-N", name)

    def lose_node(self, name: str) -> None:
        """The node's daemon dies at once, and with it whatever runs there, as when the power goes."""
        daemon = self._daemons.pop(name)
        # the daemon first, then its steps: none lives to report that its job failed
        for pid in [daemon.pid, *self._job_processes(name)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.wait()

    def _job_processes(self, node: str) -> list[int]:
        """The steps of a node, and after them all that they started."""
        marks = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={self.env['SLURM_CONF']}"}
        parents = {pid: _parent(pid) for pid in (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))}
        marked = {pid for pid in parents if marks <= set(_read(pid, "environ").split("\0"))}
        found = sorted({parents[pid] for pid in marked if _read(parents[pid], "comm").startswith("slurmstepd")})
        for one in found:
            found.extend(pid for pid, parent in parents.items() if parent == one and pid not in found)
        return found

    def _start(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.out", "a") as out:
            self._daemons[name] = subprocess.Popen(
                command, env=self.env, stdout=out, stderr=out, start_new_session=True
            )

    def _wait(self, what: str, ready, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                logs = "".join(p.read_text(errors="replace")[-1000:] for p in sorted(self.folder.glob("*.log")))
                raise RuntimeError(f"{what} did not come up in {seconds:.0f} s; see {self.folder}\n{logs}")
            time.sleep(0.2)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""  # it has ended


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        print(f"For squeue in another terminal: export SLURM_CONF={cluster.env['SLURM_CONF']}", file=sys.stderr)
        sys.exit(subprocess.run(sys.argv[1:], env=cluster.env, check=False).returncode)
