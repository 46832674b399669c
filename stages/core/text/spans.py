"""A text file to spans that are short enough to speak, each in the split of the sentence it is cut from."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from stages.core.artifacts.split import Split, split_of
from stages.core.errors import UserError
from stages.core.params.shared import SplitsConfig
from stages.core.text.sentences import split_sentences, split_spans

WORD_SPACE = "፡"


@dataclass(frozen=True)
class Span:
    """A piece of a sentence.

    Attributes:
        text: as written.
        text_normalised: as read and as the tokenizer sees it.
        split: of the sentence.
        rejected: why it cannot be used, or empty.
    """

    text: str
    text_normalised: str
    split: Split
    rejected: str = ""


def read_spans(path: Path, normalise: Callable[[str], str], words_max: int, splits: SplitsConfig) -> list[Span]:
    """Cut a text file, one paragraph a line, into spans; a span that also stands in a held-out text is no training.

    Raises:
        UserError: the file is missing or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such text file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None
    spans = [span for line in lines for span in _spans_of_line(line, normalise, words_max, splits)]
    held_out = {span.text_normalised for span in spans if span.split != "train"}
    return [
        Span(span.text, span.text_normalised, span.split, span.rejected or "also in a held-out text")
        if span.split == "train" and span.text_normalised in held_out else span
        for span in spans
    ]


def _spans_of_line(
    line: str, normalise: Callable[[str], str], words_max: int, splits: SplitsConfig
) -> list[Span]:
    spans = []
    for sentence in split_sentences(line):
        try:
            normalised = normalise(sentence)
            split = split_of(normalised, splits.seed, splits.validation_share, splits.test_share)
            parts = split_spans(normalised, words_max)
            spans += [Span(raw, part, split) for raw, part in zip(_written(sentence, parts), parts, strict=True)]
        except UserError as error:
            spans.append(Span(sentence, "", "train", str(error)))
    return spans


def _written(sentence: str, parts: list[str]) -> list[str]:
    """The words as written behind each part; where normalising changed their number, the part itself."""
    words = sentence.replace(WORD_SPACE, " ").split()
    ends = list(accumulate(len(part.split()) for part in parts))
    if ends[-1] != len(words):
        return parts
    return [" ".join(words[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
