"""A phase's figures held against its gate's limits."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import read_csv, read_json
from stages.core.errors import UserError
from stages.gate_phase.config import Gate, Limit

Figures = Mapping[str, Any]
ABSOLUTE = {"max": "at most", "min": "at least"}
RELATIVE = {"rise_over_base_max": "base", "rise_over_previous_max": "previous"}


@dataclass(frozen=True)
class Finding:
    """One limit and what was measured.

    Attributes:
        rule: the limit in words, such as `at most 0.6`.
        value: the phase's mean, with its 95 % interval where it has one; the mean alone decides.
        previous: the mean of the checkpoint before the phase; None where it has none.
    """

    figure: str
    rule: str
    value: float
    low: float | None
    high: float | None
    previous: float | None
    kept: bool


@dataclass(frozen=True)
class Judgement:
    """What a gate found, and which checkpoint it hands on: the phase's, `previous`, or none where it stops."""

    phase: str
    gate: Gate
    findings: list[Finding]

    @property
    def passed(self) -> bool:
        return all(finding.kept for finding in self.findings)

    @property
    def missed(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.kept]

    @property
    def handed_on(self) -> str | None:
        if self.passed:
            return self.phase
        return self.gate.previous if self.gate.on_failure == "fall_back" else None

    def outcome(self) -> str:
        """In words, for tags and first lines."""
        if self.passed:
            return "passed"
        return f"failed: fell back to {self.handed_on}" if self.handed_on else "failed: stopped"

    def as_record(self) -> dict[str, Any]:
        """The content of judgement.json."""
        return {"phase": self.phase, "passed": self.passed, "on_failure": self.gate.on_failure,
                "previous": self.gate.previous, "handed_on": self.handed_on,
                "findings": [asdict(finding) for finding in self.findings]}


def judge(phase: str, gate: Gate, figures: Figures, previous: Figures, base: Figures) -> Judgement:
    """Hold a phase's figures against its gate.

    Args:
        figures, previous, base: figure -> {mean, low, high}, null where unmeasured.

    Raises:
        UserError: a figure under a limit is unmeasured; all of them are named.
    """
    others = {"base": base, "previous": previous}
    wanted = [(figures, f"of {phase}", name) for name in gate.limits]
    wanted += [(others[RELATIVE[key]], f"of {name_of(key, gate)}", name) for name, limit in gate.limits.items()
               for key in limit.model_fields_set & RELATIVE.keys()]
    if lacking := [f"{name} {whose}" for held, whose, name in wanted if mean_of(held, name) is None]:
        raise UserError(f"gate_phase.{phase}.limits: unmeasured, so that no limit can be held against it: "
                        f"{', '.join(lacking)}; name a judge in evaluate_speech, or take the limit out")
    findings = [finding for name, limit in gate.limits.items()
                for finding in weigh(name, limit, gate, figures[name], previous.get(name), base.get(name))]
    return Judgement(phase, gate, findings)


def weigh(
    name: str, limit: Limit, gate: Gate, figure: Figures, previous: Figures | None, base: Figures | None
) -> Iterator[Finding]:
    """One finding for each bound of a limit."""
    value, before = float(figure["mean"]), (previous or {}).get("mean")
    for key, bound in limit.model_dump(exclude_none=True).items():
        if key in ABSOLUTE:
            most, rule = bound, f"{ABSOLUTE[key]} {bound:g}"
        else:
            start = float(((base if RELATIVE[key] == "base" else previous) or {})["mean"])
            most, rule = start + bound, f"at most {bound:g} above {start:.3f} of {name_of(key, gate)}"
        kept = value >= most if key == "min" else value <= most
        yield Finding(name, rule, value, figure.get("low"), figure.get("high"), before, kept)


def name_of(key: str, gate: Gate) -> str:
    """Name the checkpoint that a relative limit counts from."""
    return "base" if RELATIVE[key] == "base" else gate.previous


def mean_of(figures: Figures, name: str) -> float | None:
    """A figure's mean, None where unmeasured."""
    return (figures.get(name) or {}).get("mean")


def validation_figures(checkpoint: Path) -> dict[str, dict[str, float]]:
    """The validation of the weights that a phase handed on, as figures without an interval.

    Raises:
        UserError: the phase's folder lacks its curve or its summary.
    """
    step = int(read_json(checkpoint / "summary.json")["handed_on"]["step"])
    points = [point for point in read_csv(checkpoint / "curves.csv") if int(float(point["step"])) == step]
    return {name: {"mean": float(value)} for point in points for name, value in point.items()
            if name.startswith("validation_") and value}
