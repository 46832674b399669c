"""Curves of all phases on one axis: the tokens that a phase's weights have seen since the base."""

from collections.abc import Sequence

from stages.core.artifacts.files import csv_text
from stages.core.params.phases import BASE
from stages.report.gather import Phase, Result
from stages.report.measures import metrics_of

FIGURES = ("code_cross_entropy", "validation_code_cross_entropy", "validation_base_code_cross_entropy", "learning_rate")
COLUMNS = ("phase", "step", "tokens_seen", "tokens_in_phase", *FIGURES)


def tokens_before(phases: Sequence[Phase]) -> dict[str, int]:
    """Tokens that the weights had seen when a phase began: those of all phases that it descends from."""
    ends = {BASE: 0}
    starts = {}
    for phase in phases:
        starts[phase.name] = ends[phase.start_from]
        ends[phase.name] = starts[phase.name] + phase.tokens_seen
    return starts


def join_curves(phases: Sequence[Phase]) -> list[dict[str, str]]:
    """Rows of COLUMNS in the order of training; a figure that a point does not have is an empty cell."""
    before = tokens_before(phases)
    rows = []
    for phase in phases:
        for point in phase.curve:
            in_phase = int(float(point["tokens_seen"]))
            place = {"phase": phase.name, "step": point["step"], "tokens_seen": str(before[phase.name] + in_phase),
                     "tokens_in_phase": str(in_phase)}
            rows.append(place | {name: point.get(name) or "" for name in FIGURES})
    return rows


def write_metrics_table(results: Sequence[Result]) -> str:
    """CSV: a row for the base and each phase, a column for each metric's mean; an empty cell is unmeasured."""
    names = [metric.name for metric in metrics_of([result.measures for result in results])]
    rows = [{"phase": result.name} | {name: result.measure(name).mean for name in names} for result in results]
    return csv_text(rows, ("phase", *names))
