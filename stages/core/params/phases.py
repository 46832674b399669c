"""The schedule's graph: each phase of training starts from `base` or from another phase."""

import re
from collections.abc import Mapping

BASE = "base"
PHASE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def phase_problems(starts: Mapping[str, str]) -> list[str]:
    """List what is wrong with a schedule, one line a problem.

    Args:
        starts: phase name -> the phase, or `base`, whose checkpoint it starts from.
    """
    problems = [] if starts else ["phases: must hold at least one phase"]
    for name, start in starts.items():
        if not isinstance(name, str) or not PHASE_NAME.fullmatch(name):
            problems.append(f"phases: a phase name must match ^[a-z][a-z0-9_]*$ (got {name!r})")
        elif name == BASE:
            problems.append("phases.base: 'base' is the untouched model and cannot name a phase")
        if start != BASE and start not in starts:
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
            name = starts[name]
        cleared.update(trail)
    return []


def phase_order(starts: Mapping[str, str]) -> list[str]:
    """Order the phases so that each follows the one it starts from; ties keep the file's order.

    Raises:
        ValueError: the schedule has a cycle or an unknown start.
    """
    ordered: list[str] = []
    while len(ordered) < len(starts):
        ready = [name for name in starts if name not in ordered and starts[name] in (BASE, *ordered)]
        if not ready:
            raise ValueError("; ".join(phase_problems(starts)))
        ordered.append(ready[0])
    return ordered
