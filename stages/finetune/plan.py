"""What a training will need, said before anything runs: LoRA, full, and the params file's whole schedule.

    python -m stages.finetune.plan --hours 30 --gpu-memory 24
    python -m stages.finetune.plan --hours 150 --gpu H100 --gpu-memory 80 --gpus 4 --price 2.5 --json

Reads config.yaml of the base (its weights need not be there), params.yaml, and speeds from benchmarks/results; writes
nothing. Parameters are counted by building the model without memory, peak memory is estimated term by term.
Exit 2: the advised strategy does not fit; the message names the params that would make it fit.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from stages.core.errors import UserError
from stages.core.params.command import run_command, stage_parser
from stages.core.params.strict import PARAMS_FILE
from stages.core.training.flops import PEAK_BFLOAT16_FLOPS
from stages.core.training.memory import GIB
from stages.finetune.advice import advise
from stages.finetune.forecast import CONTEXT_GIB, FRAGMENTS, LAUNCH_SECONDS, LIBRARIES_GIB, PhaseForecast
from stages.finetune.planning import Plan, Strategy, make_plan
from stages.finetune.throughput import choose_device

UNMEASURED = "unmeasured"
HEADER = ("strategy", "phase", "epochs", "trained", "peak GiB", "fits", "tokens", "steps", "hours", "cost", "disk GB")


def main(argv: list[str] | None = None) -> int:
    flags = build_parser().parse_args(argv)
    if not flags.hours > 0:
        raise UserError(f"--hours: must be more than 0 (got {flags.hours:g})")
    device = choose_device(flags.gpu, flags.gpu_memory, flags.gpus)
    plan = make_plan(flags.config, flags.hours, flags.model_path, device)
    name, reason = advise(plan.hours)
    advised = plan.strategies.get(name) or next(iter(plan.strategies.values()))
    print(json.dumps(as_json(plan, advised, reason, flags.price), indent=2) if flags.json else
          as_text(plan, advised, reason, flags.price), flush=True)
    if not advised.fits:
        raise UserError(refusal(plan, advised))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Every flag with its unit and default."""
    parser = stage_parser("finetune.plan", __doc__)
    add = parser.add_argument
    add("--hours", type=float, required=True, metavar="H", help="hours of target speech, all splits together")
    add("--model_path", type=Path, metavar="DIR",
        help="folder of a base (its config.yaml is enough) or of a checkpoint (default: base.path of the params)")
    add("--config", type=Path, default=PARAMS_FILE, metavar="FILE", help="params file (default: params.yaml)")
    add("--gpu", metavar="NAME", help=f"what to plan for: {', '.join(PEAK_BFLOAT16_FLOPS)} (default: this machine's)")
    add("--gpu-memory", type=float, metavar="GB", help="memory of one GPU, GiB as sold (default: this machine's GPU)")
    add("--gpus", type=int, metavar="N", help="GPUs that train together (default: 1)")
    add("--price", type=float, metavar="USD", help="of one device and hour (default: no cost is told)")
    add("--json", action="store_true", help="print the same figures as JSON")
    return parser


def refusal(plan: Plan, advised: Strategy) -> str:
    """Why the plan cannot be, and what would change that."""
    need = max(phase.need_gib for phase in advised.phases)
    said = (f"{advised.name} needs {need:.1f} GiB on each device, {plan.device.name} is planned with "
            f"{plan.device.memory_gib:.1f} GiB")
    if advised.remedies:
        return f"{said}; it fits with {'; or with '.join(advised.remedies)}"
    return f"{said}; no setting of section machine makes it fit: a larger GPU, or a smaller " \
           f"prepare_corpus.duration_seconds_max (longest utterance planned {plan.speech.longest.seconds:.1f} s)"


def as_text(plan: Plan, advised: Strategy, reason: str, price: float | None) -> str:
    """The plan for people."""
    device = plan.device
    lines = [f"plan for {plan.hours:g} h of speech, {plan.train_hours:.1f} h of them to train on; "
             f"{device.count} x {device.name}, {device.memory_gib:.1f} GiB each ({device.told})", ""]
    lines += _aligned([HEADER, *(row for strategy in plan.strategies.values() for row in _rows(strategy, plan, price))])
    lines += ["", f"advised: {advised.name}. {reason}."]
    for strategy in plan.strategies.values():
        if not strategy.fits:
            help_told = f"it fits with {'; or with '.join(strategy.remedies)}" if strategy.remedies else "nothing helps"
            lines.append(f"{strategy.name} does not fit: {help_told}")
    return "\n".join([*lines, "", "read and assumed:", *(f"- {line}" for line in assumptions(plan))])


def _rows(strategy: Strategy, plan: Plan, price: float | None) -> list[tuple[str, ...]]:
    """A line a phase, and one for all where there are several; the last one has the disk of everything."""
    limit, phases = plan.device.memory_gib, strategy.phases
    rows = [(strategy.name if number == 0 else "", phase.name, str(phase.epochs),
             f"{phase.trained / 1e6:.2f} M ({phase.trained / phase.total:.1%})", f"{phase.need_gib:.1f}",
             "yes" if phase.need_gib <= limit else "NO", _tokens(phase.tokens), f"{phase.steps:,}",
             *_time(phase.hours, phase.speed.measured, plan, price),
             _gigabytes(phase.checkpoint_bytes + phase.state_bytes)) for number, phase in enumerate(phases)]
    if len(phases) == 1:
        return [(*rows[0][:-1], _gigabytes(strategy.disk_bytes))]
    return [*rows, (
        "", "in all", str(sum(phase.epochs for phase in phases)), "", f"{max(phase.need_gib for phase in phases):.1f}",
        "yes" if strategy.fits else "NO", _tokens(sum(phase.tokens for phase in phases)),
        f"{sum(phase.steps for phase in phases):,}",
        *_time(strategy.hours, all(phase.speed.measured for phase in phases), plan, price),
        _gigabytes(strategy.disk_bytes))]


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f}"


def _tokens(count: int) -> str:
    return f"{count / 1e6:.1f} M"


def _time(hours: float | None, measured: bool, plan: Plan, price: float | None) -> tuple[str, str]:
    """Hours and cost; ~ where the speed is assumed."""
    if hours is None:
        return UNMEASURED, "-" if price is None else UNMEASURED
    mark = "" if measured else "~"
    cost = "-" if price is None else f"{mark}${hours * price * plan.device.count:,.2f}"
    return mark + (f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"), cost


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def assumptions(plan: Plan) -> list[str]:
    """Where every figure comes from."""
    phases: list[PhaseForecast] = plan.strategies["hybrid"].phases
    speeds = list(dict.fromkeys(f"{phase.approach}: {phase.speed.source}" for phase in phases))
    extra = (f"{FRAGMENTS:.0%} that an allocator cannot use and {CONTEXT_GIB:g} GiB of CUDA's own, assumed"
             if plan.device.is_gpu else f"{LIBRARIES_GIB:g} GiB of libraries")
    unmeasured = plan.device.is_gpu and not all(phase.speed.measured for phase in phases)
    floor = [f"a pass takes {LAUNCH_SECONDS * 1000:g} ms a layer at least, for launching kernels: assumed"
             ] if unmeasured else []
    several = ["several GPUs: speed assumed to grow with their number, unmeasured"] if plan.device.count > 1 else []
    features = plan.strategies["hybrid"].features_bytes / 1e9
    return [
        *plan.start.told, *plan.speech.assumptions, *speeds, *floor, *several,
        f"peak: a batch of the longest utterances ({plan.speech.longest.seconds:.1f} s); estimate and {extra}",
        "tokens: supervised ones of all epochs, replayed base-language utterances included, as long as the target's",
        "hours: steps alone, without validation, checkpoints, feature extraction and evaluation; ~ is unmeasured, from "
        "an assumed speed",
        "advice: the bounds of 10, 50 and 100 h are the field's custom, measured nowhere here",
        f"disk: checkpoints with adapters, the start, states in .resume, features ({features:.2f} GB); DVC's cache "
        "holds as much again where the file system knows neither reflinks nor hard links; audio is not counted",
        "lora, full: the schedule's first phase of that approach, alone and with its own epochs",
    ]


def as_json(plan: Plan, advised: Strategy, reason: str, price: float | None) -> dict[str, Any]:
    """The plan for programs: the table's figures without rounding."""
    def told(strategy: Strategy) -> dict[str, Any]:
        hours = strategy.hours
        return {
            "phases": [phase.as_json() for phase in strategy.phases], "fits": strategy.fits,
            "remedies": strategy.remedies, "need_gib": max(phase.need_gib for phase in strategy.phases),
            "tokens": sum(phase.tokens for phase in strategy.phases), "hours": hours,
            "cost_usd": None if hours is None or price is None else hours * price * plan.device.count,
            "disk_bytes": strategy.disk_bytes, "features_bytes": strategy.features_bytes,
        }

    return {
        "hours_of_speech": plan.hours, "train_hours": plan.train_hours, "device": vars(plan.device),
        "model_parameters": plan.start.parameters, "text_pieces": plan.start.pieces,
        "strategies": {name: told(strategy) for name, strategy in plan.strategies.items()},
        "advised": {"strategy": advised.name, "reason": reason, "fits": advised.fits},
        "assumptions": assumptions(plan), "bytes_a_gib": GIB,
    }


if __name__ == "__main__":
    sys.exit(run_command(main))
