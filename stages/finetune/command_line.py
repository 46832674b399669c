"""What to train: a phase of the params file, or one put together by flags over it."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.artifacts.gates import checkpoint_behind
from stages.core.errors import ParamsError, UserError
from stages.core.params.command import stage_parser
from stages.core.params.shared import BaseConfig, MachineConfig
from stages.core.params.strict import PARAMS_FILE, load_section, parse_section, read_params
from stages.core.training.features import INDEX_FILE
from stages.finetune.config import Config, Phase

CHECKPOINTS, FEATURES, STANDALONE = Path("data/checkpoints"), Path("data/features"), Path("runs")
COSTS = Path("data/costs")
RESUME = Path(".resume")
BESIDE_THE_RESULT = ("config", "phase", "output", "resume", "cost")
OF_PHASE = {"learning_rate": "learning_rate", "batch_size": "batch_utterances", "epochs": "epochs"}
OF_LORA = {"lora_rank": "rank", "lora_alpha": "alpha"}


@dataclass(frozen=True)
class Job:
    """All that a run depends on.

    Attributes:
        name: of the phase.
        base: folder of the base, for its settings and as the teacher.
        start: folder whose model.safetensors is trained on.
        train, validation: index files of extracted features; the same file where the splits in it decide.
        vocabulary: tokenizer file that must fit the model, or None.
        output: folder that is written.
        tokens_max: supervised tokens after which the phase ends, at the next whole step; None for all of its epochs.
        resume: folder of saved states.
        cost: file that takes what the run cost, or None.
    """

    name: str
    phase: Phase
    config: Config
    machine: MachineConfig
    base: Path
    start: Path
    train: Path
    validation: Path
    vocabulary: Path | None
    output: Path
    params_file: Path
    tokens_max: int | None = None
    resume: Path = RESUME
    cost: Path | None = None

    @property
    def started_from(self) -> str:
        """The checkpoint that lies in `start`; where a gate fell back, not the one that the phase names."""
        return checkpoint_behind(self.start)

    def effective(self) -> dict[str, Any]:
        """The settings as they are used, flags included."""
        paths = {name: str(value) for name, value in vars(self).items() if isinstance(value, Path)}
        sections = {"phase": self.phase, "finetune": self.config, "machine": self.machine}
        dumped = {name: section.model_dump() for name, section in sections.items()}
        return {"name": self.name, "tokens_max": self.tokens_max, **dumped, **paths}


def parse_job(argv: list[str] | None, docstring: str | None) -> Job:
    """The job that a command line asks for.

    Raises:
        UserError: a flag, a file or the params are wrong; all wrong params at once.
    """
    flags = build_parser(docstring).parse_args(argv)
    params = read_params(flags.config)
    name = flags.phase or _first_phase(params, flags.use_lora)
    if name not in params.get("phases", {}):
        known = ", ".join(params.get("phases", {}))
        raise ParamsError(str(flags.config), [f"phases: no phase named {name!r}; there are {known}"])
    phase = parse_section(Phase, override(params, name, flags), str(flags.config), f"phases.{name}")
    changed = any(value is not None for flag, value in vars(flags).items() if flag not in BESIDE_THE_RESULT)
    changed = changed or flags.config != PARAMS_FILE
    base = Path(load_section(BaseConfig, "base", flags.config).path)
    train = flags.train_manifest or FEATURES / INDEX_FILE
    job = Job(
        name, phase, load_section(Config, "finetune", flags.config),
        load_section(MachineConfig, "machine", flags.config),
        base, flags.model_path or CHECKPOINTS / phase.start_from, train, flags.val_manifest or train,
        flags.amharic_vocab,
        flags.output or (STANDALONE if changed else CHECKPOINTS) / name, flags.config,
        flags.tokens_max, flags.resume or RESUME,
        flags.cost or (None if changed or flags.output else COSTS / f"{name}.json"),
    )
    _check_files(job)
    return job


def build_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Every flag with its unit and default; without flags beside --phase, the params file decides all."""
    parser = stage_parser("finetune", docstring)
    add = parser.add_argument
    add("--phase", help="phase of the params file (default: its first one of the approach that --use_lora names)")
    add("--config", type=Path, default=PARAMS_FILE, metavar="FILE", help="params file (default: params.yaml)")
    add("--model_path", type=Path, metavar="DIR",
        help="folder with the model.safetensors to train on (default: data/checkpoints/<start_from of the phase>)")
    add("--amharic_vocab", type=Path, metavar="FILE",
        help="bpe.model that the features were cut with; checked against the model (default: not checked)")
    add("--train_manifest", type=Path, metavar="FILE",
        help="index.jsonl of extracted features, rows of split `train` (default: data/features/index.jsonl)")
    add("--val_manifest", type=Path, metavar="FILE",
        help="index.jsonl of extracted features, rows of split `validation` (default: that of --train_manifest)")
    add("--use_lora", nargs="?", const=True, type=_boolean, metavar="True|False",
        help="adapters and new vocabulary rows only, or every parameter (default: the phase's approach)")
    add("--lora_rank", type=int, metavar="N", help="rank of the LoRA update (default: the phase's)")
    add("--lora_alpha", type=int, metavar="N", help="the update is scaled by alpha / rank (default: the phase's)")
    add("--learning_rate", type=float, metavar="X", help="peak rate a step (default: the phase's)")
    add("--batch_size", type=int, metavar="N", help="utterances a step, over all processes (default: the phase's)")
    add("--epochs", type=int, metavar="N", help="passes over the training rows (default: the phase's)")
    add("--tokens_max", type=_positive, metavar="N",
        help="end at the step that has met so many supervised tokens (default: all epochs)")
    add("--resume", type=Path, metavar="DIR", help="folder of saved states (default: .resume)")
    add("--cost", type=Path, metavar="FILE",
        help="write time, memory and origin there (default: data/costs/<phase>.json for a phase of the schedule)")
    add("--output", type=Path, metavar="DIR",
        help="folder to write (default: data/checkpoints/<phase>; runs/<phase> where a flag overrides the params)")
    return parser


def override(params: Mapping[str, Any], name: str, flags: argparse.Namespace) -> dict[str, Any]:
    """The phase's section with the flags in it."""
    phase = dict(params["phases"][name])
    phase |= {field: getattr(flags, flag) for flag, field in OF_PHASE.items() if getattr(flags, flag) is not None}
    if flags.use_lora is not None:
        phase["approach"] = "lora" if flags.use_lora else "full"
    if phase["approach"] != "lora":
        if given := [f"--{flag}" for flag in OF_LORA if getattr(flags, flag) is not None]:
            raise UserError(f"{' and '.join(given)}: only with approach lora (phase {name} is {phase['approach']})")
        return {key: value for key, value in phase.items() if key != "lora"}
    others = [other["lora"] for other in params["phases"].values() if other.get("lora")]
    lora = phase.get("lora") or (others[0] if others else {})
    wanted = {field: getattr(flags, flag) for flag, field in OF_LORA.items() if getattr(flags, flag) is not None}
    return {**phase, "lora": {**lora, **wanted}}


def _first_phase(params: Mapping[str, Any], use_lora: bool | None) -> str:
    """The first phase, or the first one of the approach that is asked for."""
    phases = params.get("phases", {})
    approach = {True: "lora", False: "full"}.get(use_lora) if use_lora is not None else None
    return next((name for name, phase in phases.items() if phase.get("approach") == approach), next(iter(phases), ""))


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be True or False (got {text!r})")
    return text.lower() == "true"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 (got {text!r})")
    return int(text)


def _check_files(job: Job) -> None:
    """All missing files at once."""
    needed = {"start": job.start / "model.safetensors", "train": job.train, "validation": job.validation,
              "base": job.base / "config.yaml"}
    if job.vocabulary:
        needed["vocabulary"] = job.vocabulary
    missing = [str(path) for path in dict.fromkeys(needed.values()) if not path.is_file()]
    if missing:
        raise UserError("missing: " + ", ".join(missing))
