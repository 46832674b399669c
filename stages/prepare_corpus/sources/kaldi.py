"""Kaldi data folders: wav.scp, text, utt2spk and, where a recording holds many utterances, segments.

Kaldi (https://kaldi-asr.org/doc/data_prep.html) lets wav.scp hold shell commands; none is ever executed here. The files
are joined by utterance in a temporary database on disk, so that neither their order nor their length matters.
"""

import math
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stages.core.errors import UserError
from stages.prepare_corpus.sources.common import (
    BadRow,
    RecordedSource,
    recorded,
    refuse,
    text_file_problems,
)
from stages.prepare_corpus.sources.lines import excerpt, read_lines
from stages.prepare_corpus.utterance import Rejected, Utterance

AUDIO, SEGMENTS, TEXT, SPEAKERS = "wav.scp", "segments", "text", "utt2spk"
END_OF_FILE = -1.0
TABLE = "CREATE TABLE '{name}' (key TEXT UNIQUE, recording TEXT, value TEXT, line TEXT, problem TEXT)"
UTTERANCES = """
    SELECT main.key AS id, main.value AS main, main.line AS main_line, main.problem AS main_problem,
           audio.value AS audio, audio.line AS audio_line, audio.problem AS audio_problem,
           text.value AS text, text.line AS text_line, text.problem AS text_problem,
           speaker.value AS speaker, speaker.line AS speaker_line, speaker.problem AS speaker_problem
    FROM '{main}' AS main
    LEFT JOIN 'wav.scp' AS audio ON audio.key = main.recording
    LEFT JOIN text ON text.key = main.key
    LEFT JOIN utt2spk AS speaker ON speaker.key = main.key
    ORDER BY main.rowid"""
UNUSED = "SELECT * FROM '{name}' WHERE key NOT IN (SELECT {column} FROM '{main}') ORDER BY rowid"


def _has_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"must hold one group, which finds the speaker: {groups} group(s)")
    return pattern


class KaldiSource(RecordedSource):
    """A Kaldi data folder."""

    kind: Literal["kaldi"]
    speaker_pattern: Annotated[str, AfterValidator(_has_one_group)] | None = Field(
        default=None,
        description="regular expression with one group, found in the utterance's id, for a corpus whose utt2spk tells"
        " no speakers; without it utt2spk is read",
    )


def problems(source: KaldiSource) -> list[str]:
    """Why the folder cannot be read at all, one line a problem."""
    return text_file_problems(source, *_files(source))


def read(source: KaldiSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of segments or, without it, of wav.scp.

    Raises:
        UserError: a file is missing, or there is no room for the temporary database.
    """
    refuse(problems(source))
    try:
        with closing(sqlite3.connect("")) as database:
            database.row_factory = sqlite3.Row
            for name in (AUDIO, SEGMENTS, TEXT, SPEAKERS):
                database.execute(TABLE.format(name=name))
            for name in _files(source):
                yield from _load(database, source, name)
            yield from _join(database, source)
    except sqlite3.Error as error:
        raise UserError(f"{source.path}: cannot join its files in the temporary folder: {error}") from None


def _files(source: KaldiSource) -> list[str]:
    segmented = Path(source.path, SEGMENTS).exists()
    return [AUDIO, *[SEGMENTS] * segmented, TEXT, *[SPEAKERS] * (source.speaker_pattern is None)]


def _load(database: sqlite3.Connection, source: KaldiSource, name: str) -> Iterator[Rejected]:
    """Put a file into its table, unreadable lines too; an id that stood there before is rejected."""
    for line in read_lines(source, name):
        key, value = [*line.text.strip().split(maxsplit=1), ""][:2]
        recording = value.split()[0] if name == SEGMENTS and value else key
        row = (key, recording, value, line.where, line.problem)
        if not database.execute(f"INSERT OR IGNORE INTO '{name}' VALUES (?, ?, ?, ?, ?)", row).rowcount:
            yield Rejected(line.where, excerpt(line.text), line.problem or f"id twice: {key} stands in {name} before")


def _join(database: sqlite3.Connection, source: KaldiSource) -> Iterator[Utterance | Rejected]:
    files = _files(source)
    main = SEGMENTS if SEGMENTS in files else AUDIO
    for row in database.execute(UTTERANCES.format(main=main)):
        yield _utterance(source, row, main)
    for name in files:
        column = "recording" if name == AUDIO else "key"
        for row in database.execute(UNUSED.format(name=name, column=column, main=main)):
            if row["problem"] or name == TEXT:
                yield Rejected(row["line"], excerpt(row["value"]), row["problem"] or f"no line in {main}: {row['key']}")


def _utterance(source: KaldiSource, row: sqlite3.Row, main: str) -> Utterance | Rejected:
    tables = {"main": main, "audio": AUDIO, "text": TEXT, "speaker": SPEAKERS}
    if source.speaker_pattern is not None:
        del tables["speaker"]
    where = row["main_line"]
    try:
        for table, name in tables.items():
            if row[f"{table}_line"] is None:
                raise BadRow(f"no line in {name}: {row['id']}")
            if row[f"{table}_problem"]:
                where = row[f"{table}_line"]
                raise BadRow(row[f"{table}_problem"])
        if row["audio"].startswith("|") or row["audio"].endswith("|"):
            where = row["audio_line"]
            raise BadRow(f"shell pipe: never executed, write its audio to a file: {excerpt(row['audio'])}")
        start, end = _span(row["main"]) if main == SEGMENTS else (0.0, None)
        return recorded(source, where, audio=row["audio"], text=row["text"], speaker=_speaker(source, row),
                        identifier=row["id"], start_seconds=start, end_seconds=end)
    except BadRow as error:
        return Rejected(where, excerpt(row["text"] or row["main"]), str(error))


def _speaker(source: KaldiSource, row: sqlite3.Row) -> str:
    if source.speaker_pattern is None:
        return str(row["speaker"])
    found = re.search(source.speaker_pattern, row["id"])
    if not found or not found[1]:
        raise BadRow(f"no speaker: speaker_pattern {source.speaker_pattern} finds none in {row['id']}")
    return found[1]


def _span(segment: str) -> tuple[float, float | None]:
    """Start and end of a segment "recording start end" in seconds; Kaldi's end -1 is the end of the file."""
    try:
        start, end = (float(value) for value in segment.split()[1:])
    except ValueError:
        raise BadRow(f"no segment: must be id recording start end, got {excerpt(segment)!r} after the id") from None
    if not (math.isfinite(start) and math.isfinite(end) and start >= 0 and (start < end or end == END_OF_FILE)):
        raise BadRow(f"end before start: {start} to {end}")
    return start, None if end == END_OF_FILE else end
