"""Parquet files with embedded audio, as Hugging Face's datasets write them (https://huggingface.co/docs/datasets)."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stages.prepare_corpus.sources.common import NamedColumnsSource, RelativePath, refuse
from stages.prepare_corpus.utterance import Rejected, Utterance


def _is_pattern(pattern: str) -> str:
    parts = PurePath(pattern).parts
    if not parts or any("**" in part and part != "**" for part in parts):
        raise ValueError("must be a pattern of files, with ** for folders at any depth alone between slashes")
    return pattern


class ParquetSource(NamedColumnsSource):
    """A folder of parquet files."""

    kind: Literal["parquet"]
    files: Annotated[RelativePath, AfterValidator(_is_pattern)] = Field(
        description="pattern of the files inside path, such as data/train-*.parquet"
    )
    id_column: str | None = Field(default=None, min_length=1, description="ids; else a row's file and number")

    def told(self) -> list[str]:
        """The columns whose values are read here."""
        return [name for name in (self.text_column, self.speaker_column, self.id_column) if name]


def problems(source: ParquetSource) -> list[str]:
    """Why the files cannot be read at all, one line a problem."""
    from stages.prepare_corpus.sources.parquet_rows import files_problems

    return files_problems(source)


def read(source: ParquetSource) -> Iterator[Utterance | Rejected]:
    """Utterances in the order of the files' names and of their rows.

    Raises:
        UserError: there is no file, or one is no parquet, lacks a column or has one of a wrong type.
    """
    from stages.prepare_corpus.sources.parquet_rows import read_files

    refuse(problems(source))
    return read_files(source)
