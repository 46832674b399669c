"""Which split a text belongs to: decided by its own hash, so that growth moves no old row."""

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]


def split_of(text: str, seed: int, validation_share: float, test_share: float) -> Split:
    """Split of a normalised text; the same text is in the same split for every speaker and corpus."""
    place = place_of(text, str(seed))
    if place < test_share:
        return "test"
    return "validation" if place < test_share + validation_share else "train"


def place_of(text: str, salt: str) -> float:
    """A text's place from 0 to 1, even over texts, by a hash of it; another with each salt."""
    digest = hashlib.sha256(f"{salt}\t{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
