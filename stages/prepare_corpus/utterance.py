"""What every adapter of a corpus gives: utterances as their corpus holds them, and rows that are none."""

from dataclasses import dataclass
from pathlib import Path

from stages.core.artifacts.split import Split
from stages.core.params.shared import SpeakerConfig


@dataclass(frozen=True)
class Recording:
    """Speech in an audio file, or a part of it."""

    path: Path
    start_seconds: float = 0.0
    end_seconds: float | None = None


@dataclass(frozen=True)
class Embedded:
    """A row of a parquet file whose column holds the bytes of an audio file."""

    path: Path
    row_group: int
    row: int
    column: str


@dataclass(frozen=True)
class Synthesis:
    """A text that espeak-ng is to say."""

    text: str
    voice: str
    speaker: SpeakerConfig


@dataclass(frozen=True)
class Utterance:
    """One utterance, its speech still unread.

    Attributes:
        id: unique in its source.
        text: as written.
        language: ISO 639.
        speaker: unique in its source.
        where: file and line, for messages.
        text_normalised: where the adapter has read the text already.
        split: where the adapter knows it, such as that of the sentence which a span is cut from.
    """

    id: str
    text: str
    language: str
    speaker: str
    speech: Recording | Embedded | Synthesis
    where: str
    text_normalised: str | None = None
    split: Split | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that gives no utterance, and why."""

    where: str
    text: str
    reason: str
