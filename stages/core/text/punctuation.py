"""Punctuation: marks of any script to the output's six, and tidying of what stands beside them."""

import re

from stages.core.text.letters import LETTER
from stages.core.text.tables import read_mapping

COLON_IN_NUMBER = re.compile("[:፡](?<=[0-9፩-፼].)(?=[0-9፩-፼])")
PAUSES = (".", ",", "?", "!")
MARK_RUN = re.compile(r" ?[.,?!][ .,?!]*")
STRENGTH = "?!.,"
"""Of several marks in a row the one named first here is kept."""

WORD = f"{LETTER}A-Za-zÀ-ɏ"
STRAY_QUOTE = re.compile(f"(?<![{WORD}])'+|'+(?![{WORD}])|'{{2,}}")
DASH = re.compile(r"(?<= )-+|-+(?= )|--+")
STRAY_HYPHEN = re.compile(f"(?<![{WORD}])-|-(?![{WORD}])")


class MarkMapper:
    """Replaces the marks of marks.tsv; a colon between the digits of a time or a ratio is left for the number rules.

    A space follows each pause, lest a mark between digits be taken for a decimal point or a separator of thousands.
    """

    def __init__(self, keep_colons_in_numbers: bool):
        table = read_mapping("marks", "mark", "replacement")
        spaced = {mark: instead + " " * (instead in PAUSES) for mark, instead in table.items()}
        self.long = [(mark, spaced[mark]) for mark in sorted(spaced, key=len, reverse=True) if len(mark) > 1]
        self.single = {ord(mark): replacement for mark, replacement in spaced.items() if len(mark) == 1}
        self.any = re.compile("[" + "".join(re.escape(mark[0]) for mark in table) + "]")
        self.keep_colons_in_numbers = keep_colons_in_numbers

    def __call__(self, text: str) -> str:
        if not self.any.search(text):
            return text
        for mark, replacement in self.long:
            if mark in text:
                text = text.replace(mark, replacement)
        if self.keep_colons_in_numbers:
            return ":".join(part.translate(self.single) for part in COLON_IN_NUMBER.split(text))
        return text.translate(self.single)


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
