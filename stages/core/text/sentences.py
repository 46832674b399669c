"""Cutting text into sentences, and long sentences into spans."""

import re

from stages.core.text.letters import LETTER

SENTENCE_END = re.compile(
    r"[።፧፨!?]+(?:[.።፧፨!?]|፡(?!፡))*|(?:፡፡|::)[.።፧፨!?]*"
    rf"|(?<!\.)(?<!(?<![{LETTER}A-Za-z])[{LETTER}A-Za-z])\.++(?=[\s፡»”\"')\]]|$)"
)
CLOSING = re.compile(r"[»”\"')\]]+")
LIST_NUMBER = re.compile(r"\s*[0-9፩-፼]+\.")
SPEAKABLE = re.compile(r"\w")
MARKS = ".,?!።፣፤፥፦፧፨"
WORD_GAP = re.compile(rf"\s+|(?<=[{LETTER}{MARKS}])፡(?=[{LETTER}])")


def split_sentences(text: str) -> list[str]:
    """Sentences in order, each with its end mark; lines are never joined.

    A Latin full stop ends a sentence only before a space or a closing mark, and not after a single letter (initials,
    ዓ.ም.) or the number of a list. What holds no letter and no digit is left out.
    """
    return [sentence for line in text.splitlines() for sentence in split_line(line)]


def split_line(line: str) -> list[str]:
    sentences = []
    start = 0
    for match in SENTENCE_END.finditer(line):
        closing = CLOSING.match(line, match.end())
        end = closing.end() if closing else match.end()
        if end > start and not LIST_NUMBER.fullmatch(line, start, end):
            sentences.append(line[start:end])
            start = end
    sentences.append(line[start:])
    return [trim(sentence) for sentence in sentences if SPEAKABLE.search(sentence)]


def trim(sentence: str) -> str:
    """The sentence without spaces and wordspaces at its ends; two wordspaces at the end are a full stop and stay."""
    sentence = sentence.strip().lstrip(" ፡")
    while sentence.endswith("፡") and not sentence.endswith("፡፡"):
        sentence = sentence[:-1].rstrip()
    return sentence


def split_spans(sentence: str, words_max: int) -> list[str]:
    """Cut a sentence into spans of at most `words_max` words that, joined by spaces, give it back.

    The sentence is normalised, or raw with words parted by spaces or wordspaces (which become spaces). Cuts fall at
    clause marks where that needs no more spans, and the spans are as equal as the marks allow; a clause that is too
    long is cut between words into equal parts.

    Raises:
        ValueError: words_max is below one.
    """
    if words_max < 1:
        raise ValueError(f"words_max must be at least 1, got {words_max}")
    words = [word for word in WORD_GAP.split(sentence) if word]
    if len(words) <= words_max:
        return [" ".join(words)] if words else []
    pieces = [piece for clause in split_clauses(words) for piece in cut_evenly(clause, words_max)]
    return [" ".join(span) for span in merge_evenly(pieces, words_max)]


def split_clauses(words: list[str]) -> list[list[str]]:
    """Words up to and with each that carries a mark; a mark that stands alone stays with the word before it."""
    clauses: list[list[str]] = [[]]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        clauses[-1].append(word)
        if word[-1] in MARKS and following.strip(MARKS):
            clauses.append([])
    return clauses


def cut_evenly(words: list[str], words_max: int) -> list[list[str]]:
    """The fewest parts of at most `words_max` words, whose sizes differ by one at most."""
    count = -(-len(words) // words_max)
    bounds = [len(words) * i // count for i in range(count + 1)]
    return [words[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


def merge_evenly(pieces: list[list[str]], words_max: int) -> list[list[str]]:
    """Join neighbouring pieces into the fewest spans within the limit, as equal as they can be."""
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(pieces) + 1):
        options = []
        size = 0
        for start in range(end - 1, -1, -1):
            size += len(pieces[start])
            if size > words_max:
                break
            count, squares, _ = best[start]
            options.append((count + 1, squares + size * size, start))
        best.append(min(options))
    spans = []
    end = len(pieces)
    while end:
        start = best[end][2]
        spans.append([word for piece in pieces[start:end] for word in piece])
        end = start
    return spans[::-1]
