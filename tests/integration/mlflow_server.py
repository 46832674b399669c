"""MLflow's server in a process of its own, on the loopback, and a proxy before it that can be made slow."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from tests.processes import free_port, wait_for

START_SECONDS = 120


class Server:
    """A tracking server over a database, sqlite in its folder if none is named; it can be killed and started again."""

    def __init__(self, folder: Path, database: str | None = None):
        self.folder, self.port = folder, free_port()
        self.database = database or f"sqlite:///{folder}/mlflow.db"
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
                   "--workers", "1", "--backend-store-uri", self.database,
                   "--artifacts-destination", str(self.folder / "artifacts")]
        with open(self.folder / "log", "a") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                                             env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"})
        wait_for(self._answers, START_SECONDS, 0.1, self._process, lambda: (self.folder / "log").read_text()[-3000:])

    def kill(self) -> None:
        """kill -9 of the server with its workers."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return True
        except OSError:
            return False


class SlowProxy(socketserver.ThreadingTCPServer):
    """Hands every byte on, `delay_seconds` after it came."""

    daemon_threads = True

    def __init__(self, port: int):
        self.target, self.delay_seconds = port, 0.0
        super().__init__(("127.0.0.1", 0), Connection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Connection(socketserver.BaseRequestHandler):
    """One client's connection, and one of its own to the server."""

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as onward:
            back = threading.Thread(target=hand_on, args=(onward, self.request, lambda: 0.0), daemon=True)
            back.start()
            hand_on(self.request, onward, lambda: self.server.delay_seconds)
            back.join()


def hand_on(source, target, delay) -> None:
    """Copy until either end closes."""
    try:
        while piece := source.recv(65536):
            time.sleep(delay())
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
