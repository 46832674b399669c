import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest

from stages.core.errors import UserError
from stages.prepare_corpus.audio import Unusable, decode
from stages.prepare_corpus.utterance import Embedded

PARAMS = {"files": "*.parquet", "audio_column": "audio", "text_column": "text", "speaker_column": "who"}
AUDIO = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def write(folder, columns, name="a.parquet", **options):
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / name, **options)


def columns(count, text=None, who=None, audio=None):
    return {"audio": audio or pyarrow.array([{"bytes": b"RIFF", "path": "x.wav"}] * count, AUDIO),
            "text": text or pyarrow.array(["ሰላም ነው"] * count), "who": who or pyarrow.array(["one"] * count)}


def test_rows_are_told_by_file_row_group_and_row(folder, read):
    write(folder, columns(5), row_group_size=2)
    write(folder, columns(1), "b.parquet")
    good, rejected = read("parquet", **PARAMS)
    assert rejected == [] and [row.where for row in good] == [*(f"a.parquet:{n}" for n in range(1, 6)), "b.parquet:1"]
    assert [row.id for row in good] == [*(f"a-{n:07d}" for n in range(5)), "b-0000000"]
    path = good[0].speech.path
    assert [row.speech for row in good[:3]] == [Embedded(path, 0, 0, "audio"), Embedded(path, 0, 1, "audio"),
                                                Embedded(path, 1, 0, "audio")]


DICTIONARY = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string(), DICTIONARY])
def test_plain_bytes_dictionaries_numbers_and_ids_are_read(folder, read, kind):
    write(folder, columns(2, text=pyarrow.array(["ሰላም", "ደህና"]).cast(kind), who=pyarrow.array([7, 8]),
                          audio=pyarrow.array([b"RIFF"] * 2)) | {"key": pyarrow.array(["x", "y"])})
    good, rejected = read("parquet", **PARAMS, id_column="key")
    assert [(row.id, row.text, row.speaker) for row in good] == [("x", "ሰላም", "7"), ("y", "ደህና", "8")]
    assert rejected == []


def test_bad_cells_are_named_and_the_rest_goes_on(folder, read):
    raw = pyarrow.array([b"good", b"\xff\xfe", b"one\0two", b"", b"good"])
    text = pyarrow.Array.from_buffers(pyarrow.string(), 5, raw.buffers())
    write(folder, columns(5, text=text, who=pyarrow.array(["one", "one", "one", "one", None])), row_group_size=3)
    good, rejected = read("parquet", **PARAMS)
    assert [row.id for row in good] == ["a-0000000"]
    assert rejected == [
        ("a.parquet:2", "not UTF-8: column text"), ("a.parquet:3", "text that no file can hold: a NUL in it"),
        ("a.parquet:4", "no text"), ("a.parquet:5", "no speaker")]


def test_a_damaged_row_group_is_named_with_its_extent_and_the_others_are_read(folder, read):
    texts = pyarrow.array([f"{number:03d}" * 200 for number in range(40)])
    write(folder, columns(40, text=texts), row_group_size=20, compression="snappy", use_dictionary=False)
    path = folder / "a.parquet"
    offset = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(2).data_page_offset
    content = bytearray(path.read_bytes())
    content[offset + 4 : offset + 60] = b"\xff" * 56
    path.write_bytes(content)
    good, [(where, reason)] = read("parquet", **PARAMS)
    assert [row.where for row in good] == [f"a.parquet:{number}" for number in range(21, 41)]
    assert where == "a.parquet:1" and reason.startswith("unreadable rows: 20, ")


def test_files_that_cannot_be_read_are_told_together_before_any_row(folder, read):
    write(folder, columns(1))
    write(folder, {"sound": pyarrow.array([b""])}, "b.parquet")
    write(folder, columns(1, text=pyarrow.array([["list"]]), audio=pyarrow.array(["path.wav"])), "c.parquet")
    (folder / "d.parquet").write_bytes(b"PAR1 but cut off")
    with pytest.raises(UserError) as error:
        read("parquet", **PARAMS)
    told = [line.removeprefix("data/recordings/home/") for line in str(error.value).splitlines()]
    assert told[:5] == [
        "b.parquet: must have one column 'audio' (got sound)", "b.parquet: must have one column 'text' (got sound)",
        "b.parquet: must have one column 'who' (got sound)",
        "c.parquet: column 'audio' must hold bytes, or a struct of bytes and path (got string)",
        "c.parquet: column 'text' must hold text or whole numbers (got list<element: string>)",
    ]
    assert told[5].startswith("d.parquet: cannot be read as parquet: ") and len(told) == 6


def test_a_file_outside_the_corpus_is_not_opened(folder, read, tmp_path):
    write(tmp_path, columns(1), "outside.parquet")
    (folder / "a.parquet").symlink_to(tmp_path / "outside.parquet")
    with pytest.raises(UserError, match="symbolic link out of the corpus"):
        read("parquet", **PARAMS)


def test_audio_is_not_read_with_the_rows(folder, read):
    audio = pyarrow.array([{"bytes": bytes(1_000_000), "path": "x.wav"}] * 50, AUDIO)
    write(folder, columns(50, audio=audio), compression="none", use_dictionary=False)
    del audio
    before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    assert len(read("parquet", **PARAMS)[0]) == 50
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 5_000_000 and pyarrow.total_allocated_bytes() - before < 5_000_000


POOLS = []  # kept, for Arrow crashes where a pool is gone before what was allocated from it


@pytest.fixture
def pool():
    """What Arrow allocates from, which knows the most that it held."""
    usual = pyarrow.default_memory_pool()
    POOLS.append(pyarrow.proxy_memory_pool(usual))
    pyarrow.set_memory_pool(POOLS[-1])
    yield POOLS[-1]
    pyarrow.set_memory_pool(usual)


def repeated(value, count):
    """A column that a file holds as one value and many places where it stands."""
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * count, pyarrow.int8()), pyarrow.array([value]))


def test_a_small_file_of_long_texts_is_unpacked_a_little_at_a_time_and_its_texts_are_left_out(folder, read, pool):
    write(folder, columns(500, text=repeated("a" * 2_000_000, 500)), compression="zstd")
    assert (folder / "a.parquet").stat().st_size < 5_000
    good, rejected = read("parquet", **PARAMS)
    assert good == [] and {reason for _, reason in rejected} == {"text too long: more than 1048576 bytes"}
    assert len(rejected) == 500 and pool.max_memory() < 150_000_000


def test_a_small_file_of_long_recordings_is_unpacked_one_at_a_time(folder, read, pool):
    table = pyarrow.table(columns(100, audio=repeated(b"a" * 2_000_000, 100)))
    pyarrow.parquet.write_table(table, folder / "a.parquet", compression="zstd", store_schema=False)
    assert (folder / "a.parquet").stat().st_size < 5_000
    rows, _ = read("parquet", **PARAMS)
    for row in rows:
        with pytest.raises(Unusable, match="unreadable audio"):
            decode(row.speech)
    assert len(rows) == 100 and pool.max_memory() < 20_000_000
