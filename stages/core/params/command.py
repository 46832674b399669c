"""The command line that every stage shares."""

import argparse


def stage_parser(stage: str, docstring: str | None) -> argparse.ArgumentParser:
    """A parser whose --help shows the stage's docstring: what it reads, what it writes."""
    return argparse.ArgumentParser(
        prog=f"python -m stages.{stage}", description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
