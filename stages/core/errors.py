"""Errors that a user can mend: shown as one line, never as a traceback."""

import errno
import signal

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """A wrong input. The message names the file or field, the rule and the value.

    Attributes:
        status: exit status of a command that ends by it.
    """

    status = 2


class Diverged(UserError):
    """A training that came to nothing: its inputs were well-formed, its settings too bold."""

    status = 3


class ParamsError(UserError):
    """All that is wrong with a params file, one problem a line."""

    def __init__(self, source: str, problems: list[str]):
        self.problems = problems
        super().__init__(f"{source}: {len(problems)} problem(s)\n" + "\n".join(f"  {p}" for p in problems))


class Interrupted(Exception):
    """A run that a signal asked to stop, and that has saved its state.

    Attributes:
        status: the exit status that tells the signal.
    """

    def __init__(self, number: int, step: int | None = None):
        self.status = 128 + number
        place = "" if step is None else f" at step {step}"
        super().__init__(f"stopped by {signal.Signals(number).name}{place}; the next start goes on from there")
