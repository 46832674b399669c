"""Skipped and repeated words on sequences whose answer is known."""

import pytest

from stages.evaluate_speech.words import compare_phones, compare_texts, count_errors, count_faults

TEXT = ["abcd", "efgh", "ijkl", "mno"]


def faults(heard: str, text: list[str] = TEXT) -> tuple[int, int]:
    skipped, repeated, _ = count_faults([list(word) for word in text], list(heard))
    return skipped, repeated


@pytest.mark.parametrize(("heard", "skipped", "repeated"), [
    ("abcdefghijklmno", 0, 0),
    ("abcdijklmno", 1, 0),              # a word in the middle is missing
    ("efghijklmno", 1, 0),              # the first is missing
    ("abcdmno", 2, 0),                  # two in a row are missing
    ("", 4, 0),                         # silence
    ("abcdefgxijklmno", 0, 0),          # a wrong sound is no skipped word
    ("abcdghijklmno", 0, 0),            # half a word is there
    ("abcdhijklmno", 1, 0),             # a quarter of it is not
    ("abcdabcdefghijklmno", 0, 1),      # said twice, at the start
    ("abcdefghefghijklmno", 0, 1),      # in the middle
    ("abcdefghijklijklmno", 0, 1),
    ("abcdefghefghefghijklmno", 0, 1),  # three times is one word repeated
    ("abcdefghabcdefghijklmno", 0, 2),  # a phrase
    ("abcdefghefxhijklmno", 0, 1),      # the second time not quite
    ("abcdefghxyzuijklmno", 0, 0),      # something else was added
    ("abcdefghijklmnomno", 0, 0),       # too short a word to tell from an accident
])
def test_faults_are_counted(heard, skipped, repeated):
    assert faults(heard) == (skipped, repeated)


def test_endless_repetition_is_found_and_short_words_are_no_part_of_its_share():
    # what stands in the place of the other two words is wrong, so they are errors and not skipped
    assert count_faults([list(word) for word in TEXT], list("abcdefgh" * 30)) == (0, 2, 3)


def test_a_stretch_that_the_alignment_cut_in_two_is_still_found():
    # the shortest way may match the first sound of the first time and the rest of the second
    assert faults("xabcdabcdy", ["x", "abcd", "y"]) == (0, 1)
    assert faults("aabcabca", ["aabca"]) == (0, 0), "three added sounds are no word of five"


def test_a_written_repetition_is_none_when_spoken():
    assert faults("abcdabcd", ["abcd", "abcd"]) == (0, 0)
    assert faults("abcd", ["abcd", "abcd"]) == (1, 0)


def test_errors_are_an_edit_distance():
    assert count_errors(["a", "b", "c"], ["a", "c"]) == 1
    assert count_errors(["a"], ["a", "b", "c"]) == 2
    assert count_errors(["a", "b"], []) == 2
    assert count_errors([], ["a", "b"]) == 2


def test_phones_are_compared_without_word_ends():
    found = compare_phones([["a", "b"], ["c"]], [["a", "b", "d"]])
    assert (found.symbol_errors, found.symbols, found.word_errors, found.words) == (1, 3, None, 2)


def test_texts_are_compared_in_characters_with_spaces_and_in_words():
    found = compare_texts([list("the"), list("cat"), list("sat")], [list("the"), list("catsat")])
    assert (found.symbol_errors, found.symbols) == (1, 11)
    assert (found.word_errors, found.words) == (2, 3)
    assert compare_texts([list("ab")], []).word_errors == 1
