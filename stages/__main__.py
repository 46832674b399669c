"""Run one stage, after the whole params file has been validated.

python -m stages check                      validate params.yaml and stop
python -m stages STAGE [options of STAGE]   validate, then run; finetune, evaluate_speech, gate_phase take --phase NAME

Exit status: 0 done, 2 a wrong input (told in plain words on stderr), 3 a training that diverged, 128 + N stopped by
signal N with its state saved, anything else a fault.
"""

import argparse
import os
import sys
from contextlib import nullcontext
from importlib import import_module

from stages.core.params.command import run_command
from stages.schema import STAGES, check_params
from stages.undisturbed import undisturbed

CHECK = "check"
DVC_STAGE = "DVC_STAGE"
# Before torch is imported: threads that wait for each other sleep. Spinning ones, the default, fall to a tenth of their
# speed when two of them share two cores with anything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def parse_command(argv: list[str]) -> tuple[str, list[str]]:
    """Split the command line into the stage's name and the options that are the stage's own."""
    parser = argparse.ArgumentParser(
        prog="python -m stages",
        description="Validate params.yaml, then run one stage of the schedule.",
        epilog="stages, in the order of the schedule: " + ", ".join(STAGES),
    )
    parser.add_argument("stage", choices=[CHECK, *STAGES], metavar="STAGE", help="a stage's name, or 'check'")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the stage; see STAGE --help")
    command = parser.parse_args(argv)
    return command.stage, command.options


def main(argv: list[str] | None = None) -> int:
    """Validate, dispatch, and turn a user's error into plain words."""
    stage, options = parse_command(sys.argv[1:] if argv is None else argv)
    return run_command(lambda: run_stage(stage, fill_in_key(options)))


def fill_in_key(options: list[str]) -> list[str]:
    """Put the key of DVC's stage, `lora` of finetune@lora, in place of its address.

    DVC's commands pass the address by its environment variable, so that no value of the params is read by a shell.
    """
    address = os.environ.get(DVC_STAGE)
    return [option.rpartition("@")[2] if option == address else option for option in options]


def run_stage(stage: str, options: list[str]) -> int:
    """Validate the params file, then run a stage."""
    is_help = bool({"-h", "--help"} & set(options))
    with nullcontext() if is_help else undisturbed():
        if not is_help:
            check_params()
        return 0 if stage == CHECK else int(import_module(f"stages.{stage}.__main__").main(options))


if __name__ == "__main__":
    sys.exit(main())
