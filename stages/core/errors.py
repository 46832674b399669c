"""Errors that a user can mend: shown as one line, never as a traceback."""

import errno
import re
import signal

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Signs that a terminal obeys or that turn the direction of writing, lines and tabs aside."""


def printable(text: object) -> str:
    """A text for a console, which may hold words of foreign files: signs that would command it are written out."""
    return CONTROLS.sub(lambda sign: sign[0].encode("unicode_escape").decode(), str(text))


def one_line(text: object) -> str:
    """The same of a foreign name or value, which must not pass for a line of the message that it stands in."""
    return printable(text).replace("\n", "\\n")


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
        super().__init__(f"{source}: {len(problems)} problem(s)\n" + "\n".join(f"  {one_line(p)}" for p in problems))


class Interrupted(Exception):
    """A run that a signal asked to stop, and that has saved its state.

    Attributes:
        status: the exit status that tells the signal.
    """

    def __init__(self, number: int, step: int | None = None):
        self.status = 128 + number
        place = "" if step is None else f" at step {step}"
        super().__init__(f"stopped by {signal.Signals(number).name}{place}; the next start goes on from there")
