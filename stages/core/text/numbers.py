"""Number words: cardinals, ordinals, years by hundreds, digits one by one. Words come from numbers.tsv."""

from functools import cache

from stages.core.text.tables import read_mapping

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+)(?:\.\d+)?"
"""Pattern of one number: digits, or groups of three with commas, then perhaps decimals."""

DIGITS_MAX = 15
"""Digits of the largest cardinal: trillions are the largest scale of the table."""


@cache
def number_words() -> tuple[dict[str, str], dict[str, str]]:
    """The table's value to cardinal, and cardinal to ordinal."""
    return read_mapping("numbers", "value", "cardinal"), read_mapping("numbers", "cardinal", "ordinal")


@cache
def phrase(key: str) -> str:
    """Words of phrases.tsv with the space that parts them from the next word; a joining word has none."""
    words = read_mapping("phrases", "key", "words")[key]
    return words[:-1] if words.endswith("+") else words + " "


@cache
def below_thousand(value: int) -> str:
    """Words of 0 to 999."""
    words = number_words()[0]
    hundreds, rest = divmod(value, 100)
    parts = [words[str(hundreds)], words["100"]] if hundreds else []
    if rest > 20 and rest % 10 or 10 < rest < 20:
        tens = "10+" if rest < 20 else str(rest // 10 * 10)
        parts += [words[tens], words[str(rest % 10)]]
    elif rest or not hundreds:
        parts.append(words[str(rest)])
    return " ".join(parts)


def read_cardinal(value: int) -> str:
    """Words of a whole number of at most DIGITS_MAX digits.

    Raises:
        ValueError: the number is negative or larger.
    """
    if not 0 <= value < 10**DIGITS_MAX:
        raise ValueError(f"no words for {value}")
    if value < 1000:
        return below_thousand(value)
    words = number_words()[0]
    parts = []
    for power in range(DIGITS_MAX - 3, 0, -3):
        count, value = divmod(value, 10**power)
        if count:
            parts += [below_thousand(count), words[str(10**power)]]
    if value:
        parts.append(below_thousand(value))
    return " ".join(parts)


def read_ordinal(value: int) -> str:
    """Words of an ordinal: the last word of the cardinal takes its ordinal form."""
    *before, last = read_cardinal(value).split(" ")
    return " ".join([*before, number_words()[1][last]])


def read_by_hundreds(year: int) -> str:
    """Words of a year 1100 to 1999 as so many hundreds and a rest."""
    hundreds, rest = divmod(year, 100)
    words = [below_thousand(hundreds), number_words()[0]["100"]]
    return " ".join([*words, below_thousand(rest)] if rest else words)


def read_digits(digits: str) -> str:
    """Each digit by its own word."""
    words = number_words()[0]
    return " ".join(words[digit] for digit in digits)


def read_quantity(token: str, digit_string_digits: int = DIGITS_MAX + 1) -> str:
    """Words of one number as the NUMBER pattern finds it.

    A leading zero, or so many digits without separators, makes its whole part a digit string.
    """
    whole, _, decimals = token.partition(".")
    digits = whole.replace(",", "")
    long = len(digits) >= (digit_string_digits if digits == whole else DIGITS_MAX + 1)
    if len(digits) > DIGITS_MAX or long or (digits[0] == "0" and len(digits) > 1):
        words = read_digits(digits)
    else:
        words = read_cardinal(int(digits))
    return f"{words} {phrase('point')}{read_digits(decimals)}" if decimals else words
