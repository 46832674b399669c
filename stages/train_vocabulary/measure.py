"""How well a vocabulary fits a corpus."""

from collections.abc import Sequence
from typing import Any

from stages.core.text.tokenizer import Tokenizer


def measure_vocabulary(tokenizer: Tokenizer, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Figures over manifest rows.

    Returns:
        character_coverage: share of the non-space characters that lie in no unknown piece.
        fertility_tokens_per_word, unknown_rate (unknown pieces per piece), tokens_per_second of speech.
    """
    characters = covered = words = tokens = unknown = 0
    seconds = 0.0
    for row in rows:
        text = row["text_normalised"]
        ids = tokenizer.encode(text)
        known = {letter for letter in set(text) if tokenizer.unknown_id not in tokenizer.encode(letter)}
        visible = [letter for letter in text if not letter.isspace()]
        characters += len(visible)
        covered += sum(letter in known for letter in visible)
        words += len(text.split())
        tokens += len(ids)
        unknown += ids.count(tokenizer.unknown_id)
        seconds += row["duration_seconds"]
    return {
        "character_coverage": covered / characters, "fertility_tokens_per_word": tokens / words,
        "unknown_rate": unknown / tokens, "tokens_per_second": tokens / seconds,
    }
