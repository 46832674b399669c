"""The tables: readable, consistent, and part of the settings' fingerprint."""

import re
import shutil

import pytest

from stages.core.errors import ParamsError, UserError
from stages.core.params.strict import parse_section
from stages.core.text import config, tables
from stages.core.text.abbreviations import form_key
from stages.core.text.config import TextConfig, settings_hash, standard_config
from stages.core.text.letters import fold
from stages.core.text.tables import FOLDER, read_table

READINGS = [
    ("abbreviations", "expansion"), ("numbers", "cardinal"), ("numbers", "ordinal"), ("currencies", "name"),
    ("currencies", "hundredth"), ("units", "reading"), ("phrases", "words"), ("months", "ethiopian"),
    ("months", "gregorian"), ("fractions", "words"),
]  # fmt: skip


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.tsv")), ids=lambda path: path.stem)
def test_each_table_has_rows_and_says_its_meaning_and_source(path):
    rows = read_table(path.stem)
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    key = next(iter(rows[0]))
    assert "Source:" in " ".join(comments)
    assert all(row[key] for row in rows)


@pytest.mark.parametrize(("table", "column"), READINGS)
def test_readings_are_amharic_words(table, column):
    for row in read_table(table):
        assert re.fullmatch(r"([ሀ-ፚ]+[*+]?( |$))*", row[column]), row


def test_number_words_and_months_are_spelt_folded():
    for row in (*read_table("numbers"), *read_table("months"), *read_table("phrases")):
        assert all(fold(field) == field for column, field in row.items() if column != "example")


def test_no_abbreviation_stands_twice():
    keys = [(form_key(row["form"]), " " in row["form"]) for row in read_table("abbreviations")]
    assert len(set(keys)) == len(keys)


def test_a_row_with_a_missing_field_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    (tmp_path / "broken.tsv").write_text("# note\na\tb\n1\t2\n3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"broken\.tsv:4: must have 2 fields \(a, b\), got 1"):
        read_table("broken")


def test_fingerprint_follows_settings_tables_and_version(tmp_path, monkeypatch):
    standard = settings_hash(standard_config())
    assert re.fullmatch("[0-9a-f]{64}", standard) and settings_hash(standard_config()) == standard
    assert settings_hash(standard_config().model_copy(update={"read_clock": False})) != standard
    monkeypatch.setattr(config, "FRONT_END_VERSION", 0)
    assert settings_hash(standard_config()) != standard
    monkeypatch.undo()
    settings = standard_config()
    shutil.copytree(FOLDER, tmp_path / "tables")
    monkeypatch.setattr(config, "FOLDER", tmp_path / "tables")
    assert settings_hash(settings) == standard
    with (tmp_path / "tables/units.tsv").open("a", encoding="utf-8") as file:
        file.write("dl\tዴሲ ሊትር\n")
    assert settings_hash(settings) != standard


def test_wrong_settings_are_all_reported():
    content = standard_config().model_dump() | {"digit_string_digits": 1, "calendar": "julian", "colour": 1}
    with pytest.raises(ParamsError) as error:
        parse_section(TextConfig, content, "params.yaml", "text")
    assert len(error.value.problems) == 3
