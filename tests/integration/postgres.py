"""A Postgres of its own on the loopback, from the machine's packages; it can be killed and started again."""

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from tests.processes import free_port

USER = "postgres"  # Postgres refuses to be root; Debian's package makes this account
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [Path(shutil.which("postgres") or "/none").parent]


def what_is_missing() -> str:
    """What a test with Postgres lacks here, and how to add it; empty where nothing is missing."""
    if not find_spec("psycopg2"):
        return "psycopg2: python3 workflow/setup.py --extra postgres"
    return "" if (BINARIES[-1] / "initdb").exists() else "Postgres: apt-get install postgresql"


class Postgres:
    """A database in a folder of its own, without passwords, for this machine's processes alone."""

    def __init__(self) -> None:
        self.port, self.folder = free_port(), Path(mkdtemp(prefix="postgres-"))
        if os.geteuid() == 0:
            account = pwd.getpwnam(USER)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._command("initdb", "--auth", "trust", "--username", USER, "--no-sync")

    @property
    def uri(self) -> str:
        """The address by which SQLAlchemy finds it."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, or again after a kill, and wait until it answers."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder}"
        self._command("pg_ctl", "start", "--wait", "-o", options, "-l", str(self.folder / "log"))

    def kill(self) -> None:
        """End it at once, with what it had not written, as the loss of its machine does."""
        self._command("pg_ctl", "stop", "--mode", "immediate")

    def remove(self) -> None:
        """End it if it runs, and delete what it held."""
        self._command("pg_ctl", "stop", "--mode", "immediate", check=False)
        shutil.rmtree(self.folder)

    def _command(self, name: str, *options: str, check: bool = True) -> None:
        user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run([BINARIES[-1] / name, "-D", self.folder / "data", *options], check=check, cwd=self.folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, timeout=120, **user)
