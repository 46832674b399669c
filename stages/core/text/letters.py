"""Ethiopic letters, their homophones, and patterns that match every spelling of a word."""

import re
from functools import cache

from stages.core.text.tables import read_mapping, read_table

LETTER = "ሀ-ፚ"
"""Range of Ethiopic letters inside a character class; unassigned numbers in it never reach the output."""

ROW_LETTERS = 8
"""Code points of one consonant; its row starts at a multiple."""

SIXTH_ORDER = 5
"""Place in its row of a consonant's letter without a full vowel."""

NOT_AFTER_LETTER = f"(?<![{LETTER}])"
NOT_BEFORE_LETTER = f"(?![{LETTER}])"


@cache
def homophones() -> dict[int, str]:
    """Code point of each homophone letter to the letter that stands for its group; a table for str.translate."""
    return {ord(letter): folded for letter, folded in read_mapping("homophones", "letter", "folded").items()}


def fold(text: str) -> str:
    """The text with every homophone written by its group's letter."""
    return text.translate(homophones())


@cache
def spellings() -> dict[str, str]:
    """Folded letter to all letters of its group."""
    groups: dict[str, str] = {}
    for row in read_table("homophones"):
        groups[row["folded"]] = groups.get(row["folded"], row["folded"]) + row["letter"]
    return groups


def spelled(word: str) -> str:
    """A pattern that matches the word in every homophone spelling, with one or more spaces for a space."""
    groups = spellings()
    parts = []
    for letter in fold(word):
        group = groups.get(letter)
        parts.append(" +" if letter == " " else f"[{group}]" if group else re.escape(letter))
    return "".join(parts)


def any_of(words: list[str]) -> str:
    """A pattern that matches any of the words in any spelling, the longest first."""
    return "(?:" + "|".join(spelled(word) for word in sorted(words, key=len, reverse=True)) + ")"


@cache
def affixes(place: str) -> frozenset[str]:
    """The folded prefixes or suffixes of affixes.tsv."""
    return frozenset(fold(row["affix"]) for row in read_table("affixes") if row["place"] == place)


def join_suffix(words: str, suffix: str) -> str:
    """Put letters after the last word: a suffix replaces a last consonant that it repeats; a whole word stands apart.

    አምስት + ቱ is አምስቱ, ሀያ + ው is ሀያው, ሀያ + ሰዎች is ሀያ ሰዎች.
    """
    if not suffix:
        return words
    if fold(suffix) not in affixes("suffix"):
        return f"{words} {suffix}"
    row, order = divmod(ord(words[-1]), ROW_LETTERS)
    repeated = order == SIXTH_ORDER and row == ord(suffix[0]) // ROW_LETTERS
    return (words[:-1] if repeated else words) + suffix
