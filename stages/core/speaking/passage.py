"""A written text to spans that the model can speak one by one, and their audio back to one recording.

Shapes: S samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.core.errors import UserError
from stages.core.text.normalise import TextError
from stages.core.text.sentences import split_sentences, split_spans
from stages.core.text.tokenizer import Tokenizer

CLAUSE_PAUSE = 0.5


@dataclass(frozen=True)
class Span:
    """What is spoken in one go.

    Attributes:
        text: normalised.
        ids: of the tokenizer, without start or stop.
        ends_sentence: a whole pause follows, not a short one.
    """

    text: str
    ids: list[int]
    ends_sentence: bool


def read_passage(
    text: str, normalise: Callable[[str], str], tokenizer: Tokenizer, words_max: int, tokens_max: int
) -> list[Span]:
    """Spans of at most so many words and tokens, cut at sentence ends, then at clause marks, then between words.

    Raises:
        UserError: a sentence cannot be read, or a word has more tokens than the model holds.
    """
    sentences = split_sentences(text)
    if not sentences:
        raise UserError("nothing to speak")
    spans: list[Span] = []
    for number, sentence in enumerate(sentences, 1):
        try:
            normalised = normalise(sentence)
        except TextError as error:
            where = f"sentence {number} of {len(sentences)}: " if len(sentences) > 1 else ""
            raise UserError(f"{where}{error.reason}") from None
        parts = fit(normalised, tokenizer, words_max, tokens_max)
        spans += [Span(part, tokenizer.encode(part), place == len(parts)) for place, part in enumerate(parts, 1)]
    return spans


def fit(sentence: str, tokenizer: Tokenizer, words_max: int, tokens_max: int) -> list[str]:
    """The fewest spans of a sentence that keep to both limits."""
    for words in range(min(words_max, len(sentence.split())), 0, -1):
        parts = split_spans(sentence, words)
        lengths = [len(tokenizer.encode(part)) for part in parts]
        if max(lengths) <= tokens_max:
            return parts
    raise UserError(f"a word of {max(lengths)} tokens; the model holds {tokens_max}")


def join_audio(parts: Sequence[Tensor], spans: Sequence[Span], pause_seconds: float, sample_rate_hz: int) -> Tensor:
    """The spans' audio, [S] each, with silence between them; half a pause inside a sentence."""
    joined: list[Tensor] = []
    for place, (part, span) in enumerate(zip(parts, spans, strict=True)):
        joined.append(part)
        if place < len(parts) - 1:
            seconds = pause_seconds * (1.0 if span.ends_sentence else CLAUSE_PAUSE)
            joined.append(torch.zeros(int(seconds * sample_rate_hz)))
    return torch.cat(joined)
