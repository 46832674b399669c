from pathlib import Path

import pytest
import sentencepiece
import torch

from stages.core.text.latin import clean_latin
from stages.core.text.syllabary import AMHARIC_LETTERS
from stages.core.text.tokenizer import Tokenizer
from stages.train_vocabulary.surgery import TEXT_TABLES, append_pieces, extend_tables, is_ethiopic, learn_pieces

BASE = Path("data/base/bpe.model")
AMHARIC = ["የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው.", "ማንም ሰው ቢሆን በባርነት አይገዛም."] * 3
LANGUAGES = sorted(path for path in Path("data/text").glob("*.txt") if path.stem != "amh")


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Tokenizer:
    path = tmp_path_factory.mktemp("vocabulary") / "bpe.model"
    path.write_bytes(append_pieces(BASE.read_bytes(), learn_pieces(AMHARIC, len(AMHARIC_LETTERS) + 40)))
    return Tokenizer(path)


@pytest.mark.parametrize("text", LANGUAGES, ids=lambda path: path.stem)
def test_every_base_language_is_cut_as_before(text, extended):
    base = Tokenizer(BASE)
    for line in clean_latin(text.read_text()).split("."):
        assert extended.encode(line) == base.encode(line)


def test_base_pieces_keep_their_ids_and_new_ones_score_below_them(extended):
    base = sentencepiece.SentencePieceProcessor(model_file=str(BASE))
    assert [extended.processor.id_to_piece(index) for index in range(len(base))] == [
        base.id_to_piece(index) for index in range(len(base))
    ]
    lowest = min(base.get_score(index) for index in range(len(base)))
    assert all(extended.processor.get_score(index) < lowest for index in range(len(base), len(extended)))


def test_new_pieces_are_ethiopic_and_hold_every_letter(extended):
    new = [extended.processor.id_to_piece(index) for index in range(len(Tokenizer(BASE)), len(extended))]
    assert all(is_ethiopic(piece) for piece in new)
    assert set(AMHARIC_LETTERS) <= set(new)
    assert len(new) == len(AMHARIC_LETTERS) + 40 == len(set(new))


def test_amharic_is_cut_without_unknowns_and_merges_are_used(extended):
    for text in AMHARIC:
        assert extended.unknown_id not in extended.encode(text)
        assert len(extended.encode(text)) < len(text)
        assert extended.processor.decode(extended.encode(text)) == text


def test_a_piece_with_latin_digits_or_marks_is_no_addition():
    assert not any(is_ethiopic(piece) for piece in ("▁", "ሰA", "ሰ.", "ሰ1", "A", "▁ሰ.", ""))
    assert is_ethiopic("▁ሰው") and is_ethiopic("ሰ")


def test_a_corpus_that_cannot_fill_the_vocabulary_gives_what_it_can():
    pieces = learn_pieces(AMHARIC, 5000)
    assert len(AMHARIC_LETTERS) < len(pieces) < 1000


@pytest.mark.parametrize("initialisation", ["romanised", "mean"])
def test_base_rows_keep_their_bytes_and_new_rows_are_means_of_base_rows(initialisation):
    base = sentencepiece.SentencePieceProcessor(model_file=str(BASE))
    count = len(base)
    torch.manual_seed(0)
    tensors = {name: torch.randn((count + 1, 4) if "weight" in name else (count + 1,)) for name in TEXT_TABLES}
    tensors["other"] = torch.ones(2)
    result = extend_tables(tensors, ["ሱ", "▁ም"], base, initialisation)
    for name in TEXT_TABLES:
        assert torch.equal(result[name][:count], tensors[name][:count])
        assert len(result[name]) == count + 3
        assert torch.equal(result[name][-1], tensors[name][-1])
    table = tensors["text_embedding.weight"]
    rows = {"romanised": [base.piece_to_id("S"), base.piece_to_id("U")], "mean": list(range(3, count))}[initialisation]
    torch.testing.assert_close(result["text_embedding.weight"][count], table[rows].mean(dim=0))
    assert torch.equal(result["other"], tensors["other"])
