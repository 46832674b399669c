"""Cells of parquet files that embed audio, one in memory at a time, for a row group may be larger than that."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet

BUFFER_BYTES = 1 << 16


@lru_cache(maxsize=1)
def open_column(path: Path, changed_ns: int, row_group: int, column: str) -> "Column":
    """One column of a row group, the last of which stays open; `changed_ns` tells a file from what it was before."""
    return Column(path, row_group, column)


class Column:
    """One column of a row group. Rows are asked for in order: for an earlier one it is read from its start again."""

    def __init__(self, path: Path, row_group: int, column: str):
        self.path, self.row_group, self.name = path, row_group, column
        self._start()

    def _start(self) -> None:
        self.row, self.cells = -1, self._read()

    def _read(self) -> Iterator[Any]:
        with pyarrow.parquet.ParquetFile(self.path, buffer_size=BUFFER_BYTES) as file:
            for batch in file.iter_batches(1, row_groups=[self.row_group], columns=[self.name]):
                yield batch.column(0)[0]

    def cell(self, row: int) -> Any:
        """The content of a row, as Python has it.

        Raises:
            IndexError: there is no such row, row group or column.
            OSError, pyarrow.ArrowException: the file cannot be read.
        """
        if row <= self.row:
            self._start()
        for cell in self.cells:
            self.row += 1
            if self.row == row:
                return cell.as_py()
        raise IndexError(f"no row {row}")
