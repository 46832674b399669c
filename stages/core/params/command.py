"""The command line that every stage shares."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stages.core.errors import FULL_DISK, Interrupted, UserError, printable


def stage_parser(stage: str, docstring: str | None) -> argparse.ArgumentParser:
    """A parser whose --help shows the stage's docstring: what it reads, what it writes."""
    return argparse.ArgumentParser(
        prog=f"python -m stages.{stage}", description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_command(main: Callable[[], int]) -> int:
    """Run a command; a user's error becomes plain words on stderr and its status, a saved stop its signal's.

    So does a disk without room, wherever a stage meets it.
    """
    try:
        with disk_errors():
            return main()
    except UserError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return error.status
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.status
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        print(printable(f"error: {error.filename or 'a file'}: cannot write: {error.strerror}"), file=sys.stderr)
        return UserError.status
    except KeyboardInterrupt:
        return 130


@contextmanager
def disk_errors() -> Iterator[None]:
    """Tell a write that the disk refused to a library as what it was, and not as a fault of the library."""
    try:
        yield
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if type(error).__name__ == "SafetensorError" and number:
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        if type(error).__name__ == "LibsndfileError" and "System error" in str(error):
            raise UserError("a sound file: cannot write: the system refused it; is the disk full?") from error
        raise
