"""Text of the base's own languages: Latin letters and the marks that a synthesiser reads."""

import re
import unicodedata

_MARKS = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "–": "-", "—": "-", ";": ",", ":": ","})


def clean_latin(text: str) -> str:
    """NFC text of letters, space and . , ? ! ' - only; anything else becomes a space. Idempotent."""
    mapped = unicodedata.normalize("NFC", text).translate(_MARKS)
    kept = "".join(mark if mark.isalpha() or mark in ".,?!'-" else " " for mark in mapped)
    return re.sub(r"\s+", " ", kept).strip()
