"""Ge'ez numerals to their value in digits."""

import re

NUMERALS = re.compile("[፩-፼]+")
ONE, TEN, HUNDRED, TEN_THOUSAND = (ord(c) for c in "፩፲፻፼")
WELL_FORMED_GROUP = "(?:[፲-፺]?[፩-፱]?፻)?[፲-፺]?[፩-፱]?"
WELL_FORMED = re.compile(f"(?:{WELL_FORMED_GROUP}፼+)*{WELL_FORMED_GROUP}")
NUMERALS_MAX = 12
"""Longest run that is taken for one number."""


def numeral_value(code: int) -> int:
    """Value of one numeral below a hundred."""
    return code - ONE + 1 if code < TEN else (code - TEN + 1) * 10


def geez_value(numerals: str) -> int:
    """Value of a run of numerals: hundreds and ten thousands multiply what stands before them."""
    total = hundreds = rest = 0
    for code in map(ord, numerals):
        if code == TEN_THOUSAND:
            total = (total + hundreds + rest or 1) * 10_000
            hundreds = rest = 0
        elif code == HUNDRED:
            hundreds += (rest or 1) * 100
            rest = 0
        else:
            rest += numeral_value(code)
    return total + hundreds + rest


def read_run(match: re.Match[str]) -> str:
    """Digits of one run; an ill-formed or overlong run is read numeral by numeral."""
    numerals = match.group()
    if len(numerals) > NUMERALS_MAX or not WELL_FORMED.fullmatch(numerals):
        digits = " ".join(str(geez_value(numeral)) for numeral in numerals)
    else:
        value = geez_value(numerals)
        digits = f"{value:,}" if value >= 10**6 else str(value)
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return " " * (before.isdigit()) + digits + " " * (after.isdigit())


def convert_geez(text: str) -> str:
    """The text with every Ge'ez number in digits, large ones with separators so that they stay one number."""
    return NUMERALS.sub(read_run, text)
