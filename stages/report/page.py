"""The page: one HTML file that fetches nothing, with its figures and audio inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.core.errors import UserError
from stages.core.params.phases import BASE
from stages.report.config import Config
from stages.report.costs import write_time
from stages.report.figures import THEMES, WIDTHS_INCHES
from stages.report.gather import Findings, Result
from stages.report.listening import REFERENCE, choose_sentences, choose_worst, data_uri, reference_sound
from stages.report.measures import CHIEF, GROUPS, Metric, compare, metrics_of, write_interval, write_value
from stages.report.provenance import SHORT, shorten
from stages.report.sounds import draw_spectrogram, read_sound
from stages.report.verdict import count, reach_verdict, write_hours

SPLITS = ("train", "validation", "test", BASE)
TEXTS = ("train", "held_out")
OF_TEXT = {"character_coverage": "share of characters covered", "fertility_tokens_per_word": "tokens a word",
           "unknown_rate": "share of unknown tokens", "tokens_per_second": "tokens a second of speech"}


@dataclass(frozen=True)
class Cell:
    """One figure of one model; `worse_than` names the start of its phase where it is clearly worse than that."""

    value: str
    measured: bool
    interval: str
    n: int | None
    worse_than: str | None


@dataclass(frozen=True)
class Row:
    """One figure of all models."""

    metric: Metric
    cells: list[Cell]

    @property
    def n(self) -> int | None:
        """What every measured cell is a mean over, where that is one number."""
        counts = {cell.n for cell in self.cells if cell.measured}
        return counts.pop() if len(counts) == 1 else None

    @property
    def is_shared(self) -> bool:
        """Whether it is one figure for all models."""
        return self.metric.limit and len(set(self.cells)) == 1


@dataclass(frozen=True)
class Picture:
    """A spectrogram as a data URI; its width stands for `width_seconds`, its height for 0 to `top_khz`."""

    name: str
    image: str
    seconds: float
    width_seconds: float
    top_khz: float


def render_page(findings: Findings, config: Config, folder: Path) -> str:
    """Draw the spectrograms, write the shown audio, and give the page's HTML.

    Args:
        folder: the report's folder; figures/curves-*.svg must be there.

    Raises:
        UserError: the sentence to draw is not among the evaluated ones, or an audio file cannot be read.
    """
    drawn, available = config.spectrogram_sentence, len(findings.base.samples)
    if available and drawn >= available:
        raise UserError(f"report.spectrogram_sentence: must be below {available}, the sentences kept by "
                        f"evaluate_speech (got {drawn})")
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"hours": write_hours, "time": write_time, "short": shorten}
    groups = group_rows(findings)
    return environment.get_template("template.html.j2").render(
        findings=findings, config=config, verdict=reach_verdict(findings, config), count=count,
        language=findings.corpus.target_languages[0], groups=groups, chief=chief_rows(groups),
        unmeasured=unmeasured(findings),
        curves={f"{width}_{theme}": data_uri(folder / "figures" / f"curves-{width}-{theme}.svg")
                for width in WIDTHS_INCHES for theme in THEMES},
        sentences=choose_sentences(findings, config.sentences, folder / "audio"),
        splits=[(split, findings.corpus.hours[split]) for split in SPLITS if split in findings.corpus.hours],
        short_digits=SHORT, trained={phase.name: phase for phase in findings.phases},
        vocabulary=list(tell_vocabulary(findings.vocabulary)), worst=choose_worst(findings, folder / "audio"),
        pictures=draw_pictures(findings, drawn, folder / "figures") if available else [],
        drawn_text=findings.base.samples[drawn].text if available else "",
    )


def group_rows(findings: Findings) -> list[tuple[str, list[Row]]]:
    """The table's rows by group: every figure that was measured on some model."""
    rows = [row for row in all_rows(findings) if any(cell.measured for cell in row.cells)]
    groups = [(group, [row for row in rows if row.metric.group == group]) for group in GROUPS]
    return [(group, held) for group, held in groups if held]


def chief_rows(groups: list[tuple[str, list[Row]]]) -> list[Row]:
    """The rows for a reader in a hurry."""
    rows = {row.metric.name: row for _, held in groups for row in held}
    return [rows[name] for name in CHIEF if name in rows]


def all_rows(findings: Findings) -> list[Row]:
    """A row for each figure, measured or not."""
    metrics = metrics_of([result.measures for result in findings.results])
    return [Row(metric, [fill_cell(findings, result, metric) for result in findings.results]) for metric in metrics]


def unmeasured(findings: Findings) -> list[str]:
    """Labels of the figures that no model has."""
    return [row.metric.label for row in all_rows(findings) if not any(cell.measured for cell in row.cells)]


def fill_cell(findings: Findings, result: Result, metric: Metric) -> Cell:
    """One figure, its interval, its n, and whether the phase made it clearly worse."""
    measure = result.measure(metric.name)
    starts = [phase.start_from for phase in findings.phases if phase.name == result.name and not metric.limit]
    worse = [start for start in starts
             if compare(findings.result(start).measure(metric.name), measure, metric) == "worse"]
    return Cell(write_value(measure.mean, metric), measure.mean is not None, write_interval(measure, metric),
                measure.n if measure.mean is not None else None, worse[0] if worse else None)


def tell_vocabulary(figures: Mapping[str, float]) -> Iterator[tuple[str, list[float]]]:
    """Rows of figures: of the training text and of the held-out one, or one of both."""
    for name, label in OF_TEXT.items():
        if values := [figures[key] for text in TEXTS if (key := f"{text}_{name}") in figures]:
            yield label, values
    told = {f"{text}_{name}" for text in TEXTS for name in OF_TEXT}
    yield from ((name.replace("_", " "), [value]) for name, value in figures.items() if name not in told)


def draw_pictures(findings: Findings, index: int, folder: Path) -> list[Picture]:
    """One spectrogram of a sentence for the reference and for each model, all on one time scale."""
    sounds = {REFERENCE: reference_sound(findings.base.samples[index])}
    sounds |= {result.name: read_sound(result.audio(result.samples[index])) for result in findings.results}
    width = max(sound.duration_seconds for sound in sounds.values())
    pictures = []
    for name, sound in sounds.items():
        path = folder / f"spectrogram-{name}.png"
        draw_spectrogram(sound, width, path)
        pictures.append(Picture(name, data_uri(path), sound.duration_seconds, width, sound.rate_hz / 2000))
    return pictures
