import errno
import os
from pathlib import Path

import pytest

from stages.core.artifacts.files import (
    csv_text,
    link_or_copy,
    output_folder,
    read_csv,
    read_json,
    read_jsonl,
    write_json,
    write_jsonl,
)
from stages.core.artifacts.split import place_of, split_of
from stages.core.errors import UserError


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with output_folder(tmp_path / "out") as folder:
        (folder / "new").touch()
        assert (tmp_path / "out/old").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_old_folder_that_a_kill_left_aside_goes_with_the_next_one(tmp_path):
    (tmp_path / ".out.old.partial").mkdir()
    with output_folder(tmp_path / "out"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path):
    with output_folder(tmp_path / "out") as folder:
        (folder / "good").touch()
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "out") as folder:
        (folder / "half").touch()
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "good"]


def test_a_disk_that_refuses_is_one_clear_line(tmp_path):
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot write"), output_folder(tmp_path / "data/out"):
        pass
    with pytest.raises(UserError, match="cannot write.*No space"), output_folder(tmp_path / "out"):
        Path("/dev/full").write_text("x" * 10)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_read_that_the_system_refuses_is_not_called_a_write(tmp_path):
    source = tmp_path / "data/base/gpt.pth"
    source.mkdir(parents=True)
    with pytest.raises(UserError) as told, output_folder(tmp_path / "data/export"):
        source.read_bytes()
    assert str(told.value) == f"{source}: Is a directory"
    with pytest.raises(UserError, match="gpt.pth: cannot write: Is a"), output_folder(tmp_path / "out") as new:
        (new / "gpt.pth").mkdir()
        (new / "gpt.pth").write_bytes(b"")


def test_a_copy_that_fills_the_disk_names_the_copy(tmp_path):
    (tmp_path / "source").write_text("x")
    with pytest.raises(UserError, match="copy: cannot write: No space"), output_folder(tmp_path / "out") as folder:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "source"), None, str(folder / "copy"))


def test_an_old_folder_that_cannot_be_removed_or_replaced_is_never_left_in_half(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a", "b", "c"):
        (out / name).touch()

    def refuse(name, *_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(name))

    def replace(source, target, real=os.replace):
        return refuse(source) if Path(target) == out and ".old." not in str(source) else real(source, target)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="cannot write: Operation not permitted"):
        patch.setattr(os, "replace", replace)
        with output_folder(out) as folder:
            (folder / "new").touch()
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", "c"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda name, *_, real=os.unlink, **named:
                      refuse(name) if name == "b" else real(name, **named))
        with output_folder(out) as folder:
            (folder / "new").touch()
    assert [path.name for path in out.iterdir()] == ["new"]
    with output_folder(out) as folder:
        (folder / "newer").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "newer"]


def test_a_link_in_the_place_of_a_folder_is_left_alone(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.raises(UserError, match="out: cannot write: is no folder"), output_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").is_symlink()


def test_json_is_read_back_and_its_absence_or_damage_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"ሰላም": [1, 2.5]})
    assert read_json(tmp_path / "a.json") == {"ሰላም": [1, 2.5]}
    (tmp_path / "b.json").write_text("{")
    for name, rule in (("b.json", "not valid JSON"), ("c.json", "no such file")):
        with pytest.raises(UserError, match=f"{name}.*{rule}"):
            read_json(tmp_path / name)


def test_a_table_holds_its_columns_in_order_and_is_read_back_and_its_absence_is_named(tmp_path):
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "rate": None, "text": 'a,"b"'}]
    assert csv_text(rows) == 'step,loss,rate,text\n1,0.5,,\n2,,,"a,""b"""\n'
    assert csv_text([{"loss": 1.0}], ("step", "loss")) == "step,loss\n,1.0\n" and csv_text([]) == "\n"
    (tmp_path / "table.csv").write_text(csv_text(rows))
    assert read_csv(tmp_path / "table.csv")[1] == {"step": "2", "loss": "", "rate": "", "text": 'a,"b"'}
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        read_csv(tmp_path / "none.csv")


def test_splits_have_their_shares_and_depend_on_text_and_seed_alone():
    texts = [f"text {number}" for number in range(4000)]
    splits = [split_of(text, 1, 0.1, 0.2) for text in texts]
    # binomial: standard error of a share is 0.006 at most
    assert splits.count("test") / 4000 == pytest.approx(0.2, abs=0.025)
    assert splits.count("validation") / 4000 == pytest.approx(0.1, abs=0.02)
    assert splits == [split_of(text, 1, 0.1, 0.2) for text in texts] != [split_of(text, 2, 0.1, 0.2) for text in texts]


def test_a_place_is_that_of_the_text_and_the_salt_forever():
    assert place_of("a text", "comparison") == int("c38bbb21171297f6", 16) / 2**64
    assert place_of("a text", "comparison") != place_of("a text", "1")


def test_rows_are_written_one_by_one_and_appear_only_whole(tmp_path):
    path = tmp_path / "rows.jsonl"

    def rows(last):
        yield {"text": "ሰላም"}
        assert not path.exists()
        if last == "broken":
            raise RuntimeError
        yield {"text": last}

    with pytest.raises(RuntimeError):
        write_jsonl(path, rows("broken"))
    assert list(tmp_path.iterdir()) == []
    breaks = "line\n\r\x0b\x85\u2028\u2029break"
    write_jsonl(path, rows(breaks))
    assert read_jsonl(path) == [{"text": "ሰላም"}, {"text": breaks}]


def test_a_second_name_costs_nothing_where_links_are_possible_and_is_a_copy_elsewhere(tmp_path, monkeypatch):
    source = tmp_path / "a"
    source.write_text("content")
    link_or_copy(source, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(source)

    def refuse(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_text() == "content" and not (tmp_path / "copied").samefile(source)
