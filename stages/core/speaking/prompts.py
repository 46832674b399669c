"""Recordings that lend their voice: of a corpus, of an export, or sent by whoever asks."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path

from stages.core.artifacts.files import below, read_jsonl
from stages.core.errors import UserError
from stages.core.speaking.voices import SpeechModel, Voice

VOICES = "voices"
PROMPT_BYTES_MAX = 20_000_000


@dataclass(frozen=True)
class Prompt:
    """A recording of one speaker of the target language."""

    speaker: str
    path: Path
    duration_seconds: float


def held_out_prompts(corpus: Path) -> list[Prompt]:
    """The longest test recording, which training never heard, of each speaker of the target language, longest first."""
    manifest = corpus / "manifest.jsonl"
    rows = read_jsonl(manifest) if manifest.is_file() else []
    rows = [row for row in rows if row["role"] == "target" and row["split"] == "test"]
    longest: dict[str, Prompt] = {}
    for row in sorted(rows, key=lambda row: (row["duration_seconds"], row["id"]), reverse=True):
        prompt = Prompt(row["speaker"], below(corpus, row["audio"]), row["duration_seconds"])
        longest.setdefault(prompt.speaker, prompt)
    return list(longest.values())


def own_voices(export: Path) -> dict[str, Path]:
    """The recordings that an export brings along, by name."""
    folder = export / VOICES
    return {path.stem: path for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def take_prompt(model: SpeechModel, prompt: str, scratch: Path) -> Voice:
    """The voice of an audio file that was sent as base64; `scratch` holds it while it is in use.

    Raises:
        UserError: no base64, too long, or no recording that can be a prompt.
    """
    try:
        content = base64.b64decode(prompt, validate=True)
    except (binascii.Error, ValueError):
        raise UserError(f"prompt: must be base64 of an audio file (got {prompt[:20]!r}...)") from None
    if len(content) > PROMPT_BYTES_MAX:
        raise UserError(f"prompt: at most {PROMPT_BYTES_MAX} bytes (got {len(content)})")
    path = scratch / hashlib.sha256(content).hexdigest()[:16]
    path.write_bytes(content)
    try:
        return model.take_voice(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), "prompt")) from None
