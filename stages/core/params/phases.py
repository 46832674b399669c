"""The schedule's graph: each phase starts from `base`, from another phase, or from what that one's gate hands on."""

import re
from collections.abc import Mapping

BASE = "base"
PHASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
GATED = "_gated"


def gated(phase: str) -> str:
    """Name the checkpoint that a phase's gate hands on."""
    return phase + GATED


def phase_of(checkpoint: str) -> str:
    """Name the phase that a checkpoint is the result of, be it through a gate."""
    return checkpoint.removesuffix(GATED)


def phase_problems(starts: Mapping[str, str]) -> list[str]:
    """List what is wrong with a schedule, one line a problem.

    Args:
        starts: phase name -> the checkpoint that it starts from: `base`, a phase, or what a phase's gate hands on.
    """
    problems = [] if starts else ["phases: must hold at least one phase"]
    for name, start in starts.items():
        if not isinstance(name, str) or not PHASE_NAME.fullmatch(name):
            problems.append(f"phases: a phase name must match ^{PHASE_NAME.pattern}$ (got {name!r})")
        elif name == BASE:
            problems.append("phases.base: 'base' is the untouched model and cannot name a phase")
        elif name.endswith(GATED):
            problems.append(f"phases: a phase name must not end with {GATED}: what a gate hands on does (got {name!r})")
        if start != BASE and phase_of(start) not in starts:
            known = ", ".join([BASE, *map(str, starts)])
            problems.append(f"phases.{name}.start_from: must be one of {known} (got {start!r})")
    cycle = find_cycle(starts)
    if cycle:
        problems.append(f"phases.{cycle[0]}.start_from: must not lead back to itself (got {' -> '.join(cycle)})")
    return problems


def find_cycle(starts: Mapping[str, str]) -> list[str]:
    """Give one cycle as [a, b, ..., a], or an empty list."""
    cleared: set[str] = {BASE}
    for first in starts:
        trail: list[str] = []
        name = first
        while name in starts and name not in cleared:
            if name in trail:
                return [*trail[trail.index(name) :], name]
            trail.append(name)
            name = phase_of(starts[name])
        cleared.update(trail)
    return []


def phase_order(starts: Mapping[str, str]) -> list[str]:
    """Order the phases so that each follows the one it starts from; ties keep the file's order.

    Raises:
        ValueError: the schedule has a cycle or an unknown start.
    """
    ordered: list[str] = []
    while len(ordered) < len(starts):
        ready = [name for name in starts if name not in ordered and phase_of(starts[name]) in (BASE, *ordered)]
        if not ready:
            raise ValueError("; ".join(phase_problems(starts)))
        ordered.append(ready[0])
    return ordered


def ancestors(phase: str, starts: Mapping[str, str]) -> list[str]:
    """Give the checkpoints that a phase was made from, the nearest first; the schedule must be sound."""
    found: list[str] = []
    while phase in starts:
        found.append(starts[phase])
        phase = phase_of(starts[phase])
    return found


def gate_problems(gates: Mapping[str, str], starts: Mapping[str, str], exported: str) -> list[str]:
    """List what is wrong between the gates and a sound schedule: whoever takes a gated phase takes it from its gate.

    Args:
        gates: phase -> the checkpoint before it that the gate names.
        exported: the checkpoint that is exported.
    """
    problems = []
    for phase, previous in gates.items():
        if phase not in starts:
            problems.append(f"gate_phase.{phase}: must be one of {', '.join(starts)} (got {phase!r})")
        elif previous not in ancestors(phase, starts):
            allowed = ", ".join(ancestors(phase, starts))
            problems.append(f"gate_phase.{phase}.previous: must be one of {allowed}, which {phase} is made from "
                            f"(got {previous!r})")
    for field, taken in {**{f"phases.{name}.start_from": start for name, start in starts.items()},
                         "export_model.phase": exported}.items():
        if taken in gates:
            problems.append(f"{field}: must be {gated(taken)}, since {taken} has a gate (got {taken!r})")
        elif taken.endswith(GATED) and phase_of(taken) not in gates:
            problems.append(f"{field}: must be {phase_of(taken)}, which has no gate (got {taken!r})")
    return problems
