"""A Slurm of one machine, from Debian's packages, in a folder of its own; its daemons end with the block."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.processes import wait_for

DAEMONS = ("munged", "slurmctld", "slurmd")
START_SECONDS = 30
ENOUGH_MB = 2000
CONFIGURATION = """
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
# A requeued job waits for as long as a credential lives.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
KillWait=30
JobRequeue=1
JobFileAppend=1
# A job of `urgent` takes the place of one of `normal`: SIGTERM, 30 seconds, SIGKILL, back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=normal Nodes=ALL Default=YES PriorityTier=1
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""


def what_is_missing() -> str:
    """What this machine lacks for a Slurm of its own; empty where nothing is missing."""
    if os.geteuid() != 0:
        return "root"
    gone = [name for name in DAEMONS if not daemon(name)]
    return f"{', '.join(gone)}: apt-get install slurm-wlm munge" if gone else ""


def daemon(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def one_machine_slurm() -> Iterator[dict[str, str]]:
    """Start the daemons; give the environment in which Slurm's commands talk to them. They end with the block."""
    with TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        lay_out(folder)
        environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"),
                                    "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}
        started: list[subprocess.Popen] = []
        try:
            start_daemons(folder, environment, started)
            yield environment
        finally:
            with suppress(subprocess.SubprocessError):
                ask(environment, "scancel", "--user=root")
            for process in reversed(started):
                stop(process)


def lay_out(folder: Path) -> None:
    """Write key and configuration."""
    folder.chmod(0o755)  # munged wants its socket's folders open to all
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    (folder / "munge.key").touch(0o600)
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "slurm.conf").write_text(configuration(folder))
    # Within a job the plugin starts srun without any variable of Slurm's; elsewhere the configuration is in /etc.
    (folder / "bin/srun").write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    (folder / "bin/srun").chmod(0o755)


def start_daemons(folder: Path, environment: dict[str, str], started: list[subprocess.Popen]) -> None:
    """Start them in order, each in the foreground, and wait until the machine takes jobs."""
    def start(name: str, *options: str) -> None:
        with open(folder / f"{name}.out", "w") as said:
            command = [daemon(name) or name, *options]
            started.append(subprocess.Popen(command, env=environment, stdout=said, stderr=said))

    def logs() -> str:
        return "\n".join(path.read_text()[-1500:] for path in sorted([*folder.glob("*.log"), *folder.glob("*.out")]))

    wait = partial(wait_for, seconds=START_SECONDS, every_seconds=0.2, said=logs)
    start("munged", "--foreground", *(f"--{option}={folder}/munge.{ending}" for option, ending in (
        ("socket", "socket"), ("key-file", "key"), ("pid-file", "pid"), ("seed-file", "seed"), ("log-file", "log"))))
    wait((folder / "munge.socket").exists)
    start("slurmctld", "-D")
    start("slurmd", "-D")
    wait(lambda: "idle" in ask(environment, "sinfo", "--noheader", "--format=%T"))


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=30)
    process.kill()
    process.wait()


def configuration(folder: Path) -> str:
    """slurm.conf of this machine."""
    ports = []
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("127.0.0.1", 0))
            ports.append(taken.getsockname()[1])
    return CONFIGURATION.format(folder=folder, host=socket.gethostname().split(".")[0], controller_port=ports[0],
                                node_port=ports[1], cpus=os.cpu_count(), memory_mb=ENOUGH_MB)


def ask(environment: dict[str, str], *command: str) -> str:
    """What one of Slurm's commands says; empty while nobody answers."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout
