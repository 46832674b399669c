"""Measure and tell: `python -m benchmarks [NAME ...] [--tables]`

benchmarks/results/<name>.json          figures of this machine's CPU
benchmarks/results/<name>.<gpu>.json    training on its GPU; where there is one, training is not measured on the CPU
benchmarks/results/README.md            tables of all of them, and the claims they answer

All benchmarks take about ten minutes on two cores. Others run by name only: memory_model, released_step (which needs
20 GB of disk for that time) and corpus_scale (4 GB) take three to fifteen more each.
"""

import argparse
import importlib
import sys
import time

from benchmarks.device import this_machine, this_processor
from benchmarks.page import render
from benchmarks.results_folder import PAGE, RESULTS, save
from stages.core.artifacts.files import write_text
from stages.core.params.command import run_command

BENCHMARKS = ("trainable_share", "vocabulary_coverage", "text_speed", "training_speed", "training_memory",
              "feature_loading", "code_positions")
BY_NAME = ("memory_model", "released_step", "vocabulary_initialisation", "corpus_scale")
ON_THE_GPU = ("training_speed", "training_memory", "memory_model")


def main(argv: list[str] | None = None) -> int:
    """Run the named benchmarks, all of them without a name, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"of {', '.join(BENCHMARKS)} (default: these); by name only: {', '.join(BY_NAME)}")
    parser.add_argument("--tables", action="store_true", help="measure nothing, write the page from the JSON files")
    arguments = parser.parse_args(argv)
    if unknown := [name for name in arguments.names if name not in BENCHMARKS + BY_NAME]:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHMARKS + BY_NAME)}")
    if not arguments.tables:
        measure_all(arguments.names or BENCHMARKS)
    page = render(RESULTS)
    write_text(RESULTS / PAGE, page)
    print(page)
    return 0


def measure_all(names: tuple[str, ...] | list[str]) -> None:
    """Measure and save one benchmark after the other."""
    for name in names:
        machine = this_machine() if name in ON_THE_GPU else this_processor()
        started = time.monotonic()
        print(f"{name} ...", end=" ", flush=True)
        save(RESULTS, name, machine, importlib.import_module(f"benchmarks.{name}").measure(machine))
        print(f"{time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
