"""The model card: what the export was made of, what was measured on it, what its users must know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.filters import do_mark_safe

from stages.core.artifacts.files import read_json, read_jsonl
from stages.core.artifacts.gates import checkpoint_behind
from stages.core.artifacts.markdown import as_text
from stages.core.errors import UserError
from stages.core.model.base_files import base_files
from stages.core.model.settings import read_settings
from stages.core.params.phases import BASE, phase_of
from stages.core.speaking.prompts import own_voices
from stages.export_model.contents import ADAPTER, is_licence

UNMEASURED = "unmeasured"
TEMPLATE = "model_card.md.j2"
Record = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What the card tells; every number comes from a file of an earlier stage.

    Attributes:
        corpus: a row for each language: language, role, speakers, utterances and hours by split.
        phase: the exported one; where a gate fell back, not the one that the params name.
        phases: the exported phase and those before it, in the order trained, each with its params and its real start.
        fallbacks: a sentence for each gate in whose place something else was taken.
        summary: the exported phase's own.
        metrics: name -> (untouched base, export), each written with its interval.
        licences: the base's files that state terms.
    """

    base: str
    phase: str
    is_released: bool
    corpus: list[Record]
    phases: list[Record]
    fallbacks: list[str]
    summary: Record
    metrics: dict[str, tuple[str, str]]
    licences: list[str]


def gather_facts(
    base: Path, exported: str, phases: Mapping[str, Record], corpus: Path, checkpoints: Path, evaluation: Path
) -> Facts:
    """Read what the card tells.

    Args:
        exported: a phase, or what its gate hands on.

    Raises:
        UserError: a file of an earlier stage is missing, the exported LoRA phase left no adapter, or no phase is left.
    """
    phase = checkpoint_behind(checkpoints / exported)
    if phase == BASE:
        raise UserError(f"export_model.phase: {exported} holds the untouched base, as its gates fell back that far: "
                        "nothing to export")
    if phases[phase]["approach"] == "lora" and not (checkpoints / exported / ADAPTER).is_dir():
        raise UserError(f"{checkpoints / exported / ADAPTER}: missing, yet {phase} is a LoRA phase; run it again")
    manifest = corpus / "manifest.jsonl"
    if not manifest.is_file():
        raise UserError(f"{manifest}: no such file")
    summary = read_json(checkpoints / exported / "summary.json")
    chain = list(pairwise([BASE, *summary["lineage"]]))
    return Facts(
        base=str(base), phase=phase, is_released=read_settings(base).miniature is None,
        corpus=describe_corpus(read_jsonl(manifest)),
        phases=[{**phases[name], "name": name, "start_from": start} for start, name in chain],
        fallbacks=tell_fallbacks(exported, chain, phases),
        summary=summary,
        metrics=pair_metrics(*(read_json(evaluation / name / "metrics.json") for name in (BASE, exported))),
        licences=sorted(name for name in base_files(base) if is_licence(name)),
    )


def tell_fallbacks(exported: str, chain: Sequence[tuple[str, str]], phases: Mapping[str, Record]) -> list[str]:
    """A sentence for each checkpoint that was taken in the place of the one that the params name.

    Args:
        chain: (real start, phase) of the phases in the export, the first one first.
    """
    taken = [(phases[name]["start_from"], start, f"`{name}` starts from") for start, name in chain]
    taken.append((exported, chain[-1][1], "this is"))
    return [f"`{phase_of(named)}` missed its gate, so {verb} `{real}`."
            for named, real, verb in taken if phase_of(named) != real]


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
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )
    environment.filters["as_text"] = lambda value: do_mark_safe(as_text(value))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return environment.get_template(TEMPLATE).render(
        facts=facts, files=files, has_adapter=(folder / ADAPTER).is_dir(), voices=list(own_voices(folder)),
    )
