"""The model card: what the export was made of, what was measured on it, what its users must know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.core.artifacts.files import read_json, read_jsonl
from stages.core.errors import UserError
from stages.core.model.settings import read_settings
from stages.core.speaking.prompts import own_voices
from stages.export_model.contents import ADAPTER, base_files, is_licence

UNMEASURED = "unmeasured"
TEMPLATE = "model_card.md.j2"
Record = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What the card tells; every number comes from a file of an earlier stage.

    Attributes:
        corpus: a row for each language: language, role, speakers, utterances and hours by split.
        phases: the exported phase and those before it, in the order trained, each with its params.
        summary: the exported phase's own.
        metrics: name -> (untouched base, export), each written with its interval.
        licences: the base's files that state terms.
    """

    base: str
    phase: str
    is_released: bool
    corpus: list[Record]
    phases: list[Record]
    summary: Record
    metrics: dict[str, tuple[str, str]]
    licences: list[str]


def gather_facts(
    base: Path, phase: str, phases: Mapping[str, Record], corpus: Path, checkpoints: Path, evaluation: Path
) -> Facts:
    """Read what the card tells.

    Raises:
        UserError: a file of an earlier stage is missing, or the exported LoRA phase left no adapter.
    """
    if phases[phase]["approach"] == "lora" and not (checkpoints / phase / ADAPTER).is_dir():
        raise UserError(f"{checkpoints / phase / ADAPTER}: missing, yet {phase} is a LoRA phase; run it again")
    manifest = corpus / "manifest.jsonl"
    if not manifest.is_file():
        raise UserError(f"{manifest}: no such file")
    return Facts(
        base=str(base), phase=phase, is_released=read_settings(base).miniature is None,
        corpus=describe_corpus(read_jsonl(manifest)),
        phases=[{"name": name, **phases[name]} for name in chain(phase, phases)],
        summary=read_json(checkpoints / phase / "summary.json"),
        metrics=pair_metrics(*(read_json(evaluation / name / "metrics.json") for name in ("base", phase))),
        licences=sorted(name for name in base_files(base) if is_licence(name)),
    )


def chain(phase: str, phases: Mapping[str, Record]) -> list[str]:
    """A phase and those that it builds on, the first one first."""
    names: list[str] = []
    while phase in phases:
        names.insert(0, phase)
        phase = phases[phase]["start_from"]
    return names


def describe_corpus(rows: Iterable[Record]) -> list[Record]:
    """A row for each language of a manifest: the target first, then the base's."""
    found: dict[tuple[str, str], Record] = {}
    for row in rows:
        empty: Record = {"speakers": set(), "utterances": 0, "train": 0.0, "validation": 0.0, "test": 0.0}
        entry = found.setdefault((row["role"], row["language"]), empty)
        entry["speakers"].add(row["speaker"])
        entry["utterances"] += 1
        entry[row["split"]] += row["duration_seconds"] / 3600
    ordered = sorted(found, key=lambda key: (key[0] != "target", key[1]))
    return [{"role": role, "language": language, **found[role, language],
             "speakers": len(found[role, language]["speakers"])} for role, language in ordered]


def pair_metrics(base: Mapping[str, Any], export: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Figures of the export beside those of the untouched base."""
    return {name.replace("_", " "): (write_figure(base.get(name)), write_figure(figure))
            for name, figure in export.items()}


def write_figure(figure: Mapping[str, float] | None) -> str:
    """A mean with its 95 % interval, or `unmeasured`."""
    if figure is None or figure.get("mean") is None:
        return UNMEASURED
    written = f"{figure['mean']:.3f}"
    if figure.get("low") is not None and figure.get("high") is not None:
        written += f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return written + (f", n = {figure['n']}" if "n" in figure else "")


def render_card(facts: Facts, folder: Path) -> str:
    """The card in Markdown, its list of files taken from the written folder."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return environment.get_template(TEMPLATE).render(
        facts=facts, files=files, has_adapter=(folder / ADAPTER).is_dir(), voices=list(own_voices(folder)),
    )
