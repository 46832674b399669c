"""What the judge's writing says against the text: errors, words left out, words said again.

Words are lists of symbols: phones, or characters. A judge of phones writes one long word, so skipped and repeated words
are read from the alignment of symbols, alike for every judge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jiwer

Words = list[list[str]]
REPEATED_SYMBOLS_MIN = 4
REPEATED_ERRORS_SHARE = 0.25


@dataclass(frozen=True)
class Comparison:
    """Counts of one utterance.

    Attributes:
        symbol_errors: substitutions, insertions and deletions of phones, or of characters with the spaces.
        symbols: of the text.
        word_errors: the same of words; None where the judge writes no words.
        words: of the text.
        skipped: words of which more than half the symbols are missing, with nothing in their place.
        repeated: words that are found again in what was added.
        repeatable: words of at least `REPEATED_SYMBOLS_MIN` symbols, in which a find is no accident.
    """

    symbol_errors: int
    symbols: int
    word_errors: int | None
    words: int
    skipped: int
    repeated: int
    repeatable: int


def compare_phones(expected: Words, heard: Words) -> Comparison:
    """Against a judge that writes phones; where its words end is not known and not used."""
    errors, length = count_errors(join(expected), join(heard)), len(join(expected))
    return Comparison(errors, length, None, len(expected), *count_faults(expected, join(heard)))


def compare_texts(expected: Words, heard: Words) -> Comparison:
    """Against a judge that writes words."""
    said, written = (" ".join("".join(word) for word in words) for words in (heard, expected))
    return Comparison(count_errors(list(written), list(said)), len(written),
                      count_errors(written.split(), said.split()), len(expected),
                      *count_faults(expected, join(heard)))


def join(words: Words) -> list[str]:
    """The symbols of all words."""
    return [symbol for word in words for symbol in word]


def count_errors(expected: Sequence[str], heard: Sequence[str]) -> int:
    """Edit distance (Levenshtein, 1966) of two sequences of symbols."""
    if not expected or not heard:
        return len(expected) + len(heard)
    result = align(expected, heard)
    return int(result.substitutions + result.insertions + result.deletions)


def align(expected: Sequence[str], heard: Sequence[str]) -> jiwer.WordOutput:
    """A shortest way from one sequence to the other; a space among the symbols counts as one of them."""
    return jiwer.process_words(*(" ".join(symbol.replace(" ", "␣") for symbol in row) for row in (expected, heard)))


def count_faults(expected: Words, heard: list[str]) -> tuple[int, int, int]:
    """Skipped words, repeated words, and words that could be found repeated."""
    long = [word for word in expected if len(word) >= REPEATED_SYMBOLS_MIN]
    if not heard or not expected:
        return len(expected), 0, len(long)
    missing, added = find_gaps(join(expected), heard)
    skipped = start = 0
    for word in expected:
        absent = sum(place in missing for place in range(start, start + len(word)))
        skipped += absent > len(word) / 2
        start += len(word)
    longest = max(map(len, expected))
    runs = [run for begin, end in added for run in slide(heard, begin, end, longest)]
    return skipped, sum(any(occurs(word, run) for run in runs) for word in long), len(long)


def find_gaps(expected: list[str], heard: list[str]) -> tuple[set[int], list[tuple[int, int]]]:
    """Places of the text that nothing heard stands for, and stretches of the heard that stand for nothing."""
    [chunks] = align(expected, heard).alignments
    missing = {place for chunk in chunks if chunk.type == "delete"
               for place in range(chunk.ref_start_idx, chunk.ref_end_idx)}
    return missing, [(chunk.hyp_start_idx, chunk.hyp_end_idx) for chunk in chunks if chunk.type == "insert"]


def slide(heard: list[str], begin: int, end: int, most: int) -> Iterator[list[str]]:
    """The added stretch at each place where an equally short way could have put it: `abcabc` adds `abc` or `bca`."""
    yield heard[begin:end]
    for step in range(1, min(most, begin) + 1):
        if heard[begin - step] != heard[end - step]:
            break
        yield heard[begin - step : end - step]
    for step in range(min(most, len(heard) - end)):
        if heard[begin + step] != heard[end + step]:
            break
        yield heard[begin + step + 1 : end + step + 1]


def occurs(word: list[str], run: list[str]) -> bool:
    """Whether a word stands somewhere in a run, up to a quarter of its symbols wrong (Sellers, 1980)."""
    before = [0] * (len(run) + 1)
    for row, symbol in enumerate(word, start=1):
        now = [row]
        for column, other in enumerate(run, start=1):
            now.append(min(before[column - 1] + (symbol != other), before[column] + 1, now[column - 1] + 1))
        before = now
    return min(before) <= len(word) * REPEATED_ERRORS_SHARE
