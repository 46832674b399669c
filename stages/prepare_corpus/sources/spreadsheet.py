"""A spreadsheet saved as CSV: a row an utterance, the first row names the columns.

As LibreOffice and Excel write it: cells in quotation marks where they must be, comma, semicolon or tab between them.
"""

import csv
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stages.prepare_corpus.sources.common import (
    BadRow,
    NamedColumnsSource,
    RelativePath,
    recorded,
    refuse,
    text_file_problems,
)
from stages.prepare_corpus.sources.lines import Line, header_problems, read_lines, read_rows
from stages.prepare_corpus.utterance import Rejected, Utterance

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


class SpreadsheetSource(NamedColumnsSource):
    """A folder with a table and the audio files that it names."""

    kind: Literal["spreadsheet"]
    table: RelativePath = Field(description="the CSV file, inside path")
    delimiter: Literal["comma", "semicolon", "tab"] = Field(description="what stands between cells")


def problems(source: SpreadsheetSource) -> list[str]:
    """Why the folder cannot be read at all, one line a problem."""
    needed = [column for column in (source.audio_column, source.text_column, source.speaker_column) if column]
    return text_file_problems(source, source.table) or header_problems(
        source, source.table, lambda line: _cells(source, line), *needed
    )


def read(source: SpreadsheetSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the table.

    Raises:
        UserError: the table or one of its columns is missing.
    """
    refuse(problems(source))
    columns = _cells(source, next(read_lines(source, source.table)))

    def parse(line: Line) -> Utterance:
        cells = _cells(source, line)
        if len(cells) != len(columns):
            raise BadRow(f"wrong number of columns: must be {len(columns)} as in the first line, got {len(cells)}")
        row = dict(zip(columns, cells, strict=True))
        return recorded(source, line.where, audio=row[source.audio_column], text=row[source.text_column],
                        speaker=source.speaker or row[source.speaker_column or ""])

    return read_rows(source, source.table, parse, skip=1)


def _cells(source: SpreadsheetSource, line: Line) -> list[str]:
    try:
        [cells] = csv.reader([line.text], delimiter=DELIMITERS[source.delimiter], strict=True)
    except csv.Error as error:
        raise BadRow(f"no row of a CSV file: {error} (a line break inside a cell?)") from None
    return [cell.strip() for cell in cells]
