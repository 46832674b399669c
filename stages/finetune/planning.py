"""A plan: what it is made from, and its figures for LoRA, full and the whole schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import UserError
from stages.core.model.checkpoint import DERIVED, WEIGHTS_FILE, base_shapes, map_tensors
from stages.core.model.settings import BaseSettings, read_settings
from stages.core.params.phases import phase_order, phase_problems
from stages.core.params.shared import BaseConfig, MachineConfig, SplitsConfig
from stages.core.params.strict import load_section, parse_section, read_params
from stages.finetune.advice import remedies
from stages.finetune.config import Phase
from stages.finetune.expected_speech import ExpectedSpeech, expect_speech
from stages.finetune.forecast import PhaseForecast, PlannedPhase, feature_bytes, forecast_phase, need_gib
from stages.finetune.memory_need import rows_a_pass
from stages.finetune.throughput import Device


@dataclass(frozen=True)
class Start:
    """The model that is planned from.

    Attributes:
        settings: the base's config.yaml.
        pieces: text pieces of the model when it is trained.
        parameters: of the whole base, frozen encoders included.
        told: what was read where.
    """

    settings: BaseSettings
    pieces: int
    parameters: int
    told: list[str]


@dataclass(frozen=True)
class Strategy:
    """One way to train: phases one after the other.

    Attributes:
        features_bytes: of data/features, the same for all.
        remedies: params that would make it fit; empty where it fits, or where nothing does.
    """

    name: str
    phases: list[PhaseForecast]
    fits: bool
    remedies: list[str]
    features_bytes: int
    start_bytes: int

    @property
    def hours(self) -> float | None:
        """Of all phases; None if the speed of one is unknown."""
        known = [phase.hours for phase in self.phases]
        return None if None in known else sum(hours for hours in known if hours is not None)

    @property
    def disk_bytes(self) -> int:
        """Checkpoints of all phases and of the start, their states in .resume, features."""
        return self.features_bytes + self.start_bytes + sum(
            phase.checkpoint_bytes + phase.state_bytes for phase in self.phases)


@dataclass(frozen=True)
class Plan:
    """Figures of every strategy.

    Attributes:
        hours, train_hours: of target speech, and what the splits leave to train on.
    """

    hours: float
    train_hours: float
    start: Start
    device: Device
    speech: ExpectedSpeech
    strategies: dict[str, Strategy]


def read_start(params_file: Path, model_path: Path | None) -> Start:
    """The base of the params file, or another folder: a base, or a checkpoint whose text rows are counted.

    Raises:
        UserError: no config.yaml can be read.
    """
    base = Path(load_section(BaseConfig, "base", params_file).path)
    folder = model_path or base
    weights = folder / WEIGHTS_FILE
    base = base if weights.is_file() else folder
    settings = read_settings(base)
    counted = sum(shape.numel() for shape in base_shapes(settings.gpt).values())
    told = [f"shape: {base / 'config.yaml'}, {counted:,} parameters, counted by building it without memory"]
    stored = base / settings.gpt_checkpoint
    if stored.is_file():
        held = sum(value.numel() for name, value in map_tensors(stored).items() if not name.startswith(DERIVED))
        told.append(f"weights: {stored} holds {held:,}" + ("" if held == counted else ", which is not its config's"))
    else:
        told.append(f"weights: {stored} is not there and was not needed")
    if weights.is_file():
        pieces = len(map_tensors(weights)["text_embedding.weight"]) - 1
        told.append(f"vocabulary: {pieces:,} pieces, the rows of {weights}")
    else:
        new = int(read_params(params_file)["train_vocabulary"]["pieces"])
        pieces = settings.gpt.number_text_tokens + new
        told.append(f"vocabulary: {settings.gpt.number_text_tokens:,} pieces of config.yaml and {new:,} new ones of "
                    f"train_vocabulary.pieces")
    return Start(settings, pieces, counted, told)


def read_phases(params_file: Path) -> dict[str, Phase]:
    """The schedule, in the order it runs.

    Raises:
        UserError: a phase is wrong, or the schedule is no chain.
    """
    sections: Mapping[str, Any] = read_params(params_file).get("phases") or {}
    phases = {name: parse_section(Phase, section, str(params_file), f"phases.{name}")
              for name, section in sections.items()}
    if problems := phase_problems({name: phase.start_from for name, phase in phases.items()}):
        raise UserError("; ".join(problems))
    return {name: phases[name] for name in phase_order({name: phase.start_from for name, phase in phases.items()})}


def make_plan(params_file: Path, hours: float, model_path: Path | None, device: Device) -> Plan:
    """All figures, for a device.

    Raises:
        UserError: params or base are wrong.
    """
    params = read_params(params_file)
    splits = load_section(SplitsConfig, "splits", params_file)
    machine = load_section(MachineConfig, "machine", params_file).model_copy(update={"processes": device.count})
    phases, start = read_phases(params_file), read_start(params_file, model_path)
    corpus = params["prepare_corpus"]
    speech = expect_speech(start.settings, float(corpus["duration_seconds_min"]),
                           float(corpus["duration_seconds_max"]))
    train_hours = hours * (1 - splits.validation_share - splits.test_share) * (1 - splits.test_speakers_share)
    gpt = start.settings.gpt
    models = {name: PlannedPhase.build(name, phase, gpt, start.pieces) for name, phase in phases.items()}
    forecasts = {name: forecast_phase(model, machine, device, speech, train_hours) for name, model in models.items()}
    chosen = strategies_of(phases)
    features = feature_bytes(gpt, speech, hours)
    strategies = {name: make_strategy(name, [models[phase] for phase in parts], [forecasts[phase] for phase in parts],
                                      machine, device, speech, features) for name, parts in chosen.items()}
    return Plan(hours, train_hours, start, device, speech, strategies)


def strategies_of(phases: Mapping[str, Phase]) -> dict[str, list[str]]:
    """Names of phases by strategy: the first of each approach alone, and the whole schedule."""
    alone: dict[str, list[str]] = {}
    for name, phase in phases.items():
        alone.setdefault(phase.approach, [name])
    return {**alone, "hybrid": list(phases)}


def make_strategy(
    name: str, models: list[PlannedPhase], forecasts: list[PhaseForecast], machine: MachineConfig, device: Device,
    speech: ExpectedSpeech, features: int,
) -> Strategy:
    """Phases together: whether all fit, and what would help if not."""
    def need(changed: MachineConfig, count: int) -> float:
        return max(need_gib(model.memory(changed, device, speech, count), device) for model in models)

    fits = need(machine, device.count) <= device.memory_gib
    rows = max(rows_a_pass(model.phase, machine, device.count) for model in models)
    found = [] if fits else remedies(need, machine, rows, device)
    return Strategy(name, forecasts, fits, found, features, 4 * forecasts[0].total)
