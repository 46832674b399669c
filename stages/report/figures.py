"""The loss curves, drawn for light and dark, wide and narrow screens.

The same inputs give the same bytes: no date, no random ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from stages.report.curves import join_curves, tokens_before
from stages.report.gather import Phase


@dataclass(frozen=True)
class Theme:
    """Colours of a figure; the phases' ones tell apart for colour-blind eyes (Okabe and Ito, 2008, adapted)."""

    text: str
    grid: str
    phases: tuple[str, ...]


THEMES = {
    "light": Theme("#30363d", "#d8dee4", ("#0072b2", "#c25000", "#00795a", "#8a3f83", "#7a6200", "#444c56")),
    "dark": Theme("#c9d1d9", "#3a424d", ("#56b4e9", "#ff9d5c", "#3dd6a0", "#e6a8d8", "#f0e442", "#aab4c0")),
}
WIDTHS_INCHES = {"wide": (9.6, 4.8), "narrow": (3.9, 4.4)}
TRAINING: dict[str, Any] = {"linewidth": 1, "alpha": 0.65}
VALIDATION: dict[str, Any] = {"linewidth": 1.8, "marker": "o", "markersize": 4}
STYLE = {
    "svg.hashsalt": "report", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False,
}


def draw_curves(phases: Sequence[Phase], folder: Path) -> None:
    """Write curves-<width>-<theme>.svg for every width and theme."""
    for width, inches in WIDTHS_INCHES.items():
        for name, theme in THEMES.items():
            colours = {key: theme.text for key in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")}
            with rc_context(STYLE | colours | {"axes.edgecolor": theme.grid, "grid.color": theme.grid}):
                figure = curve_figure(phases, theme, inches)
                figure.savefig(folder / f"curves-{width}-{name}.svg", transparent=True,
                               metadata={"Date": None, "Creator": None})


def curve_figure(phases: Sequence[Phase], theme: Theme, inches: tuple[float, float]) -> Figure:
    """Cross-entropy above, learning rate below, over tokens seen; a dashed line where a phase begins."""
    figure = Figure(figsize=inches, layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    rows, starts = join_curves(phases), tokens_before(phases)
    collide = names_collide(rows, starts, inches[0])
    for index, phase in enumerate(phases):
        colour = theme.phases[index % len(theme.phases)]
        own = [row for row in rows if row["phase"] == phase.name]
        losses.plot(*points(own, "code_cross_entropy"), color=colour, **TRAINING)
        losses.plot(*points(own, "validation_code_cross_entropy"), color=colour, **VALIDATION)
        rates.plot(*points(own, "learning_rate"), color=colour, linewidth=1.2)
        mark_phase(losses, rates, phase.name, starts[phase.name], colour, index % 2 if collide else 0)
    label_axes(losses, rates, theme)
    return figure


def label_axes(losses: Axes, rates: Axes, theme: Theme) -> None:
    """Write what is drawn."""
    losses.plot([], [], color=theme.text, label="training", **TRAINING)
    losses.plot([], [], color=theme.text, label="validation", **VALIDATION)
    handles, labels = losses.get_legend_handles_labels()
    losses.figure.legend(handles, labels, frameon=False, loc="outside upper right", ncols=2)
    losses.set_ylabel("nats a code")
    rates.set_ylabel("rate")
    rates.set_xlabel("tokens seen")
    rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rates.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes in (losses, rates):
        axes.grid(True, linewidth=0.6)
        axes.locator_params(axis="x", nbins=5)


def mark_phase(losses: Axes, rates: Axes, name: str, start: int, colour: str, line: int) -> None:
    """Draw where a phase begins and write its name there, on line 0 or 1 above the axes."""
    for axes in (losses, rates):
        axes.axvline(start, color=colour, linewidth=1, linestyle=(0, (4, 3)))
    losses.annotate(name, (start, 1), xycoords=("data", "axes fraction"), xytext=(3, 3 + 12 * line),
                    textcoords="offset points", color=colour, fontweight="bold", annotation_clip=False)


def names_collide(rows: Sequence[dict[str, str]], starts: Mapping[str, int], width_inches: float) -> bool:
    """Tell whether the names at the phases' beginnings would run into one another on one line."""
    inches_a_token = 0.85 * width_inches / max(int(row["tokens_seen"]) for row in rows)
    ordered = sorted(starts, key=lambda name: starts[name])
    return any((starts[after] - starts[before]) * inches_a_token < 0.1 * len(before) + 0.1
               for before, after in pairwise(ordered))


def points(rows: Sequence[dict[str, str]], column: str) -> tuple[list[int], list[float]]:
    """Tokens seen and values of the rows that have one."""
    held = [row for row in rows if row[column]]
    return [int(row["tokens_seen"]) for row in held], [float(row[column]) for row in held]
