"""Readings that a small text cannot give: its words in random order, and words that nobody wrote.

A small text read aloud teaches its sentences by heart. Its words in another order teach words; invented words teach
letters.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from stages.core.text.spans import Span

MARKS = ".,?!'-"
START, END = "^", "$"
LETTERS_MIN, LETTERS_MAX = 2, 8
EVEN_SHARE = 0.2


def shuffle_words(spans: Sequence[Span], words_max: int, seed: str) -> list[str]:
    """The words of the training spans in random order, each once, as texts of 2 to `words_max` words.

    A text that equals a held-out span is left out.
    """
    rng = random.Random(seed)
    words = training_words(spans)
    rng.shuffle(words)
    return without_held_out(group_words(words, words_max, rng), spans)


def invent_words(spans: Sequence[Span], words_max: int, seed: str) -> list[str]:
    """As many words as the training spans have, invented, as texts of 2 to `words_max` words.

    A letter follows another as often as in the training words (a bigram); one in five is drawn evenly from all letters,
    so that rare letters and neighbours are met too. A text that equals a held-out span is left out.
    """
    rng = random.Random(seed)
    words = [word.lower() for word in training_words(spans)]
    inventor = Inventor(words, rng)
    return without_held_out(group_words([inventor.word() for _ in words], words_max, rng), spans)


def further_readings(
    spans: Sequence[Span], words_max: int, seed: str, shuffled: Iterable[int], invented: Iterable[int] = ()
) -> list[str]:
    """Texts of more readings, all of them for training: first the words in random order, then invented ones.

    Args:
        shuffled, invented: numbers of the readings; each number gives another with the seed.
    """
    return [text for make, numbers in ((shuffle_words, shuffled), (invent_words, invented))
            for number in numbers for text in make(spans, words_max, f"{seed} {number}")]


def training_words(spans: Sequence[Span]) -> list[str]:
    """All words of the training spans without marks at their ends."""
    words = (word.strip(MARKS) for span in spans if span.split == "train" for word in span.text_normalised.split())
    return [word for word in words if word]


def group_words(words: Sequence[str], words_max: int, rng: random.Random) -> list[str]:
    """Words in their order as texts of 2 to `words_max` words; the last may be shorter."""
    texts, place = [], 0
    while place < len(words):
        count = rng.randint(min(2, words_max), words_max)
        texts.append(" ".join(words[place : place + count]))
        place += count
    return texts


def without_held_out(texts: Sequence[str], spans: Sequence[Span]) -> list[str]:
    held_out = {span.text_normalised for span in spans if span.split != "train"}
    return [text for text in texts if text not in held_out]


class Inventor:
    """Invents words in the manner of given ones."""

    def __init__(self, words: Sequence[str], rng: random.Random):
        follow: dict[str, Counter[str]] = defaultdict(Counter)
        for word in words:
            for letter, following in zip(START + word, word + END, strict=True):
                follow[letter][following] += 1
        self.tables = {letter: (list(counts), list(accumulate(counts.values()))) for letter, counts in follow.items()}
        self.letters = sorted({letter for word in words for letter in word})
        self.rng = rng

    def word(self) -> str:
        """A word of 2 to 8 letters, where the given words allow it."""
        for _ in range(100):
            word = self._try()
            if len(word) >= LETTERS_MIN:
                break
        return word

    def _try(self) -> str:
        word = ""
        while len(word) < LETTERS_MAX:
            letter = self._next(word[-1:] or START)
            if letter == END:
                break
            word += letter
        return word

    def _next(self, letter: str) -> str:
        if letter != START and self.rng.random() < EVEN_SHARE:
            return self.rng.choice(self.letters)
        names, sums = self.tables[letter]
        return self.rng.choices(names, cum_weights=sums)[0]
