"""A JSON object a line: audio, text, speaker; where wanted id, language, start, end and duration in seconds.

With `start` and without `end`, `duration` tells the end; else it is not needed. Other keys are not looked at.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from stages.prepare_corpus.sources.common import (
    BadRow,
    RecordedSource,
    RelativePath,
    recorded,
    refuse,
    text_file_problems,
)
from stages.prepare_corpus.sources.lines import Line, read_rows
from stages.prepare_corpus.utterance import Rejected, Utterance

SECONDS_MAX = 1e6


class JsonlSource(RecordedSource):
    """A folder with a manifest and the audio files that it names."""

    kind: Literal["jsonl"]
    manifest: RelativePath = Field(description="the JSON lines, inside path")
    speaker: str | None = Field(default=None, min_length=1, description="of the lines that name none")


def problems(source: JsonlSource) -> list[str]:
    """Why the folder cannot be read at all, one line a problem."""
    return text_file_problems(source, source.manifest)


def read(source: JsonlSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the manifest.

    Raises:
        UserError: the manifest is missing.
    """
    refuse(problems(source))
    return read_rows(source, source.manifest, lambda line: _utterance(source, line))


def _utterance(source: JsonlSource, line: Line) -> Utterance:
    row = _object(line.text)
    start, end = _seconds(row, "start"), _seconds(row, "end")
    if start is not None and end is None and (duration := _seconds(row, "duration")) is not None:
        end = start + duration
    if end is not None and end <= (start or 0.0):
        raise BadRow(f"end before start: {start or 0.0} to {end}")
    audio = _word(row, "audio")
    part = "" if start is None else f"@{start:.3f}"
    return recorded(source, line.where, audio=audio, text=_word(row, "text"), start_seconds=start or 0.0,
                    end_seconds=end, speaker=_word(row, "speaker", source.speaker or ""),
                    identifier=_word(row, "id", f"{os.path.splitext(audio)[0]}{part}"), language=_language(row))


def _object(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"not JSON: {str(error)[:80]}") from None
    if not isinstance(row, dict):
        raise BadRow(f"not JSON: must be an object, got {type(row).__name__}")
    return row


def _word(row: dict[str, Any], key: str, absent: str = "") -> str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise BadRow(f"{key} of a wrong type: must be a string, got {type(value).__name__}")
    return absent if value is None else str(value)


def _seconds(row: dict[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= SECONDS_MAX:
        raise BadRow(f"{key} out of range: must be seconds, 0 to {SECONDS_MAX:.0f}, got {str(value)[:40]}")
    return float(value)


def _language(row: dict[str, Any]) -> str:
    """ISO 639 code of a row, or nothing."""
    value = row.get("language")
    if value is None:
        return ""
    if not isinstance(value, str) or not re.fullmatch("[a-z]{2,3}", value):
        raise BadRow(f"unknown language: must be two or three small letters, got {str(value)[:40]}")
    return value
