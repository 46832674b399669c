"""LJSpeech-style corpora (https://keithito.com/LJ-Speech-Dataset): metadata.csv of id|text|normalised, wavs/<id>.wav.

The text as written is taken, for the front end reads every corpus alike; the third column is not looked at. Cells are
not quoted. A home recording may say who speaks in a further column.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, model_validator

from stages.prepare_corpus.sources.common import BadRow, RecordedSource, recorded, refuse, text_file_problems
from stages.prepare_corpus.sources.lines import Line, read_rows
from stages.prepare_corpus.utterance import Rejected, Utterance

TABLE = "metadata.csv"
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")


class LjspeechSource(RecordedSource):
    """A folder with metadata.csv and wavs/."""

    kind: Literal["ljspeech"]
    speaker: str | None = Field(default=None, min_length=1, description="the one speaker of the corpus")
    speaker_column: int | None = Field(default=None, ge=3, description="or the column that names the speaker, from 1")

    @model_validator(mode="after")
    def speaker_is_told_in_one_way(self) -> Self:
        if (self.speaker is None) == (self.speaker_column is None):
            raise ValueError("give either speaker or speaker_column")
        return self


def problems(source: LjspeechSource) -> list[str]:
    """Why the folder cannot be read at all, one line a problem."""
    return text_file_problems(source, TABLE)


def read(source: LjspeechSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of metadata.csv; an id with the suffix of an audio file names its file.

    Raises:
        UserError: metadata.csv is missing.
    """
    refuse(problems(source))

    def parse(line: Line) -> Utterance:
        cells = [cell.strip() for cell in line.text.split("|")]
        needed = source.speaker_column or 2
        if len(cells) < needed:
            raise BadRow(f"wrong number of columns: must be {needed} or more, parted by |, got {len(cells)}")
        file = cells[0] if cells[0].lower().endswith(SUFFIXES) else f"{cells[0]}.wav"
        return recorded(source, line.where, audio=str(PurePosixPath("wavs", file)), text=cells[1],
                        speaker=source.speaker or cells[needed - 1], identifier=cells[0])

    return read_rows(source, TABLE, parse)
