"""The whole params file: every section's model in one place, and the rules that tie sections together.

Only this module and the runner know all stages. Neither is a DVC dependency of any stage: they decide whether a stage
may start, never what it computes, so a change here must not make results stale.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stages.core.errors import ParamsError
from stages.core.params.phases import BASE, gate_problems, phase_of, phase_problems
from stages.core.params.strict import PARAMS_FILE, describe, read_params

STAGES = (
    "prepare_corpus",
    "train_vocabulary",
    "extract_features",
    "finetune",
    "evaluate_speech",
    "gate_phase",
    "export_model",
    "report",
    "compare_strategies",
)
PHASES = "phases"
PHASE_MODEL = ("stages.finetune.config", "Phase")
SECTIONS = {
    "base": ("stages.core.params.shared", "BaseConfig"),
    "splits": ("stages.core.params.shared", "SplitsConfig"),
    "text": ("stages.core.text.config", "TextConfig"),
    "machine": ("stages.core.params.shared", "MachineConfig"),
    "tracking": ("stages.core.params.shared", "TrackingConfig"),
    "speak": ("stages.core.speaking.config", "SpeakConfig"),
    **{stage: (f"stages.{stage}.config", "Config") for stage in STAGES},
}
OPTIONAL_SECTIONS = {"build_base": ("stages.build_base.config", "Config")}
DROPPED_BY_RUN_CACHE = ("size", "nfiles")


def check_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Read and validate a whole params file.

    Raises:
        UserError: the file is missing or is no YAML.
        ParamsError: every violated rule, each with field, rule and value.
    """
    params = read_params(path)
    problems = params_problems(params)
    if problems:
        raise ParamsError(str(path), problems)
    return params


def params_problems(params: Mapping[str, Any]) -> list[str]:
    """List everything that is wrong with the content of a params file."""
    known = {**SECTIONS, **OPTIONAL_SECTIONS}
    problems = [f"{name}: unknown section" for name in params if name not in known and name != PHASES]
    problems += [f"{name}: missing section" for name in (*SECTIONS, PHASES) if name not in params]
    for name, where in known.items():
        if name in params:
            problems += section_problems(load_model(*where), params[name], name)
    if PHASES in params:
        problems += all_phases_problems(params[PHASES])
    problems += export_problems(params) or all_gate_problems(params)
    problems += comparison_problems(params)
    problems += [
        f"{field}: a key must not be named '{field.rsplit('.', 1)[-1]}': DVC leaves it out of its run cache key"
        for field in fields_named(params, DROPPED_BY_RUN_CACHE)
    ]
    return problems


def load_model(module: str, name: str) -> type[BaseModel]:
    """Import one section's model."""
    model: type[BaseModel] = getattr(import_module(module), name)
    return model


def section_problems(model: type[BaseModel], content: Any, prefix: str) -> list[str]:
    """Validate one section, or one phase, against its model."""
    if not isinstance(content, Mapping):
        return [f"{prefix}: must be a mapping (got {type(content).__name__})"]
    try:
        model.model_validate(content)
    except ValidationError as error:
        return describe(error, prefix)
    return []


def all_phases_problems(phases: Any) -> list[str]:
    """Validate each phase, and the graph that they form."""
    if not isinstance(phases, Mapping):
        return [f"{PHASES}: must be a mapping of phase name to phase (got {type(phases).__name__})"]
    model = load_model(*PHASE_MODEL)
    problems = []
    for name, phase in phases.items():
        problems += section_problems(model, phase, f"{PHASES}.{name}")
    starts = {
        name: phase["start_from"]
        for name, phase in phases.items()
        if isinstance(phase, Mapping) and isinstance(phase.get("start_from"), str)
    }
    if len(starts) == len(phases):
        problems += phase_problems(starts)
    return problems


def export_problems(params: Mapping[str, Any]) -> list[str]:
    """The exported phase must exist."""
    export, phases = params.get("export_model"), params.get(PHASES)
    if not isinstance(export, Mapping) or not isinstance(phases, Mapping) or "phase" not in export:
        return []
    if phase_of(str(export["phase"])) in phases and export["phase"] != BASE:
        return []
    return [f"export_model.phase: must be one of {', '.join(map(str, phases))} (got {export['phase']!r})"]


def all_gate_problems(params: Mapping[str, Any]) -> list[str]:
    """A gate must fit a schedule that is sound; what is wrong with either alone is told with its section."""
    gates, phases, export = params.get("gate_phase"), params.get(PHASES), params.get("export_model")
    if not isinstance(gates, Mapping) or section_problems(load_model(*SECTIONS["gate_phase"]), gates, "gate_phase"):
        return []
    if all_phases_problems(phases) or not isinstance(phases, Mapping):
        return []
    exported = export.get("phase", "") if isinstance(export, Mapping) else ""
    return gate_problems({name: gate["previous"] for name, gate in gates.items()},
                         {name: phase["start_from"] for name, phase in phases.items()}, exported)


def comparison_problems(params: Mapping[str, Any]) -> list[str]:
    """Every strategy's phases, put together from those of the schedule, must be sound phases.

    A strategy that takes a phase which the schedule has not is refused by the comparison itself, when it is asked for:
    another schedule is an edit of `phases` alone.
    """
    phases = params.get(PHASES)
    try:
        comparison = load_model(*SECTIONS["compare_strategies"]).model_validate(params.get("compare_strategies"))
    except ValidationError:
        return []  # told with its section
    strategies: Mapping[str, list[Any]] = getattr(comparison, "strategies", {})
    if not isinstance(phases, Mapping) or not all(isinstance(phase, Mapping) for phase in phases.values()):
        return []
    resolve = import_module(SECTIONS["compare_strategies"][0]).resolve_phases
    problems = []
    for name, strategy in strategies.items():
        if all(phase.like in phases for phase in strategy) and not all_phases_problems(phases):
            for phase, content in resolve(strategy, phases).items():
                where = f"compare_strategies.strategies.{name}.{phase}"
                problems += section_problems(load_model(*PHASE_MODEL), content, where)
    return problems


def fields_named(content: Any, names: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    """Yield the dotted field of every mapping key that bears one of the names, at any depth."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            field = f"{prefix}.{key}" if prefix else str(key)
            if key in names:
                yield field
            yield from fields_named(value, names, field)
    elif isinstance(content, list):
        for position, value in enumerate(content):
            yield from fields_named(value, names, f"{prefix}[{position}]")
