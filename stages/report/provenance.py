"""Where the page's figures come from: DVC's hashes, git commits, params beside the nearest preset.

Only what the report's inputs decide may stand here, or the page would have to change while DVC calls it clean. So a
commit is the one that finetune recorded when it trained, never today's; a hash is that of an input.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.params.phases import BASE
from stages.core.params.strict import PARAMS_FILE, read_params
from stages.core.tracking.provenance import UNKNOWN, data_hashes

PRESETS = Path("presets")
TOLD = ("base", "splits", "text", "prepare_corpus", "train_vocabulary", "extract_features", "finetune", "gate_phase",
        "phases", "evaluate_speech")  # sections that decide the page's figures
SHORT, VALUE_CHARACTERS = 12, 90
ABSENT = "not set"


@dataclass(frozen=True)
class Difference:
    """A value of the params that another preset sets otherwise; both as written on the page."""

    name: str
    preset: str
    here: str


@dataclass(frozen=True)
class Provenance:
    """What the page tells of its origin.

    Attributes:
        data: what all results share -> DVC's hash.
        results: name of the base or of a phase -> hash of its checkpoint, of its figures.
        preset: file that the params are nearest to, or None where there is none.
        differences: from that preset.
    """

    data: dict[str, str]
    results: dict[str, tuple[str, str]]
    preset: str | None
    differences: list[Difference]


def trace(names: Sequence[str], made_from: Mapping[str, str]) -> Provenance:
    """Trace the page's inputs.

    Args:
        names: the base and the phases.
        made_from: what finetune recorded of the first phase's inputs, path -> hash.
    """
    params = read_params()
    hashes = data_hashes()
    shared = {path: digest for path, digest in made_from.items() if path != f"data/checkpoints/{BASE}"}
    shared |= {path: hashes.get(path, UNKNOWN) for path in ("data/corpus", "data/vocabulary")}
    preset, differences = nearest_preset(params, sorted(PRESETS.glob("*.yaml")))
    return Provenance(
        {path: shorten(digest) for path, digest in shared.items()},
        {name: (shorten(hashes.get(f"data/checkpoints/{name}", UNKNOWN)),
                shorten(hashes.get(f"data/evaluation/{name}/metrics.json", UNKNOWN))) for name in names},
        preset.as_posix() if preset else None, differences)


def shorten(digest: str) -> str:
    """The beginning of a hash or a commit, enough to find it by; what tells of changes stays."""
    start, changes = digest[:SHORT], digest.partition("+")[2]
    return start + (f" with {changes} of its own" if changes else "")


def nearest_preset(params: Mapping[str, Any], presets: Sequence[Path]) -> tuple[Path | None, list[Difference]]:
    """The preset with the fewest differences in TOLD, and those; the first of several."""
    found = {path: differ(read_params(path), params) for path in presets if path != PARAMS_FILE}
    nearest = min(found, key=lambda path: len(found[path]), default=None)
    return nearest, found[nearest] if nearest else []


def differ(preset: Mapping[str, Any], params: Mapping[str, Any]) -> list[Difference]:
    """Every value of TOLD that is not the same in both, in the order of the params."""
    before, after = (dict(leaves({name: content[name] for name in TOLD if name in content}))
                     for content in (preset, params))
    return [Difference(name, write(before.get(name, ABSENT)), write(after.get(name, ABSENT)))
            for name in dict.fromkeys([*after, *before]) if before.get(name, ABSENT) != after.get(name, ABSENT)]


def leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of nested mappings; a list of mappings goes by their names, or else by place."""
    if isinstance(content, list) and content and all(isinstance(item, Mapping) for item in content):
        content = {str(item.get("name", place)): item for place, item in enumerate(content)}
    if not isinstance(content, Mapping) or not content:
        yield prefix, content
        return
    for key, value in content.items():
        yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))


def write(value: Any) -> str:
    """A value as a params file would hold it, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS else f"{text[:VALUE_CHARACTERS]}…"
