"""Rows of parquet files; apart from their params, since pyarrow is not to be loaded where those are checked.

The audio column is either the bytes of an audio file or a struct of such `bytes` and a `path`. The bytes are not read
here: rows are streamed batch by batch from their other columns only.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

from stages.prepare_corpus.sources.common import BadRow, described, listed_file
from stages.prepare_corpus.sources.lines import EXCERPT_CHARACTERS, LINE_BYTES_MAX, excerpt
from stages.prepare_corpus.sources.parquet import ParquetSource
from stages.prepare_corpus.utterance import Embedded, Rejected, Utterance

BATCH_ROWS = 16
"""Rows unpacked at a time: in a file of a kilobyte each may be a text of megabytes."""

BUFFER_BYTES = 1 << 16


def files_problems(source: ParquetSource) -> list[str]:
    """Why the files cannot be read at all, one line a problem."""
    found = _files(source)
    if not found:
        return [f"{Path(source.path, source.files)}: no such file, needed by a source of kind {source.kind}"]
    return [f"{Path(source.path, name)}: {problem}" for name in found for problem in _file_problems(source, name)]


def read_files(source: ParquetSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the files' names and of their rows."""
    for name in _files(source):
        yield from _read_file(source, name)


def _files(source: ParquetSource) -> list[str]:
    return sorted(str(path.relative_to(source.path)) for path in Path(source.path).glob(source.files))


def _file_problems(source: ParquetSource, name: str) -> list[str]:
    try:
        schema = pyarrow.parquet.read_schema(listed_file(source, name))
    except BadRow as error:
        return [str(error)]
    except (OSError, pyarrow.ArrowException) as error:
        return [f"cannot be read as parquet: {error}"]
    columns = [source.audio_column, *source.told()]
    lacking = [f"must have one column {column!r} (got {', '.join(schema.names)})"
               for column in columns if schema.names.count(column) != 1]
    return lacking or [
        f"column {column!r} must hold {rule} (got {schema.field(column).type})"
        for column, rule, fits in [(source.audio_column, "bytes, or a struct of bytes and path", _holds_audio),
                                   *((column, "text or whole numbers", _holds_words) for column in source.told())]
        if not fits(schema.field(column).type)
    ]


def _holds_audio(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_audio(kind.field("bytes").type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _holds_words(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _holds_words(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind))


def _read_file(source: ParquetSource, name: str) -> Iterator[Utterance | Rejected]:
    number = 0
    with pyarrow.parquet.ParquetFile(Path(source.path, name), buffer_size=BUFFER_BYTES) as file:
        for group in range(file.num_row_groups):
            row, rows = 0, file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=source.told()):
                    columns = {column: _values(batch.column(column)) for column in source.told()}
                    for cells in zip(*columns.values(), strict=True):
                        speech = Embedded(Path(source.path, name), group, row, source.audio_column)
                        yield _row(source, name, number + row, dict(zip(columns, cells, strict=True)), speech)
                        row += 1
            except (OSError, pyarrow.ArrowException) as error:
                yield Rejected(f"{name}:{number + row + 1}", "", f"unreadable rows: {rows - row}, {error}")
            number += rows


def _values(column: pyarrow.Array) -> list[bytes | int | None]:
    """Text as bytes, for a file may hold what is no UTF-8; numbers as they are."""
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pyarrow.types.is_integer(column.type):
        column = column.cast(pyarrow.large_binary())
    values: list[bytes | int | None] = column.to_pylist()
    return values


def _row(
    source: ParquetSource, name: str, index: int, cells: dict[str, bytes | int | None], speech: Embedded
) -> Utterance | Rejected:
    where, text = f"{name}:{index + 1}", cells[source.text_column]
    try:
        words = {column: _word(column, value) for column, value in cells.items()}
        identifier = words[source.id_column] if source.id_column else f"{Path(name).stem}-{index:07d}"
        return described(source, where, speech=speech, text=words[source.text_column], identifier=identifier,
                         speaker=source.speaker or words[source.speaker_column or ""])
    except BadRow as error:
        return Rejected(where, _shown(text), str(error))


def _shown(text: bytes | int | None) -> str:
    if isinstance(text, bytes):
        return excerpt(text[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace"))
    return "" if text is None else str(text)


def _word(column: str, value: bytes | int | None) -> str:
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    if len(value) > LINE_BYTES_MAX:
        raise BadRow(f"{column} too long: more than {LINE_BYTES_MAX} bytes")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRow(f"not UTF-8: column {column}") from None
