"""What a corpus holds, for people: report.md, and the same figures as tables that DVC plots.

manifest.jsonl, quarantine.jsonl -> report.md
                                    plots/*.csv
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import write_text
from stages.core.artifacts.markdown import as_text
from stages.core.errors import one_line

REPORT, PLOTS = "report.md", "plots"
BAR_CHARACTERS = 40
SPEAKERS_SHOWN = 20
KINDS_SHOWN = 50
EXAMPLE_CHARACTERS = 120
OTHERS = "others"
WITHOUT_TAGS = str.maketrans("<>", "‹›")
"""For names in plots: `dvc plots` writes what a table holds into a script of its page, as it is."""


@dataclass
class Histogram:
    """Counts in bins of equal width; the last one is open."""

    width: float
    bins: int
    counts: Counter[int] = field(default_factory=Counter)

    def add(self, value: float) -> None:
        self.counts[min(int(value / self.width), self.bins - 1)] += 1

    def rows(self) -> list[tuple[str, int]]:
        """Label and count of each bin from the first to the last that holds something."""
        if not self.counts:
            return []
        return [(self._label(number), self.counts[number])
                for number in range(min(self.counts), max(self.counts) + 1)]

    def _label(self, number: int) -> str:
        low = f"{number * self.width:g}"
        return f"{low} and more" if number == self.bins - 1 else f"{low} to {(number + 1) * self.width:g}"


@dataclass
class Figures:
    """All that the report shows; its size does not depend on the number of rows."""

    durations: Histogram = field(default_factory=lambda: Histogram(1.0, 31))
    characters_per_second: Histogram = field(default_factory=lambda: Histogram(2.0, 21))
    splits: dict[str, list[float]] = field(default_factory=dict)
    sources: dict[str, list[float]] = field(default_factory=dict)
    speakers: dict[str, list[float]] = field(default_factory=dict)
    rejects: Counter[str] = field(default_factory=Counter)
    rejects_by_source: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Count a row of the manifest."""
        seconds = row["duration_seconds"]
        self.durations.add(seconds)
        self.characters_per_second.add(len(row["text_normalised"]) / seconds)
        split = row["split"] if row["role"] == "target" else f"{row['split']} (base's languages)"
        for table, name in ((self.splits, split), (self.sources, row["source"]), (self.speakers, row["speaker"])):
            held = table.setdefault(name, [0, 0.0])
            held[0] += 1
            held[1] += seconds / 3600

    def reject(self, row: dict[str, Any]) -> None:
        """Count a row of the quarantine; of each kind of reason the first is kept as its example."""
        kind = kind_of(row["reason"])
        if kind not in self.rejects and len(self.rejects) >= KINDS_SHOWN:
            kind = OTHERS
        self.rejects[kind] += 1
        self.rejects_by_source[row["source"]] += 1
        self.examples.setdefault(kind, f"{row['reason']}; {row.get('id') or row.get('where') or ''}")


def kind_of(reason: str) -> str:
    """What a reason is counted under: its words before the first colon."""
    return reason.partition(":")[0]


def write_report(folder: Path) -> None:
    """Read the lists of a finished corpus a line at a time, and write report and plots beside them."""
    figures = Figures()
    for row in _lines(folder / "manifest.jsonl"):
        figures.add(row)
    for row in _lines(folder / "quarantine.jsonl"):
        figures.reject(row)
    (folder / PLOTS).mkdir(exist_ok=True)
    for name, (columns, rows) in plots(figures).items():
        with open(folder / PLOTS / name, "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerows([columns, *((label.translate(WITHOUT_TAGS), amount) for label, amount in rows)])
    write_text(folder / REPORT, render(figures))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8", newline="\n") as file:
        yield from map(json.loads, file)


def plots(figures: Figures) -> dict[str, tuple[tuple[str, str], Sequence[tuple[str, float]]]]:
    """File name to columns and rows."""
    return {
        "durations.csv": (("seconds", "utterances"), figures.durations.rows()),
        "characters_per_second.csv": (("characters_per_second", "utterances"), figures.characters_per_second.rows()),
        "speakers.csv": (("speaker", "hours"), speaker_hours(figures)),
        "sources.csv": (("source", "hours"), [(name, round(held[1], 4)) for name, held in figures.sources.items()]),
        "rejects.csv": (("reason", "rows"), figures.rejects.most_common()),
    }


def speaker_hours(figures: Figures) -> list[tuple[str, float]]:
    """Hours of the speakers with most, and of all others together."""
    ordered = sorted(((name, held[1]) for name, held in figures.speakers.items()), key=lambda one: -one[1])
    shown, left = ordered[:SPEAKERS_SHOWN], ordered[SPEAKERS_SHOWN:]
    rest = [(f"{len(left)} {OTHERS}", sum(hours for _, hours in left))] if left else []
    return [(name, round(hours, 4)) for name, hours in shown + rest]


def render(figures: Figures) -> str:
    """The page."""
    rejected = figures.rejects.total()
    utterances, hours = (sum(held[place] for held in figures.sources.values()) for place in (0, 1))
    return "\n".join([
        "# The corpus\n",
        f"{utterances:,.0f} utterances, {hours:,.2f} h, {len(figures.speakers):,} speakers; {rejected:,} rows are left "
        "out, each with its reason in quarantine.jsonl.\n",
        _table(("split", "utterances", "hours"), [(name, *_amounts(held)) for name, held in
                                                  sorted(figures.splits.items())]),
        "## Sources\n",
        _table(("source", "utterances", "hours", "left out"), _source_rows(figures)),
        _bars("Hours of a source", plots(figures)["sources.csv"][1]),
        _bars("Durations, seconds", figures.durations.rows()),
        _bars("Characters of normalised text a second", figures.characters_per_second.rows()),
        _bars("Hours of a speaker", speaker_hours(figures)),
        _bars("Left out, by reason", figures.rejects.most_common()),
        _table(("reason", "for instance"), [(kind, _plain(figures.examples[kind])) for kind, _ in
                                            figures.rejects.most_common()]) if rejected else "",
    ])


def _source_rows(figures: Figures) -> list[tuple[Any, ...]]:
    names = [*figures.sources, *(name for name in figures.rejects_by_source if name not in figures.sources)]
    return [(name, *_amounts(figures.sources.get(name, [0, 0.0])), f"{figures.rejects_by_source[name]:,}")
            for name in names]


def _amounts(held: list[float]) -> tuple[str, str]:
    return f"{held[0]:,.0f}", f"{held[1]:,.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(as_text(cell) for cell in line)} |\n" for line in lines)


def _bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """A histogram in characters."""
    if not rows:
        return f"## {title}\n\nnone\n"
    wide, most = max(len(label) for label, _ in rows), max(amount for _, amount in rows)
    lines = [f"{_plain(label):<{wide}}  {amount:>9,}  {'█' * round(BAR_CHARACTERS * amount / most) if most else ''}"
             for label, amount in rows]
    return f"## {title}\n\n```\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n"


def _plain(text: str) -> str:
    """The start of a text, in one line, that ends no block of code."""
    return one_line(" ".join(text.replace("`", "'").split())[:EXAMPLE_CHARACTERS])
