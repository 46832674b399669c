"""Abbreviations: found by the table's forms in any homophone spelling, with prefixes and suffixes, and read out."""

import re

from stages.core.text.letters import LETTER, NOT_AFTER_LETTER, NOT_BEFORE_LETTER, affixes, any_of, fold, spelled
from stages.core.text.tables import read_table

SEPARATOR = re.compile(r"[./ ]")
SUSPECT = re.compile(rf"[{LETTER}](?:/|\. ?)[{LETTER}]| [{LETTER}] [{LETTER}](?![{LETTER}])")


class AbbreviationExpander:
    """Reads out the forms of abbreviations.tsv; unknown dotted initials are left as letters with spaces."""

    def __init__(self) -> None:
        rows = sorted(read_table("abbreviations"), key=lambda row: len(row["form"]), reverse=True)
        prefix = f"{NOT_AFTER_LETTER}(?P<prefix>{any_of(list(affixes('prefix')))}?)"
        suffix = f"(?P<suffix>{any_of(list(affixes('suffix')))}?){NOT_BEFORE_LETTER}"
        whole = "|".join(form_pattern(row["form"]) for row in rows if not row["form"].endswith("*"))
        stems = "|".join(stem_pattern(row["form"][:-1]) for row in rows if row["form"].endswith("*"))
        self.whole = re.compile(rf"{prefix}(?P<form>{whole})(?:{suffix}|(?<=[./])(?=[{LETTER}]))")
        self.stems = re.compile(rf"{prefix}(?P<form>{stems})")
        self.initials = re.compile(
            rf"{prefix}(?P<letters>[{LETTER}](?:\.[{LETTER}])+)(?:\.(?! *$)|{NOT_BEFORE_LETTER})"
        )
        self.expansions = {fold(form_key(row["form"])): row["expansion"] for row in rows[::-1]}
        self.expansions |= {form_key(row["form"]): row["expansion"] for row in rows}

    def __call__(self, text: str) -> str:
        if not SUSPECT.search(text):
            return text
        text = self.stems.sub(self.expand_stem, self.whole.sub(self.expand, text))
        return self.initials.sub(spell_initials, text) if "." in text else text

    def expand(self, match: re.Match[str]) -> str:
        expansion = self.expansion_of(match.group("form"))
        if match.group("suffix") is None:
            return f"{match.group('prefix')}{expansion} "
        return match.group("prefix") + expansion + match.group("suffix")

    def expand_stem(self, match: re.Match[str]) -> str:
        return match.group("prefix") + self.expansion_of(match.group("form") + "*").removesuffix("*")

    def expansion_of(self, form: str) -> str:
        """The expansion of the form as it is spelt, else of one that sounds alike (ዓ.ዓ. is not አ.አ.)."""
        key = form_key(form)
        return self.expansions.get(key) or self.expansions[fold(key)]


def form_key(form: str) -> str:
    """What all writings of one form have in common: its letters, one separator, no final mark."""
    return re.sub(r"[./] ?| +", "/", form).strip("/")


def form_pattern(form: str) -> str:
    """A pattern for one form: either separator for the other; a final mark only after a last part of one letter."""
    parts = SEPARATOR.split(form)
    initials = all(len(part) == 1 for part in parts)
    separator = " +" if " " in form else "[./] ?" if initials else "[./]"
    final = "" if len(parts[-1]) > 1 else "[./]?"
    return separator.join(map(spelled, parts)) + final


def stem_pattern(stem: str) -> str:
    """A pattern for a form without its end: either separator for the other."""
    return "[./]".join(map(spelled, SEPARATOR.split(stem)))


def spell_initials(match: re.Match[str]) -> str:
    """Initials without their dots, so that they do not end a sentence."""
    apart = " " if match.group().endswith(".") else ""
    return match.group("prefix") + match.group("letters").replace(".", " ") + apart
