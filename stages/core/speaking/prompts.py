"""Recordings of a corpus that may lend their voice: held out, so that training never heard them."""

from dataclasses import dataclass
from pathlib import Path

from stages.core.artifacts.files import read_jsonl


@dataclass(frozen=True)
class Prompt:
    """A recording of one speaker of the target language."""

    speaker: str
    path: Path
    duration_seconds: float


def held_out_prompts(corpus: Path) -> list[Prompt]:
    """The longest test recording of each speaker of the target language, the longest one first."""
    manifest = corpus / "manifest.jsonl"
    rows = read_jsonl(manifest) if manifest.is_file() else []
    rows = [row for row in rows if row["role"] == "target" and row["split"] == "test"]
    longest: dict[str, Prompt] = {}
    for row in sorted(rows, key=lambda row: (row["duration_seconds"], row["id"]), reverse=True):
        prompt = Prompt(row["speaker"], corpus / row["audio"], row["duration_seconds"])
        longest.setdefault(prompt.speaker, prompt)
    return list(longest.values())
