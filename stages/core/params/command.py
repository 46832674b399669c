"""The command line that every stage shares."""

import argparse
import sys
from collections.abc import Callable

from stages.core.errors import FULL_DISK, Interrupted, UserError


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
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.status
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        print(f"error: {error.filename or 'a file'}: cannot write: {error.strerror}", file=sys.stderr)
        return UserError.status
    except KeyboardInterrupt:
        return 130
