"""Settings of the text front end, and their fingerprint."""

import hashlib
from typing import Literal

from pydantic import Field

from stages.core.params.strict import StrictModel, parse_section, read_params
from stages.core.text.tables import FOLDER

FRONT_END_VERSION = 1
"""Raised whenever the code reads any text differently under the same settings and tables."""


class TextConfig(StrictModel):
    """The params section `text`: which steps of the policy are taken."""

    clean_unicode: bool = Field(description="NFC; controls dropped; spaces, dashes, digits of any script made plain")
    fold_homophones: bool = Field(description="letters that sound alike become one (homophones.tsv)")
    expand_abbreviations: bool = Field(description="abbreviations are read out (abbreviations.tsv)")
    map_punctuation: bool = Field(description="marks become . , ? ! (marks.tsv)")
    fold_latin_accents: bool = Field(description="accents of Latin letters are dropped")
    expand_numbers: bool = Field(description="digits are read out; off: a line with digits is refused")
    read_geez_numerals: bool = Field(description="Ge'ez numerals become digits; off: a line with them is refused")
    read_dates: bool = Field(description="numeric dates are read as month, day, year")
    date_order: Literal["day_month_year", "month_day_year"] = Field(description="order of a date that ends in its year")
    calendar: Literal["ethiopian", "gregorian"] = Field(description="months of a date without an era")
    years_by_hundreds: bool = Field(description="years 1100 to 1999 are read by hundreds")
    read_clock: bool = Field(description="3:30 is read as hours and minutes")
    read_money: bool = Field(description="currency signs are read, hundredths named (currencies.tsv)")
    read_ranges: bool = Field(description="5-10 is read as from five to ten, 3-2 as a score")
    digit_string_digits: int = Field(ge=4, le=16, description="digits; so long a number is spelt out")
    read_symbols: bool = Field(description="signs and units are read or dropped (symbols.tsv, units.tsv)")
    other_letters: Literal["report", "keep"] = Field(description="Ethiopic letters that Amharic does not use")
    characters_max: int = Field(ge=1, le=1_000_000, description="characters; a longer text is refused")


def standard_config() -> TextConfig:
    """The standard policy, from tables/policy.yaml."""
    path = FOLDER / "policy.yaml"
    return parse_section(TextConfig, read_params(path), str(path))


def settings_hash(config: TextConfig) -> str:
    """Fingerprint of everything that decides how text is read: front end version, settings, tables.

    Returns:
        64 hexadecimal digits (SHA-256).
    """
    digest = hashlib.sha256(f"{FRONT_END_VERSION}\n{config.model_dump_json()}\n".encode())
    for path in sorted(FOLDER.glob("*.tsv")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
