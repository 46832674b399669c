"""Common Voice (Ardila et al., 2020, https://commonvoice.mozilla.org): a table such as validated.tsv and clips/*.mp3.

Releases differ in their columns, so that client_id, path and sentence are found by the names in the first line.
Quotation marks are part of a sentence, not of the table.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from stages.prepare_corpus.sources.common import (
    BadRow,
    RecordedSource,
    RelativePath,
    recorded,
    refuse,
    text_file_problems,
)
from stages.prepare_corpus.sources.lines import Line, header_problems, read_lines, read_rows
from stages.prepare_corpus.utterance import Rejected, Utterance

SPEAKER, FILE, TEXT = "client_id", "path", "sentence"


class CommonVoiceSource(RecordedSource):
    """A language's folder of Common Voice."""

    kind: Literal["common_voice"]
    table: RelativePath = Field(description="the table of clips, such as validated.tsv")


def problems(source: CommonVoiceSource) -> list[str]:
    """Why the folder cannot be read at all, one line a problem."""
    return text_file_problems(source, source.table) or header_problems(
        source, source.table, _cells, SPEAKER, FILE, TEXT
    )


def read(source: CommonVoiceSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the table.

    Raises:
        UserError: the table or one of its columns is missing.
    """
    refuse(problems(source))
    columns = _cells(next(read_lines(source, source.table)))

    def parse(line: Line) -> Utterance:
        cells = _cells(line)
        if len(cells) != len(columns):
            raise BadRow(f"wrong number of columns: must be {len(columns)} as in the first line, got {len(cells)}")
        row = dict(zip(columns, cells, strict=True))
        if not row[FILE]:
            raise BadRow("no file name")
        file = PurePosixPath("clips", row[FILE])
        return recorded(source, line.where, audio=str(file), text=row[TEXT], speaker=row[SPEAKER], identifier=file.stem)

    return read_rows(source, source.table, parse, skip=1)


def _cells(line: Line) -> list[str]:
    return [cell.strip() for cell in line.text.split("\t")]
