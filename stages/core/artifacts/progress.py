"""Progress of a long loop, for logs and people: a line at most every few seconds, with rate and time left."""

import time


class Progress:
    """Counts items of a known total.

    Args:
        unit: what is counted, for the line.
        total: how many there will be.
        every_seconds: least time between two lines.
    """

    def __init__(self, unit: str, total: int, every_seconds: float = 5.0):
        self.unit, self.total, self.every_seconds = unit, total, every_seconds
        self.done = self.skipped = 0
        self.started = self.printed = time.monotonic()

    def skip(self, count: int) -> None:
        """Count items that take no time, such as those of an earlier run, so that the rate leaves them out."""
        self.done += count
        self.skipped += count

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count items; the note ends the line."""
        self.done += count
        now = time.monotonic()
        if now - self.printed >= self.every_seconds or self.done == self.total:
            self.printed = now
            rate = (self.done - self.skipped) / max(now - self.started, 1e-9)
            minutes, seconds = divmod(int((self.total - self.done) / rate), 60)
            print(f"{self.done}/{self.total} {self.unit}  {rate:.1f}/s  ETA {minutes}:{seconds:02d}  {note}".rstrip(),
                  flush=True)
