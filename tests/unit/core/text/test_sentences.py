"""Cutting into sentences and spans."""

from pathlib import Path

import pytest

from stages.core.text.sentences import split_sentences, split_spans

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ሰላም ነው። እሺ፧ አዎ!", ["ሰላም ነው።", "እሺ፧", "አዎ!"]),
        ("ነው።፡ይህንን፡ውሳኔ።፡", ["ነው።", "ይህንን፡ውሳኔ።"]),
        ("ነው፡፡ ሄደ:: መጣ", ["ነው፡፡", "ሄደ::", "መጣ"]),
        ("Hello there. It is 3.14 now.", ["Hello there.", "It is 3.14 now."]),
        ("በ1983 ዓ.ም. ተጀመረ። በኋላ", ["በ1983 ዓ.ም. ተጀመረ።", "በኋላ"]),
        ("«ሰላም ነው።» አለ።", ["«ሰላም ነው።»", "አለ።"]),
        ("1. ሰላም ነው። 2. እሺ።", ["1. ሰላም ነው።", "2. እሺ።"]),
        ("አንድ\nሁለት", ["አንድ", "ሁለት"]),
        ("ምን?! እሺ...", ["ምን?!", "እሺ..."]),
        ("... ። ", []),
        ("", []),
    ],
)
def test_splits_on_ethiopic_and_latin_sentence_ends(text, expected):
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("sentence", "words_max", "expected"),
    [
        ("a b c.", 3, ["a b c."]),
        ("a b, c d e.", 3, ["a b,", "c d e."]),
        ("a b c d e", 3, ["a b", "c d e"]),
        ("a b c d e f g", 3, ["a b", "c d", "e f g"]),
        ("a, b, c, d, e f.", 3, ["a, b, c,", "d, e f."]),
        ("ሀ፡ለ፡መ፣፡ሰ፡ረ።", 3, ["ሀ ለ መ፣", "ሰ ረ።"]),
        ("a b", 1, ["a", "b"]),
        ("", 3, []),
    ],
)
def test_cuts_spans_at_clauses_then_evenly(sentence, words_max, expected):
    assert split_spans(sentence, words_max) == expected


def test_words_max_below_one_is_an_error():
    with pytest.raises(ValueError, match="words_max"):
        split_spans("a b", 0)


def test_corpus_sentences_become_short_spans(normaliser):
    for line in (ROOT / "data/text/amh.txt").read_text(encoding="utf-8").splitlines():
        for sentence in map(normaliser.normalise, split_sentences(line)):
            spans = split_spans(sentence, 6)
            assert " ".join(spans) == sentence
            assert max(len(span.split()) for span in spans) <= 6
