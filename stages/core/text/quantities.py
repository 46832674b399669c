"""Numbers with what they count: money, percent, units, fractions, ordinals, decimals; and plain numbers."""

import re

from stages.core.text.config import TextConfig
from stages.core.text.letters import LETTER, NOT_BEFORE_LETTER, affixes, any_of, join_suffix
from stages.core.text.numbers import (
    DIGITS_MAX,
    NUMBER,
    number_words,
    phrase,
    read_cardinal,
    read_digits,
    read_ordinal,
    read_quantity,
)
from stages.core.text.tables import read_mapping, read_table

NOT_IN_NUMBER = r"(?<![0-9])(?<![0-9][.,/:])"
DENOMINATOR_MAX = 100
SUFFIX = rf"(?:(?P<suffix>{any_of(list(affixes('suffix')))}){NOT_BEFORE_LETTER})?"

ORDINAL = re.compile(rf"(?<![0-9.,])(?P<number>{NUMBER})[ -]?[ተደነረ]?ኛ(?P<rest>[{LETTER}]*)", re.ASCII)
FRACTION = re.compile(r"(?<![0-9.,/:])(?:([0-9]{1,9}) +)?([0-9]{1,3})/([0-9]{1,3})(?![0-9/]|[.,:][0-9])", re.ASCII)
VERSION = re.compile(r"(?<![0-9.,])[0-9]{1,6}(?:\.[0-9]{1,6}){2,}(?![0-9])", re.ASCII)
BARE_DECIMALS = re.compile(r"(?:^|(?<= ))\.(?=[0-9])", re.ASCII)
PLAIN = re.compile(rf"(?P<number>{NUMBER})(?P<letters>[{LETTER}]*)", re.ASCII)


class QuantityReader:
    """Reads quantities under one config."""

    def __init__(self, config: TextConfig):
        self.digit_string_digits = config.digit_string_digits
        rows = read_table("currencies")
        self.currencies = {row["sign"]: row for row in rows}
        scales = [word for value, word in number_words()[0].items() if value.isdigit() and int(value) >= 1000]
        scale = rf"(?: ?(?P<scale>{any_of([*scales, 'ሺ'])}){NOT_BEFORE_LETTER})?"
        signs = alternatives([row["sign"] for row in rows if not re.match(f"[{LETTER}]", row["sign"])])
        names = alternatives([row["sign"] for row in rows])
        self.sign_first = re.compile(rf"(?<![A-Za-z])(?P<sign>{signs}) ?(?P<number>{NUMBER}){scale}{SUFFIX}", re.ASCII)
        self.sign_last = re.compile(
            rf"{NOT_IN_NUMBER}(?P<number>{NUMBER}){scale} ?(?P<sign>{names})"
            rf"(?:{SUFFIX.removesuffix('?')}|(?![A-Za-z{LETTER}])|(?<=[$€£¥₹₦]))",
            re.ASCII,
        )
        self.units = read_mapping("units", "unit", "reading")
        unit = alternatives(list(self.units))
        self.unit = re.compile(rf"{NOT_IN_NUMBER}(?P<number>{NUMBER}) ?(?P<unit>{unit})(?![A-Za-z{LETTER}])", re.ASCII)
        percent = rf"{NOT_IN_NUMBER}(?P<number>{NUMBER}) ?(?P<sign>[%‰]){SUFFIX}"
        self.percent = re.compile(percent, re.ASCII)
        self.fractions = read_mapping("fractions", "fraction", "words")

    def read_money(self, text: str) -> str:
        """$20, 20 ETB, 12.50 ብር: the amount, the currency, its hundredths."""
        return self.sign_last.sub(self.say_money, self.sign_first.sub(self.say_money, text))

    def read_percent(self, text: str) -> str:
        return self.percent.sub(self.say_percent, text)

    def read_units(self, text: str) -> str:
        return self.unit.sub(lambda match: f"{self.say(match)} {self.units[match.group('unit')]} ", text)

    def read_fractions(self, text: str) -> str:
        return FRACTION.sub(self.say_fraction, text) if "/" in text else text

    def read_ordinals(self, text: str) -> str:
        return ORDINAL.sub(say_ordinal, text)

    def read_plain(self, text: str) -> str:
        """Versions, decimals and whole numbers: no digit is left."""
        text = BARE_DECIMALS.sub("0.", VERSION.sub(say_version, text))
        return PLAIN.sub(self.say_plain, text)

    def say(self, match: re.Match[str]) -> str:
        """The match's number, long digits as a cardinal because something is counted."""
        return read_quantity(match.group("number"))

    def say_money(self, match: re.Match[str]) -> str:
        currency, scale = self.currencies[match.group("sign")], match.group("scale")
        whole, _, cents = match.group("number").partition(".")
        if scale or len(cents) != 2:
            words = " ".join(filter(None, [self.say(match), scale, currency["name"]]))
        else:
            words = self.say_hundredths(whole, int(cents), currency)
        suffix = match.group("suffix")
        return join_suffix(words, suffix) if suffix else words + self.part(match)

    def say_hundredths(self, whole: str, cents: int, currency: dict[str, str]) -> str:
        small = f"{read_cardinal(cents)} {currency['hundredth']}"
        if cents and not whole.strip("0,"):
            return small
        words = f"{read_quantity(whole)} {currency['name']}"
        return f"{words} {phrase('hundredth_join')}{small}" if cents else words

    def say_percent(self, match: re.Match[str]) -> str:
        words = f"{self.say(match)} {phrase('percent' if match.group('sign') == '%' else 'permille')}".rstrip()
        suffix = match.group("suffix")
        return join_suffix(words, suffix) if suffix else words + self.part(match)

    def say_fraction(self, match: re.Match[str]) -> str:
        """3/4 as a fraction; numbers that make no fraction stand side by side."""
        whole, numerator, denominator = match.groups()
        if not 0 < int(numerator) < int(denominator) <= DENOMINATOR_MAX or numerator[0] == "0":
            return match.group().replace("/", " ")
        plain = f"{int(numerator)}/{int(denominator)}"
        words = self.fractions.get(plain) or f"{read_cardinal(int(numerator))} {read_ordinal(int(denominator))}"
        return f"{whole} {phrase('mixed_join')}{words}" if whole else words

    def say_plain(self, match: re.Match[str]) -> str:
        words = read_quantity(match.group("number"), self.digit_string_digits)
        return join_suffix(words, match.group("letters"))

    @staticmethod
    def part(match: re.Match[str]) -> str:
        """A space where a word follows at once."""
        return " " if match.string[match.end() : match.end() + 1].isalnum() else ""


def alternatives(signs: list[str]) -> str:
    """A pattern for any of the signs, the longest first."""
    return "(?:" + "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True)) + ")"


def say_ordinal(match: re.Match[str]) -> str:
    number = match.group("number").replace(",", "")
    if "." in number or len(number) > DIGITS_MAX:
        return join_suffix(f"{read_quantity(match.group('number'))}ኛ", match.group("rest"))
    return join_suffix(read_ordinal(int(number)), match.group("rest"))


def say_version(match: re.Match[str]) -> str:
    """Numbers joined by several points, each by itself."""
    point = " " + phrase("point")
    parts = match.group().split(".")
    return point.join(read_digits(part) if part[0] == "0" else read_cardinal(int(part)) for part in parts)
