"""A thread that sends what a run writes, so that no training step waits for the store.

A store that is away is told once, and asked again every few seconds; when it is back it gets, in order, all that it
missed. What it has not taken when the run ends is kept in files: kept.py.
"""

import sys
import threading
from typing import Any

from stages.core.errors import printable
from stages.core.tracking.delivery import Entry, reason_of, send_all
from stages.core.tracking.kept import SEND_COMMAND, keep

SEND_SECONDS = 5.0


class Outbox:
    """Entries of one run on their way to the store.

    Args:
        client: MLflow's client.
        uri: of the store, to name it.
    """

    def __init__(self, client: Any, uri: str):
        self._client, self._uri = client, uri
        self._waiting: list[Entry] = []
        self._told: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Take an entry; never waits."""
        self._waiting.append(entry)

    def close(self, most_seconds: float | None = None) -> None:
        """Send what waits, and keep what cannot be sent; never raises, so that a stage ends as it would without.

        Args:
            most_seconds: how long to wait for a slow store; None for as long as it answers.
        """
        self._closing.set()
        self._thread.join(most_seconds)
        if left := list(self._waiting):
            self._keep(left)

    def _keep(self, left: list[Entry]) -> None:
        try:
            end = f"{keep(self._uri, left)} holds the rest, which the next stage or `{SEND_COMMAND}` sends"
        except OSError as error:
            end = f"the rest is lost, for it cannot be kept: {reason_of(error)}"
        print(f"MLflow: {self._uri} has not taken all of this run; {end}", file=sys.stderr)

    def _work(self) -> None:
        """Send every few seconds; once closing, until nothing waits or the store fails."""
        last = False
        while not last:
            last = self._closing.wait(SEND_SECONDS)
            try:
                send_all(self._client, self._waiting, self._tell_refused, self._tell_back)
            except Exception as error:
                self._tell_once("away", f"cannot write to {self._uri}: {reason_of(error)}; the run goes on, and what "
                                "it writes is sent when the store is back")

    def _tell_refused(self, entry: Entry, reason: str) -> None:
        self._tell_once("refused", f"{self._uri} refuses what it is sent: {entry['do']}: {reason}")

    def _tell_back(self) -> None:
        if "away" in self._told:
            self._tell_once("back", f"{self._uri} answers again and gets what it missed")

    def _tell_once(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            print(printable(f"MLflow: {text}"), file=sys.stderr, flush=True)


class Nowhere:
    """The outbox of a run that is recorded nowhere."""

    def add(self, entry: Entry) -> None:
        pass

    def close(self, most_seconds: float | None = None) -> None:
        pass
