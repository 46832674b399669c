"""Signs that are no punctuation: read or dropped by symbols.tsv; dots inside Latin words."""

import re
import unicodedata

from stages.core.text.letters import LETTER
from stages.core.text.numbers import phrase
from stages.core.text.tables import read_table

UNREAD = re.compile(f"[^{LETTER}A-Za-z0-9 .,?!'-]")
INITIALS = re.compile(r"(?<![A-Za-z.])[A-Za-z](?:\.[A-Za-z])+(?:\.(?! *$)|(?![A-Za-z]))")
LATIN_DOT = re.compile(r"(?<=[A-Za-z0-9])\.(?=[A-Za-z])")


class SymbolReader:
    """Reads signs beside numbers first, all others when the numbers are words."""

    def __init__(self) -> None:
        rows = read_table("symbols")
        self.anywhere = {row["symbol"]: row["reading"] for row in rows if row["place"] == "any"}
        self.beside_number = {row["symbol"]: row["reading"] for row in rows if row["place"] == "number"}
        signs = "".join(map(re.escape, self.beside_number))
        self.number_sign = re.compile(rf"(?<![A-Za-z{LETTER}])([{signs}])(?= ?[0-9])")

    def read_beside_numbers(self, text: str) -> str:
        """Signs before a digit; a plus only between two numbers."""
        return self.number_sign.sub(lambda match: f" {self.beside_number[match.group(1)]} ", text)

    def read_others(self, text: str) -> str:
        """All signs of the table; a sign without a row stays, to be reported."""
        if "." in text:
            text = LATIN_DOT.sub(f" {phrase('dot')}", INITIALS.sub(join_initials, text))
        return UNREAD.sub(self.replace, text)

    def replace(self, match: re.Match[str]) -> str:
        sign = match.group()
        reading = self.anywhere.get(sign, self.anywhere.get(unicodedata.category(sign)))
        return sign if reading is None else f" {reading} " if reading else ""


def join_initials(match: re.Match[str]) -> str:
    """U.S.A. as USA: dots inside a word would end its sentence."""
    return match.group().replace(".", "")
