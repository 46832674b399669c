"""Punctuation: marks of any script to the output's six, and tidying of what stands beside them."""

import re

from stages.core.text.letters import LETTER
from stages.core.text.tables import read_mapping

MARK_RUN = re.compile(r" ?[.,?!][ .,?!]*")
STRENGTH = "?!.,"
"""Of several marks in a row the one named first here is kept."""

WORD = f"{LETTER}A-Za-zÀ-ɏ"
STRAY_QUOTE = re.compile(f"(?<![{WORD}])'+|'+(?![{WORD}])|'{{2,}}")
DASH = re.compile(r"(?<= )-+|-+(?= )|--+")
STRAY_HYPHEN = re.compile(f"(?<![{WORD}])-|-(?![{WORD}])")


class MarkMapper:
    """Replaces the marks of marks.tsv; a colon between the digits of a time or a ratio is left for the number rules."""

    def __init__(self, keep_colons_in_numbers: bool):
        table = read_mapping("marks", "mark", "replacement")
        longest_first = sorted(table, key=len, reverse=True)
        self.table = table
        self.pattern = re.compile("|".join(map(re.escape, longest_first)))
        self.time = re.compile(r"(?<=\d)፡(?=\d)")
        self.number_colon = re.compile(r"(?<=\d):(?=\d)") if keep_colons_in_numbers else None

    def __call__(self, text: str) -> str:
        if "፡" in text:
            text = self.time.sub(":", text)
        return self.pattern.sub(self.replace, text)

    def replace(self, match: re.Match[str]) -> str:
        mark = match.group()
        if mark == ":" and self.number_colon and self.number_colon.match(match.string, match.start()):
            return mark
        return self.table[mark]


def strongest_mark(match: re.Match[str]) -> str:
    """One mark and a space for a run of marks."""
    run = match.group()
    return next(mark for mark in STRENGTH if mark in run) + " "


def tidy(text: str) -> str:
    """One space between words, one mark at a time, no mark at the start, no quote or hyphen outside a word."""
    if "'" in text:
        text = STRAY_QUOTE.sub("", text)
    if "-" in text:
        text = STRAY_HYPHEN.sub(" ", DASH.sub(", ", text))
    text = MARK_RUN.sub(strongest_mark, " ".join(text.split()))
    return text.strip().lstrip(".,?! ")
