"""The letters that Amharic uses, and a Latin spelling for each.

Vowels by order: 1 E (A for h and vowel letters), 2 U, 3 I, 4 A, 5 E, 6 none, 7 O; labialised letters have W before it.
The sixth order gets its bare consonant, because it is short or silent; እ and ኧ, which have none, get E.
"""

import re
import unicodedata

from stages.core.text.letters import homophones
from stages.core.text.tables import read_mapping

SEVEN_ORDERS = "ለመረሰሸቀበቨተቸነኘከወዘዠየደጀገጠጨጰጸፈፐ"
"""First letters of the consonants that have all seven orders after folding."""

EIGHTH_ORDER = "ለመረሰሸበቨተቸነኘዘዠደጀጠጨጰጸፈፐ"
"""First letters of the consonants whose eighth letter is labialised."""

FEW_ORDERS = "ሀሁሂሄህሆ" "አኡኢኤእኦኧ" "ኸ"
LABIAL_SERIES = "ቈቊቋቌቍ" "ኈኊኋኌኍ" "ኰኲኳኴኵ" "ጐጒጓጔጕ"

AMHARIC_LETTERS: tuple[str, ...] = tuple(
    sorted(
        {chr(ord(first) + order) for first in SEVEN_ORDERS for order in range(7)}
        | {chr(ord(first) + 7) for first in EIGHTH_ORDER}
        | set(FEW_ORDERS + LABIAL_SERIES)
    )
)
"""Every letter of Amharic after folding, in code point order."""

HOMOPHONE_LETTERS: tuple[str, ...] = tuple(map(chr, homophones()))
"""Letters that folding replaces."""

BLOCKS = (range(0x1200, 0x135B), range(0x1380, 0x1390), range(0x2D80, 0x2DE0), range(0xAB00, 0xAB30))
OTHER_LETTERS: tuple[str, ...] = tuple(
    letter
    for block in BLOCKS
    for letter in map(chr, block)
    if unicodedata.category(letter) == "Lo" and letter not in set(AMHARIC_LETTERS + HOMOPHONE_LETTERS)
)
"""Ethiopic letters of other languages."""

VOWELS = {"A": "E", "U": "U", "I": "I", "AA": "A", "EE": "E", "E": "", "O": "O", "OA": "WA"}
CONSONANT = "GLOTTAL |PHARYNGEAL |[B-DF-HJ-NP-TV-Z]*?"
SYLLABLE = re.compile(f"ETHIOPIC SYLLABLE (?:SEBATBEIT )?({CONSONANT})(W?)(AA|EE|OA|[AUIEO])")
A_SERIES = {"H", "HH", "X", "GLOTTAL", "PHARYNGEAL"}
VELARS = {"Q", "QH", "X", "K", "KX", "G"}


def romanise(letter: str) -> str:
    """Nearest Latin spelling of one Ethiopic letter, in upper case, never empty.

    Raises:
        ValueError: not one Ethiopic letter.
    """
    match = SYLLABLE.fullmatch(unicodedata.name(letter, "")) if len(letter) == 1 else None
    if not match:
        raise ValueError(f"not an Ethiopic letter: {letter!r}")
    consonant, labial, order = match.group(1).strip(), match.group(2), match.group(3)
    if not consonant and labial:
        consonant, labial = labial, ""
    vowel = VOWELS[order]
    if order == "A" and ((labial and consonant not in VELARS) or (not labial and consonant in A_SERIES)):
        vowel = "A"
    if consonant == "GLOTTAL" and labial:
        labial, vowel = "", "E"
    latin = read_mapping("romanisation", "consonant", "latin")
    return (latin.get(consonant, consonant) + labial + vowel) or "E"
