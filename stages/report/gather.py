"""Everything that the page tells, read from the folders of the earlier stages; folders of other phases are ignored."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from stages.core.artifacts.files import below, read_csv, read_json, read_jsonl
from stages.core.errors import UserError
from stages.core.params.phases import BASE, phase_order
from stages.core.params.strict import parse_section
from stages.report.costs import COSTS, Cost
from stages.report.gates import Gate, read_gates
from stages.report.measures import Measure, parse_measures
from stages.report.provenance import Provenance, trace

CORPUS, VOCABULARY = Path("data/corpus"), Path("data/vocabulary")
CHECKPOINTS, EVALUATION = Path("data/checkpoints"), Path("data/evaluation")
OF_EVALUATION = ("metrics.json", "samples/samples.jsonl", "samples/worst.jsonl")


class Sample(BaseModel):
    """One line of samples.jsonl: a sampled sentence, and what the judge wrote: `symbols` are phones or characters."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str
    text: str
    speaker: str
    reference: str
    symbols: str = "phones"
    expected: str = ""
    heard: str | None = None
    errors: int | None = None
    length: int | None = None
    stopped: bool | None = None
    duration_seconds: float


@dataclass(frozen=True)
class Result:
    """The evaluation of the base or of one phase; no samples where the base cannot speak by itself.

    Attributes:
        samples: the same sentences for every model.
        worst: this model's own sentences with the most errors.
    """

    name: str
    measures: dict[str, Measure]
    samples: list[Sample]
    worst: list[Sample]

    def measure(self, name: str) -> Measure:
        """A figure; unmeasured where the evaluation does not hold it."""
        return self.measures.get(name, Measure())

    def audio(self, sample: Sample) -> Path:
        """The sampled audio of one of its sentences."""
        return below(EVALUATION / self.name / "samples", sample.file)


@dataclass(frozen=True)
class Phase:
    """One trained phase: its section of the params, its summary, its curve (column -> cell, as in the file), its cost.
    """

    name: str
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]
    curve: list[dict[str, str]]
    cost: Cost

    @property
    def start_from(self) -> str:
        """The checkpoint that it really started from."""
        return str(self.summary.get("started_from", self.settings["start_from"]))

    @property
    def tokens_seen(self) -> int:
        return int(self.summary["tokens_seen"])


@dataclass(frozen=True)
class Corpus:
    """What was spoken.

    Attributes:
        hours: split of the target language, or `base` -> hours.
        utterances: split of the target language, or `base` -> count.
        speakers: of the target language.
        languages: of the target, then of the base utterances.
        language_of: audio file -> language.
    """

    hours: dict[str, float]
    utterances: dict[str, int]
    speakers: list[str]
    target_languages: list[str]
    base_languages: list[str]
    quarantined: int
    language_of: dict[str, str]


@dataclass(frozen=True)
class Findings:
    """All of it; phases in the order of training, results the same with the base first."""

    phases: list[Phase]
    results: list[Result]
    corpus: Corpus
    vocabulary: dict[str, float]
    provenance: Provenance
    gates: list[Gate] = field(default_factory=list)

    @property
    def base(self) -> Result:
        return self.results[0]

    @property
    def final(self) -> Result:
        """What the schedule gives: the last phase, or what its gate handed on in its place."""
        last = self.results[-1].name
        return self.result(next((gate.handed_on for gate in self.gates if gate.phase == last), last))

    @property
    def lineage(self) -> list[str]:
        """The phases that the final weights went through, the first one first."""
        starts, name = {phase.name: phase.start_from for phase in self.phases}, self.final.name
        names: list[str] = []
        while name in starts:
            names.insert(0, name)
            name = starts[name]
        return names

    def result(self, name: str) -> Result:
        """The result of a phase or the base."""
        return next(result for result in self.results if result.name == name)


def gather_findings(phases: Mapping[str, Mapping[str, Any]], gated_phases: Iterable[str] = ()) -> Findings:
    """Read the results of the phases that the params name, and what was decided on those that have a gate.

    Raises:
        UserError: files are missing, or one of them does not hold what it should.
    """
    order = phase_order({name: str(phase["start_from"]) for name, phase in phases.items()})
    require_inputs(order)
    results = [read_result(name) for name in (BASE, *order)]
    for result in results[1:]:
        if [sample.text for sample in result.samples] != [sample.text for sample in results[0].samples]:
            raise UserError(f"{EVALUATION / result.name}/samples: not the sentences of {EVALUATION / BASE}/samples; "
                            "evaluate both again with the same params")
    trained = [read_phase(name, phases[name]) for name in order]
    return Findings(trained, results, read_corpus(), read_json(VOCABULARY / "metrics.json"),
                    trace((BASE, *order), trained[0].cost.made_from),
                    read_gates(gated_phases, CHECKPOINTS, EVALUATION))


def require_inputs(order: list[str]) -> None:
    """Name every missing input at once.

    Raises:
        UserError: at least one is missing.
    """
    wanted = [CORPUS / "summary.json", CORPUS / "manifest.jsonl", VOCABULARY / "metrics.json"]
    wanted += [CHECKPOINTS / name / file for name in order for file in ("curves.csv", "summary.json")]
    wanted += [COSTS / f"{name}.json" for name in order]
    for name in (BASE, *order):
        wanted += [EVALUATION / name / file for file in OF_EVALUATION]
    missing = [str(path) for path in wanted if not path.is_file()]
    if missing:
        raise UserError(f"{', '.join(missing)}: no such file; run the stages before the report first")


def read_result(name: str) -> Result:
    """Read one folder of data/evaluation."""
    folder = EVALUATION / name
    measures = parse_measures(read_json(folder / "metrics.json"), folder / "metrics.json")
    samples, worst = (read_samples(folder / "samples" / f"{kind}.jsonl") for kind in ("samples", "worst"))
    return Result(name, measures, samples, worst)


def read_samples(path: Path) -> list[Sample]:
    """Read a list of samples."""
    return [parse_section(Sample, row, f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1)]


def read_phase(name: str, settings: Mapping[str, Any]) -> Phase:
    """Read one folder of data/checkpoints.

    Raises:
        UserError: the curve or the summary lacks what the report needs.
    """
    path = CHECKPOINTS / name / "curves.csv"
    curve = read_csv(path)
    if not curve or not {"step", "tokens_seen"} <= curve[0].keys():
        raise UserError(f"{path}: must have columns step and tokens_seen and at least one row")
    summary = read_json(CHECKPOINTS / name / "summary.json")
    if absent := {"tokens_seen", "steps", "parameters"} - summary.keys():
        raise UserError(f"{CHECKPOINTS / name / 'summary.json'}: lacks {', '.join(sorted(absent))}")
    path = COSTS / f"{name}.json"
    return Phase(name, settings, summary, curve, parse_section(Cost, read_json(path), str(path)))


def read_corpus() -> Corpus:
    """Read the corpus' summary, and from its manifest who speaks what."""
    rows, summary = read_jsonl(CORPUS / "manifest.jsonl"), read_json(CORPUS / "summary.json")
    target = [row for row in rows if row["role"] == "target"]
    base = [row for row in rows if row["role"] != "target"]
    counts = Counter(row["split"] for row in target) + Counter({BASE: len(base)})
    return Corpus(
        hours=dict(summary["hours"]), utterances=dict(counts),
        speakers=sorted({row["speaker"] for row in target}),
        target_languages=sorted({row["language"] for row in target}),
        base_languages=sorted({row["language"] for row in base}),
        quarantined=sum(summary.get("quarantined", {}).values()),
        language_of={row["audio"]: row["language"] for row in rows},
    )
