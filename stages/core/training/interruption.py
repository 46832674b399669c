"""SIGTERM and SIGINT as a wish: the run saves its state at the next step and ends. Slurm preempts by SIGTERM."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from stages.core.training.launcher import SIGNALS, is_launched


class Interruption:
    """The signal that asked to stop, 0 for none."""

    def __init__(self) -> None:
        self.number = 0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Catch the signals; a second one has its usual effect.

        Not so in a process that was launched: its launcher passes on what all were sent, and sends a signal of its own
        as soon as one of them has ended. The others have yet to save and to tell how it ended.
        """
        before = {number: signal.signal(number, self._catch) for number in SIGNALS}
        try:
            yield
        except BaseException:
            before = {} if is_launched() else before
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if not is_launched():
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
