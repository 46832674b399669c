"""Numbers read to words that a second reader, written here without the tables, maps back."""

import re
from functools import cache

import pytest

from stages.core.text.geez import geez_value
from stages.core.text.numbers import read_by_hundreds, read_cardinal, read_ordinal

ZERO_TO_TEN = "ዜሮ አንድ ሁለት ሶስት አራት አምስት ስድስት ሰባት ስምንት ዘጠኝ አስር"
TEENS, *TENS = ["አስራ", "ሀያ", "ሰላሳ", "አርባ", "ሀምሳ", "ስልሳ", "ሰባ", "ሰማንያ", "ዘጠና"]
ZERO, *UNITS, TEN = ZERO_TO_TEN.split()
VALUES = {word: value for value, word in enumerate(ZERO_TO_TEN.split())}
VALUES |= {TEENS: 10} | {word: 10 * value for value, word in enumerate(TENS, 2)}
UNIT = f"(?:{'|'.join(UNITS)})"
BELOW_HUNDRED = f"(?:{TEN}|{TEENS} {UNIT}|(?:{'|'.join(TENS)})(?: {UNIT})?|{UNIT})"
BELOW_THOUSAND = re.compile(f"(?:({UNIT}) መቶ)? ?({BELOW_HUNDRED})?")
SCALES = {"ትሪሊዮን": 10**12, "ቢሊዮን": 10**9, "ሚሊዮን": 10**6, "ሺህ": 10**3}
EVERY_BELOW = 20_000
STRIDE = 997


def value_of(words: str) -> int:
    """The value of words in the one order that is allowed: falling scales, each after its count below a thousand."""
    if words == ZERO:
        return 0
    total, rest = 0, words
    for scale, value in SCALES.items():
        count, found, after = rest.rpartition(f" {scale}")
        if found:
            total += below_thousand(count) * value
            rest = after.removeprefix(" ")
    return total + (below_thousand(rest) if rest else 0)


@cache
def below_thousand(words: str) -> int:
    """One to 999: hundreds, then a ten, or a teen, or a tens word and a unit, or a unit."""
    match = BELOW_THOUSAND.fullmatch(words)
    if not match or not words or words != words.strip():
        raise ValueError(f"no number: {words!r}")
    hundreds, below = match.groups()
    return VALUES.get(hundreds, 0) * 100 + sum(VALUES[word] for word in (below or "").split())


@pytest.mark.parametrize("words", [
    "አስራ", "አስር አንድ", "አንድ ሀያ", "አንድ አስራ", "መቶ", "ሀያ መቶ", "ሺህ", "አንድ ሺህ አንድ ሚሊዮን", "አንድ  መቶ", "ሀያ አስር", "ዜሮ ሺህ",
])
def test_the_second_reader_refuses_words_that_are_no_number(words):
    with pytest.raises(ValueError, match="no number"):
        value_of(words)


def test_every_integer_to_a_million_reads_back():
    for value in range(10**6 + 1):
        assert value_of(read_cardinal(value)) == value


def test_normalised_digits_read_back(normaliser):
    """Through all rules: every integer below 20,000 and every 997th to a million, with separators."""
    for value in [*range(EVERY_BELOW), *range(EVERY_BELOW, 10**6 + 1, STRIDE), 10**6]:
        assert value_of(normaliser.normalise(f"{value:,}")) == value


@pytest.mark.parametrize("value", [10**6, 10**9 - 1, 10**9 + 1, 10**12, 123_456_789_012_345, 10**15 - 1])
def test_large_numbers_read_back(value):
    assert value_of(read_cardinal(value)) == value


@pytest.mark.parametrize("value", [-1, 10**15])
def test_numbers_without_words_are_an_error(value):
    with pytest.raises(ValueError, match="no words"):
        read_cardinal(value)


def test_teens_and_tens_have_no_needless_words():
    assert read_cardinal(10) == "አስር"
    assert read_cardinal(110) == "አንድ መቶ አስር"
    assert read_cardinal(1_000_020) == "አንድ ሚሊዮን ሀያ"


def test_ordinals_are_distinct_and_marked():
    ordinals = [read_ordinal(value) for value in range(5000)]
    assert len(set(ordinals)) == len(ordinals)
    assert all(ordinal.endswith("ኛ") for ordinal in ordinals)


def test_years_by_hundreds_read_back():
    for year in range(1100, 2000):
        hundreds, found, rest = read_by_hundreds(year).partition(" መቶ")
        assert found and value_of(hundreds) * 100 + (value_of(rest.strip()) if rest else 0) == year


def write_geez(value: int) -> str:
    """Ge'ez numerals of 1 to 99,999,999, written here for the test."""
    pairs = []
    while value:
        value, pair = divmod(value, 100)
        pairs.append(pair)
    text = ""
    for place in range(len(pairs) - 1, -1, -1):
        tens, units = divmod(pairs[place], 10)
        numerals = ("፲፳፴፵፶፷፸፹፺"[tens - 1] if tens else "") + ("፩፪፫፬፭፮፯፰፱"[units - 1] if units else "")
        sign = "" if place == 0 else "፻" if place % 2 else "፼"
        if sign == "፻" and not numerals:
            continue
        text += ("" if numerals == "፩" and sign and not text else numerals) + sign
    return text


def test_geez_numerals_give_their_value(normaliser):
    for value in [*range(1, 3000), 9_999, 10_000, 10_001, 20_305, 99_999, 100_000, 1_000_000, 12_345_678]:
        assert geez_value(write_geez(value)) == value
        assert value_of(normaliser.normalise(write_geez(value))) == value
