"""The letters of Amharic and their Latin spellings."""

import pytest

from stages.core.text.letters import fold, homophones
from stages.core.text.syllabary import AMHARIC_LETTERS, HOMOPHONE_LETTERS, OTHER_LETTERS, romanise


def test_letters_are_the_folded_ones_and_each_once():
    assert len(set(AMHARIC_LETTERS)) == len(AMHARIC_LETTERS) == 237
    assert all(fold(letter) == letter for letter in AMHARIC_LETTERS)
    assert {fold(letter) for letter in HOMOPHONE_LETTERS} <= set(AMHARIC_LETTERS)
    assert not set(OTHER_LETTERS) & set(AMHARIC_LETTERS + HOMOPHONE_LETTERS)
    assert set("ኸቋጓኳሏሟቷኋኧቨፐጰ") <= set(AMHARIC_LETTERS)


def test_folding_is_a_table_of_fixed_points():
    assert all(ord(folded) not in homophones() for folded in homophones().values())


@pytest.mark.parametrize(
    ("letters", "latin"),
    [
        ("ለሉሊላሌልሎሏ", "LE LU LI LA LE L LO LWA"),
        ("ሀሁሂሄህሆ", "HA HU HI HE H HO"),
        ("አኡኢኤእኦኧ", "A U I E E O E"),
        ("ሰሳሸጠጨጸጰቀቸኘዠጀ", "SE SA SHE TE CHE TSE PE KE CHE NYE ZHE JE"),
        ("ወዋውየይኸ", "WE WA W YE Y HE"),
        ("ቈቋቍጓኰኋፏ", "KWE KWA KW GWA KWE HWA FWA"),
        ("ሐሠዐፀ", "HA SE A TSE"),
    ],
)
def test_romanises_by_consonant_and_order(letters, latin):
    assert [romanise(letter) for letter in letters] == latin.split()


def test_every_ethiopic_letter_romanises_to_latin():
    for letter in AMHARIC_LETTERS + HOMOPHONE_LETTERS:
        assert romanise(letter).isascii() and romanise(letter).isupper()


@pytest.mark.parametrize("letter", ["", "a", "፩", "።", "ሀለ"])
def test_other_characters_do_not_romanise(letter):
    with pytest.raises(ValueError, match="not an Ethiopic letter"):
        romanise(letter)
