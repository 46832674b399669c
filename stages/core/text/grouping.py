"""What belongs to one number: letters set apart or joined, telephone numbers, groups of three, ranges and scores.

These rules rewrite text and leave digits for the readers that follow, save where digits are to be spelt out.
"""

import re

from stages.core.text.letters import LETTER, affixes, any_of, fold
from stages.core.text.numbers import NUMBER, phrase, read_digits

TELEPHONE_DIGITS_MIN = 7
PREFIX_BEFORE_NUMBER = any_of(list(affixes("prefix")))

NEGATIVE = re.compile(r"(?:^|(?<=[ ,]))-(?=[$€£¥]?\.?[0-9])", re.ASCII)
LETTERS_THEN_DIGIT = re.compile(rf"([{LETTER}]+)(-?)(?=[0-9])", re.ASCII)
DIGIT_THEN_LETTERS = re.compile(rf"(?<=[0-9])(-?)([{LETTER}]+)", re.ASCII)
LATIN_BESIDE_DIGIT = re.compile(r"(?<=[A-Za-z])-?(?=[0-9])|(?<=[0-9])-?(?=[A-Za-z])", re.ASCII)
ORDINAL_MARK = re.compile("[ተደነረ]?ኛ")

TELEPHONE = re.compile(r"(?<![0-9.,/:-])(?:(\+)[0-9]+|0[0-9]+)(?:[ -][0-9]+)*(?![.,/:]?[0-9])", re.ASCII)
HYPHEN_CHAIN = re.compile(r"(?<![0-9.,/:-])[0-9]+(?:-[0-9]+){2,}(?![0-9.,/:-])", re.ASCII)
SPACE_GROUPS = re.compile(r"(?<![0-9.,:/-])(?<![0-9] )[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9:/])(?!,[0-9])", re.ASCII)

OPERAND = rf"[$€£¥]?{NUMBER}(?::[0-9]{{2}})?"
RANGE = re.compile(
    rf"(?:(?<![{LETTER}])(?P<prefix>{PREFIX_BEFORE_NUMBER}))?(?<![0-9.,:/-])(?P<low>{OPERAND})(?P<mark>ኛ?)"
    rf" ?- ?(?P<high>{OPERAND})(?![0-9:/-])(?=(?P<ordinal>ኛ)?)",
    re.ASCII,
)


def part_letters(text: str) -> str:
    """Put a space between digits and the words beside them; affixes stay joined, a hyphen between goes.

    A hyphen after a prefix makes the number negative (ከ-5).
    """
    text = LETTERS_THEN_DIGIT.sub(part_prefix, text)
    text = DIGIT_THEN_LETTERS.sub(part_suffix, text)
    return LATIN_BESIDE_DIGIT.sub(" ", text)


def part_prefix(match: re.Match[str]) -> str:
    letters, hyphen = match.groups()
    if hyphen and ORDINAL_MARK.fullmatch(letters):
        return match.group()
    if fold(letters) not in affixes("prefix"):
        return f"{letters} "
    return letters + (phrase("negative") if hyphen else "")


def part_suffix(match: re.Match[str]) -> str:
    letters = match.group(2)
    if ORDINAL_MARK.match(letters) or fold(letters) in affixes("suffix"):
        return letters
    return f" {letters}"


def read_telephone(match: re.Match[str]) -> str:
    """Digits one by one, with a leading plus; a short number that only starts with 0 is left to the other rules."""
    digits = re.sub("[^0-9]", "", match.group())
    plus = match.group(1)
    if not plus and len(digits) < TELEPHONE_DIGITS_MIN:
        return match.group()
    return (phrase("plus") if plus else "") + read_digits(digits)


def read_chain(match: re.Match[str]) -> str:
    """Three and more numbers joined by hyphens, no date: digits one by one."""
    return read_digits(match.group().replace("-", ""))


def join_groups(match: re.Match[str]) -> str:
    """1 234 as 1,234."""
    return match.group().replace(" ", ",")


def amount(operand: str) -> list[float]:
    """Value of an operand of a range, to compare with another: its number, and the minutes of a time."""
    return [float(part) for part in re.sub("[^0-9.:]", "", operand).split(":")]


def read_range(match: re.Match[str]) -> str:
    """Rising numbers as a range, others as a score or, of a year and two digits, side by side."""
    low, high = match.group("low"), match.group("high")
    prefix, mark = match.group("prefix") or "", match.group("mark") or match.group("ordinal") or ""
    if amount(low) < amount(high):
        return f"{prefix or phrase('range_from')}{low}{mark} {phrase('range_to')}{high}"
    if len(low) == 4 and len(high) == 2:
        return f"{prefix}{low} {high}"
    return f"{prefix}{low}{mark} {phrase('score')}{high}"
