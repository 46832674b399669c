from collections import Counter

from stages.core.text.invented import further_readings, invent_words, shuffle_words
from stages.core.text.spans import Span


def test_shuffled_words_are_the_training_words_each_once_in_another_order():
    spans = [Span("", f"word{number} other{number}.", "train") for number in range(20)] + [Span("", "secret.", "test")]
    texts = shuffle_words(spans, 5, "seed")
    words = [word for text in texts for word in text.split()]
    assert Counter(words) == Counter(f"{kind}{number}" for kind in ("word", "other") for number in range(20))
    assert words != [word.strip(".") for span in spans[:20] for word in span.text_normalised.split()]
    assert all(len(text.split()) <= 5 for text in texts)
    assert texts == shuffle_words(spans, 5, "seed") != shuffle_words(spans, 5, "another")


def test_invented_words_have_the_letters_of_the_training_words_and_mostly_their_neighbours():
    written = ["banana", "cabana", "nacaba", "bacana"] * 10
    spans = [Span("", " ".join(written), "train"), Span("", "zzz.", "test")]
    texts = invent_words(spans, 5, "seed")
    words = [word for text in texts for word in text.split()]
    assert len(words) == len(written) and all(2 <= len(word) <= 8 for word in words)
    assert set("".join(words)) == set("banc")
    assert len(set(words) - set(written)) > len(set(words)) / 2
    pairs = [pair for word in words for pair in zip(word, word[1:], strict=False)]
    known = {pair for word in written for pair in zip(word, word[1:], strict=False)}
    assert len(known) == 6 and 0.7 < sum(pair in known for pair in pairs) / len(pairs) < 1
    assert texts == invent_words(spans, 5, "seed") != invent_words(spans, 5, "another")


def test_further_readings_are_shuffled_ones_and_then_invented_ones_each_by_its_number():
    spans = [Span("", f"word{number} other.", "train") for number in range(9)]
    assert further_readings(spans, 4, "seed", range(1, 3), range(1)) == [
        *shuffle_words(spans, 4, "seed 1"), *shuffle_words(spans, 4, "seed 2"), *invent_words(spans, 4, "seed 0")]
    assert further_readings(spans, 4, "seed", ()) == []


def test_no_invented_text_is_a_held_out_one():
    spans = [Span("", "ab ab ab ab", "train")] + [Span("", text, "test") for text in ("ab", "ab ab")]
    for seed in range(20):
        assert not {"ab", "ab ab"} & set(invent_words(spans, 2, str(seed)))
