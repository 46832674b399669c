"""Which split a text belongs to: decided by its own hash, so that growth moves no old row."""

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]


def split_of(text: str, seed: int, validation_share: float, test_share: float) -> Split:
    """Split of a normalised text; the same text is in the same split for every speaker and corpus."""
    digest = hashlib.sha256(f"{seed}\t{text}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test_share:
        return "test"
    return "validation" if place < test_share + validation_share else "train"
