"""What the gates decided, in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import read_json
from stages.core.artifacts.gates import checkpoint_behind
from stages.core.params.phases import gated


@dataclass(frozen=True)
class Gate:
    """The gate of one phase.

    Attributes:
        handed_on: the checkpoint that took its place, or the phase itself.
        findings: figure, rule, value, kept of each limit.
    """

    phase: str
    handed_on: str
    findings: Sequence[Mapping[str, Any]]

    @property
    def passed(self) -> bool:
        return self.handed_on == self.phase


def read_gates(phases: Iterable[str], checkpoints: Path, evaluation: Path) -> list[Gate]:
    """Read the judgements on those phases that have a gate.

    Raises:
        UserError: a judgement is missing.
    """
    return [Gate(phase, checkpoint_behind(checkpoints / gated(phase)),
                 read_json(evaluation / gated(phase) / "judgement.json")["findings"]) for phase in phases]


def tell_gates(gates: Sequence[Gate]) -> list[str]:
    """A sentence for each gate: the limits that decided, and what was handed on."""
    return [f"Gate of {gate.phase}: {_figures(gate)}. "
            + ("It is handed on." if gate.passed else f"Missed: {gate.handed_on} is handed on in its place.")
            for gate in gates]


def tell_set_aside(gates: Sequence[Gate]) -> str:
    """For the headline: which phases gave way; empty where none did."""
    missed = [gate.phase for gate in gates if not gate.passed]
    return f" ({', '.join(missed)} missed {'its gate' if len(missed) == 1 else 'their gates'})" if missed else ""


def _figures(gate: Gate) -> str:
    told = [finding for finding in gate.findings if gate.passed or not finding["kept"]]
    return "; ".join(f"{finding['figure'].replace('_', ' ')} {finding['value']:.3f}, {finding['rule']}"
                     for finding in told)
