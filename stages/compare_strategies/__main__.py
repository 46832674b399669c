"""LoRA only, full only and schedules of both, at equal tokens seen: which is how good, at what cost, what is forgotten.

python -m stages compare_strategies plan          data/comparison/plan: the runs, and the corpora they train on
python -m stages compare_strategies run NAME      data/comparison/runs/NAME: one run of the plan
python -m stages compare_strategies table         data/comparison/table.md, table.json: all runs side by side

compare/dvc.yaml puts them together; `snakemake compare` runs what is stale, `dvc repro compare/dvc.yaml` too.
"""

import sys
from importlib import import_module

from stages.core.params.command import run_command, stage_parser

PARTS = ("plan", "run", "table")


def main(argv: list[str] | None = None) -> int:
    """Hand over to a part; each is imported alone, since DVC knows the parts' code apart."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = stage_parser("compare_strategies", __doc__)
    parser.add_argument("part", choices=PARTS)
    part = parser.parse_args(arguments[:1]).part
    return int(import_module(f"stages.compare_strategies.{part}").main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(run_command(main))
