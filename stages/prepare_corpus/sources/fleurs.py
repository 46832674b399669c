"""FLEURS (Conneau et al., 2022, https://huggingface.co/datasets/google/fleurs): <table>.tsv beside audio/<table>/*.wav.

A table has no header; its columns are the number of the sentence, the file, the sentence as written, the sentence
without case and marks, its characters, the number of samples and the gender of the speaker.

FLEURS does not tell who speaks. A speaker here is therefore a group of voices: those of one table (the speakers of
train are not those of dev and test) and one gender who read a sentence first, second, and so on, for a sentence is read
by several people. A prompt is then of the same gender but often of another person: the language is learned, no voice.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stages.prepare_corpus.sources.common import BadRow, RecordedSource, recorded, refuse, text_file_problems
from stages.prepare_corpus.sources.lines import Line, read_rows
from stages.prepare_corpus.utterance import Rejected, Utterance

COLUMNS = ("id", "file_name", "raw_transcription", "transcription", "phonemes", "num_samples", "gender")


class FleursSource(RecordedSource):
    """A language's folder of FLEURS."""

    kind: Literal["fleurs"]
    tables: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]] = Field(
        min_length=1, description="tables without .tsv, such as train; splits are this project's own"
    )


def problems(source: FleursSource) -> list[str]:
    """Why the folder cannot be read at all, one line a problem."""
    return text_file_problems(source, *(f"{table}.tsv" for table in source.tables))


def read(source: FleursSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the tables.

    Raises:
        UserError: a table is missing.
    """
    refuse(problems(source))
    for table in source.tables:
        yield from _read_table(source, table)


def _read_table(source: FleursSource, table: str) -> Iterator[Utterance | Rejected]:
    readings: Counter[tuple[str, str]] = Counter()

    def parse(line: Line) -> Utterance:
        cells = line.text.split("\t")
        if len(cells) != len(COLUMNS):
            raise BadRow(f"wrong number of columns: must be {len(COLUMNS)} ({', '.join(COLUMNS)}), got {len(cells)}")
        row = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))
        if not row["file_name"]:
            raise BadRow("no file name")
        reading = (row["id"], row["gender"].lower())
        readings[reading] += 1
        file = PurePosixPath("audio", table, row["file_name"])
        return recorded(source, line.where, audio=str(file), text=row["raw_transcription"],
                        speaker=f"{table}-{reading[1]}-{readings[reading]}", identifier=f"{table}-{file.stem}")

    return read_rows(source, f"{table}.tsv", parse)
