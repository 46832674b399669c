import pyarrow
import pyarrow.parquet
import pytest

from stages.prepare_corpus.embedded import Column, open_column


@pytest.fixture
def path(tmp_path):
    cells = [{"bytes": f"{number}".encode(), "path": "a.wav"} for number in range(6)]
    pyarrow.parquet.write_table(pyarrow.table({"audio": cells}), tmp_path / "a.parquet", row_group_size=4)
    return tmp_path / "a.parquet"


def test_rows_are_found_in_any_order(path):
    column = Column(path, 0, "audio")
    for row in (0, 1, 3, 3, 2, 0, 1):
        assert column.cell(row)["bytes"] == f"{row}".encode()
    assert Column(path, 1, "audio").cell(1)["bytes"] == b"5"


def test_a_row_that_is_not_there_is_told_and_the_others_are_found_after_it(path):
    column = Column(path, 1, "audio")
    with pytest.raises(IndexError):
        column.cell(2)
    assert column.cell(0)["bytes"] == b"4"


def test_a_file_that_changed_is_opened_anew(path):
    assert open_column(path, 1, 0, "audio") is open_column(path, 1, 0, "audio")
    assert open_column(path, 1, 0, "audio") is not open_column(path, 2, 0, "audio")
