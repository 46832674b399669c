"""The one way from written Amharic to what the model reads: Ethiopic and Latin letters, space and . , ? ! ' -"""

import re
import unicodedata
from collections.abc import Callable

from stages.core.errors import UserError
from stages.core.text.abbreviations import SUSPECT, AbbreviationExpander
from stages.core.text.clock import read_clock
from stages.core.text.config import TextConfig
from stages.core.text.dates import DateReader
from stages.core.text.geez import convert_geez
from stages.core.text.grouping import (
    HYPHEN_CHAIN,
    NEGATIVE,
    RANGE,
    SPACE_GROUPS,
    TELEPHONE,
    join_groups,
    part_letters,
    read_chain,
    read_range,
    read_telephone,
)
from stages.core.text.letters import fold
from stages.core.text.numbers import phrase
from stages.core.text.punctuation import MarkMapper, tidy
from stages.core.text.quantities import QuantityReader
from stages.core.text.syllabary import AMHARIC_LETTERS, HOMOPHONE_LETTERS, OTHER_LETTERS
from stages.core.text.symbols import SymbolReader
from stages.core.text.unicode import UnicodeCleaner

Rule = tuple[str, Callable[[str], str]]
PASSES_MAX = 8
REPORTED_CHARACTERS_MAX = 5
DIGIT = re.compile("[0-9]")
ANY_LETTER = re.compile("[^ .,?!'-]")


class TextError(UserError):
    """A text that cannot be normalised. `reason` says why, without the text."""

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(reason)


class Normaliser:
    """Applies the policy's rules in their order until nothing changes, then checks the output alphabet."""

    def __init__(self, config: TextConfig):
        self.config = config
        self.rules = text_rules(config)
        self.number_rules = number_rules(config)
        self.final_rules = final_rules(config)
        letters = output_letters(config)
        self.foreign = re.compile(f"[^ .,?!'{letters}-]")
        self.finished = re.compile(f"[{letters}]++(?:['-][{letters}]++|[.,?!]? [{letters}]++)*+[.,?!]?")

    def normalise(self, text: str) -> str:
        """The text as the model reads it.

        Raises:
            TextError: too long, nothing to speak, or a character that no rule turns into the output alphabet.
        """
        return self.run(text, None)

    def explain(self, text: str) -> list[tuple[str, str, str]]:
        """Each rule that changed the text, in order: its name, the text before and the text after.

        Raises:
            TextError: as `normalise`.
        """
        changes: list[tuple[str, str, str]] = []
        self.run(text, changes)
        return changes

    def run(self, text: str, changes: list[tuple[str, str, str]] | None) -> str:
        if len(text) > self.config.characters_max:
            raise TextError(f"too many characters: {len(text)} > {self.config.characters_max} (characters_max)")
        for _ in range(PASSES_MAX):
            if self.is_finished(text):
                return text
            before = text
            text = apply(self.rules, text, changes)
            if DIGIT.search(text):
                text = apply(self.number_rules, text, changes)
            text = apply(self.final_rules, text, changes)
            if text == before:
                return self.check(text)
        raise TextError(f"still changes after {PASSES_MAX} passes")

    def is_finished(self, text: str) -> bool:
        """Whether the text is plainly one that no rule would change: words and single marks of the output alphabet."""
        return self.finished.fullmatch(text) is not None and not SUSPECT.search(text)

    def check(self, text: str) -> str:
        """The text, when it is one that can be spoken."""
        foreign = sorted(set(self.foreign.findall(text)))
        if foreign:
            named = ", ".join(map(describe_character, foreign[:REPORTED_CHARACTERS_MAX]))
            left = len(foreign) - REPORTED_CHARACTERS_MAX
            raise TextError(f"outside the output alphabet: {named}" + (f" and {left} more" if left > 0 else ""))
        if not ANY_LETTER.search(text):
            raise TextError("nothing to speak")
        return text


def output_letters(config: TextConfig) -> str:
    """The letters of the output alphabet, as the inside of a character class."""
    letters = AMHARIC_LETTERS if config.fold_homophones else AMHARIC_LETTERS + HOMOPHONE_LETTERS
    other = OTHER_LETTERS if config.other_letters == "keep" else ()
    accents = "" if config.fold_latin_accents else "À-ÖØ-öø-ɏ"
    return "A-Za-z" + accents + "".join(letters + other)


def describe_character(character: str) -> str:
    """A character by number and name, safe to print anywhere."""
    return f"U+{ord(character):04X} {unicodedata.name(character, unicodedata.category(character))}"


def apply(rules: list[Rule], text: str, changes: list[tuple[str, str, str]] | None) -> str:
    """The text after each rule; rules that changed it are appended to `changes`."""
    for name, rule in rules:
        before = text
        text = rule(text)
        if changes is not None and text != before:
            changes.append((name, before, text))
    return text


def chosen(*candidates: tuple[bool, str, Callable[[str], str]]) -> list[Rule]:
    """The rules whose switch is on."""
    return [(name, rule) for switch, name, rule in candidates if switch]


def text_rules(config: TextConfig) -> list[Rule]:
    """Rules for any text, before numbers are read."""
    return chosen(
        (config.clean_unicode, "unicode", UnicodeCleaner(config.fold_latin_accents)),
        (config.expand_abbreviations, "abbreviations", AbbreviationExpander()),
        (config.fold_homophones, "homophones", fold),
        (config.map_punctuation, "punctuation", MarkMapper(config.expand_numbers and config.read_clock)),
        (config.read_geez_numerals, "geez_numerals", convert_geez),
    )


def number_rules(config: TextConfig) -> list[Rule]:
    """Rules for a text with digits: those that need most context come first."""
    dates, quantities, symbols = DateReader(config), QuantityReader(config), SymbolReader()
    on = config.expand_numbers
    return chosen(
        (on, "letters_beside_digits", part_letters),
        (on, "telephone", lambda text: TELEPHONE.sub(read_telephone, text)),
        (on, "groups_of_three", lambda text: SPACE_GROUPS.sub(join_groups, text)),
        (on and config.read_dates, "dates", dates.read_dates),
        (on, "hyphen_chains", lambda text: HYPHEN_CHAIN.sub(read_chain, text)),
        (on and config.read_ranges, "ranges", lambda text: RANGE.sub(read_range, text) if "-" in text else text),
        (on, "negative", lambda text: NEGATIVE.sub(phrase("negative"), text) if "-" in text else text),
        (on and config.read_clock, "clock", read_clock),
        (on and config.years_by_hundreds, "years", dates.read_years),
        (on and config.read_money, "money", quantities.read_money),
        (on, "percent", quantities.read_percent),
        (on and config.read_symbols, "units", quantities.read_units),
        (on and config.read_symbols, "signs_beside_numbers", symbols.read_beside_numbers),
        (on, "ordinals", quantities.read_ordinals),
        (on, "fractions", quantities.read_fractions),
        (on, "numbers", quantities.read_plain),
    )


def final_rules(config: TextConfig) -> list[Rule]:
    """Rules that leave the output alphabet only."""
    return chosen((config.read_symbols, "symbols", SymbolReader().read_others), (config.map_punctuation, "tidy", tidy))
