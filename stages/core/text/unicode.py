"""Unicode cleaning: one plain form for every space, dash, quote, digit and control, whatever script it came from."""

import re
import unicodedata

from stages.core.text.tables import read_mapping

PLAIN = re.compile(r"[^ -~ሀ-ፚ]")
DIACRITICS = range(0x0300, 0x0370)
VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
FULLWIDTH_ASCII = range(0xFF01, 0xFF5F)
SUPERSCRIPTS_WITH_WORDS = "²³"


class CharacterMap(dict[int, str]):
    """A table for str.translate that works out each character once, when it is first met."""

    def __init__(self, table: dict[str, str], fold_accents: bool):
        self.table = table
        self.fold_accents = fold_accents

    def __missing__(self, code: int) -> str:
        self[code] = self.replace(chr(code))
        return self[code]

    def replace(self, character: str) -> str:
        code, category = ord(character), unicodedata.category(character)
        if character in self.table and (self.fold_accents or not character.isalpha()):
            return self.table[character]
        if character in " \t\n\r\v\f\x85" or category in ("Zs", "Zl", "Zp"):
            return " "
        if category == "Cf" or any(code in selectors for selectors in VARIATION_SELECTORS):
            return ""
        if code in FULLWIDTH_ASCII:
            return unicodedata.normalize("NFKC", character)
        if category == "Nd":
            return str(unicodedata.decimal(character))
        if category in ("No", "Nl") and character not in SUPERSCRIPTS_WITH_WORDS:
            return plain_number(character)
        if self.fold_accents:
            return "" if code in DIACRITICS else plain_latin(character)
        return character


def plain_number(character: str) -> str:
    """A circled, raised or Roman number in plain characters, set apart by spaces; any other character as it is."""
    plain = unicodedata.normalize("NFKD", character).replace("\N{FRACTION SLASH}", "/")
    return f" {plain} " if plain.isascii() else character


def plain_latin(character: str) -> str:
    """A Latin letter without its accents, when that leaves plain letters; any other character as it is."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return plain if plain.isascii() and plain.isalpha() else character


class UnicodeCleaner:
    """Applies NFC and the character map."""

    def __init__(self, fold_accents: bool):
        self.characters = CharacterMap(read_mapping("characters", "character", "replacement"), fold_accents)

    def __call__(self, text: str) -> str:
        if not PLAIN.search(text):
            return text
        return unicodedata.normalize("NFC", text).translate(self.characters)
