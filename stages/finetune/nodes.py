"""The line that each machine runs to train one phase on several machines together.

python -m stages.finetune.nodes --nodes 2 --meet node1:29500 --phase full

prints a torchrun line: as many processes a machine as machine.processes says, which find each other at the address of
one of the machines. The project's folder must be shared between them. What they leave in .resume, the schedule's own
next run takes: it finds the phase trained, and writes its outputs in seconds.
"""

import shlex
import sys

from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import MachineConfig
from stages.core.params.strict import load_section
from stages.core.training.launcher import torchrun_line


def main(argv: list[str] | None = None) -> int:
    """Print the line."""
    parser = stage_parser("finetune.nodes", __doc__)
    parser.add_argument("--nodes", type=int, required=True, help="machines")
    parser.add_argument("--meet", required=True, metavar="HOST:PORT", help="one of them, and a free port there")
    parser.add_argument("--phase", required=True)
    flags = parser.parse_args(argv)
    machine = load_section(MachineConfig, "machine")
    where = (f"--nnodes={flags.nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={flags.meet}")
    print(shlex.join(torchrun_line(machine.processes, where, "stages.finetune", ["--phase", flags.phase])))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
