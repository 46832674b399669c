"""Surgery at the released model's size: 12000 pieces of base, 8000 new ones.

The base is learned from the declaration in 13 languages, which fills 12000 pieces. Its Amharic text fills no 8000, so
random Ethiopic pieces make up the rest: none of the properties here asks where a piece comes from.
"""

import io
import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from stages.core.text.config import standard_config
from stages.core.text.latin import clean_latin
from stages.core.text.normalise import Normaliser
from stages.core.text.sentences import split_sentences
from stages.core.text.syllabary import AMHARIC_LETTERS, HOMOPHONE_LETTERS, OTHER_LETTERS
from stages.core.text.tokenizer import Tokenizer
from stages.train_vocabulary.surgery import WORD_MARK, append_pieces, is_ethiopic, learn_pieces

BASE_PIECES, NEW_PIECES = 12_000, 8_000
TEXTS = sorted(path for path in Path("data/text").glob("*.txt") if path.stem != "amh")
ETHIOPIC = set(AMHARIC_LETTERS + HOMOPHONE_LETTERS + OTHER_LETTERS)


@dataclass(frozen=True)
class Vocabularies:
    base: Tokenizer
    extended: Tokenizer
    learned: int


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "base.model").write_bytes(train_base())
    pieces = learn_pieces(amharic_sentences(), NEW_PIECES)
    learned = len(pieces)
    (folder / "bpe.model").write_bytes(append_pieces((folder / "base.model").read_bytes(), fill(pieces)))
    return Vocabularies(Tokenizer(folder / "base.model"), Tokenizer(folder / "bpe.model"), learned)


def train_base() -> bytes:
    """A base as upstream's: upper case, 12000 pieces, start and stop at 0 and 1."""
    model = io.BytesIO()
    lines = [clean_latin(line).upper() for path in TEXTS for line in path.read_text().splitlines()]
    sentences = [*lines, "MARKS THAT IT LACKS? THESE!"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=BASE_PIECES, model_type="bpe",
        character_coverage=1.0, bos_id=0, eos_id=1, unk_id=2, minloglevel=2,
    )
    return model.getvalue()


def amharic_sentences() -> list[str]:
    normaliser = Normaliser(standard_config())
    return [normaliser.normalise(one) for one in split_sentences(Path("data/text/amh.txt").read_text())]


def fill(pieces: list[str]) -> list[str]:
    """Random pieces of two to four letters behind those that were learned."""
    rng, filled = random.Random(1), dict.fromkeys(pieces)
    while len(filled) < NEW_PIECES:
        filled[rng.choice(["", WORD_MARK]) + "".join(rng.choices(AMHARIC_LETTERS, k=rng.randint(2, 4)))] = None
    return list(filled)


def test_sizes_are_the_released_ones_and_the_texts_fill_a_part_of_the_new(vocabularies):
    assert len(vocabularies.base) == BASE_PIECES
    assert len(vocabularies.extended) == BASE_PIECES + NEW_PIECES
    assert len(AMHARIC_LETTERS) < vocabularies.learned < NEW_PIECES


def test_ids_and_scores_of_the_base_stay_and_additions_are_ethiopic_with_every_letter(vocabularies):
    old, new = vocabularies.base.processor, vocabularies.extended.processor
    for index in range(BASE_PIECES):
        assert (new.id_to_piece(index), new.get_score(index)) == (old.id_to_piece(index), old.get_score(index))
    added = [new.id_to_piece(index) for index in range(BASE_PIECES, len(new))]
    assert all(map(is_ethiopic, added)) and set(AMHARIC_LETTERS) <= set(added)
    assert max(new.get_score(index) for index in range(BASE_PIECES, len(new))) < min(
        old.get_score(index) for index in range(BASE_PIECES))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_line_of_the_bases_languages_is_cut_as_before_cleaned_or_raw(vocabularies, path):
    for line in path.read_text().splitlines():
        for text in (line, clean_latin(line)):
            assert vocabularies.extended.encode(text) == vocabularies.base.encode(text)


@given(text=st.text(st.characters(codec="utf-8").filter(lambda one: not is_or_becomes_ethiopic(one))))
def test_any_text_without_ethiopic_letters_is_cut_as_before(vocabularies, text):
    assert vocabularies.extended.encode(text) == vocabularies.base.encode(text)


@given(words=st.lists(st.text(st.sampled_from("ABCDEFGHIÉÑßabc .,?!'-12中"), min_size=1), min_size=1, max_size=12))
def test_text_of_the_bases_own_letters_is_cut_as_before(vocabularies, words):
    text = " ".join(words)
    assert vocabularies.extended.encode(text) == vocabularies.base.encode(text)


@given(words=st.lists(st.one_of(
    st.sampled_from(["HUMAN", "rights", "Dignität", "haki", "ser"]),
    st.text(st.sampled_from(AMHARIC_LETTERS), min_size=1, max_size=6),
), min_size=1, max_size=10))
def test_latin_words_beside_amharic_ones_are_cut_as_when_alone(vocabularies, words):
    alone = [piece for word in words for piece in vocabularies.extended.encode(word)]
    assert vocabularies.extended.encode(" ".join(words)) == alone
    for word in words:
        if word.isascii():
            assert vocabularies.extended.encode(word) == vocabularies.base.encode(word)


def test_amharic_has_no_unknown_and_comes_back(vocabularies):
    for text in amharic_sentences():
        ids = vocabularies.extended.encode(text)
        assert vocabularies.extended.unknown_id not in ids
        assert vocabularies.extended.processor.decode(ids) == text


def is_or_becomes_ethiopic(character: str) -> bool:
    return not ETHIOPIC.isdisjoint(unicodedata.normalize("NFKC", character))
