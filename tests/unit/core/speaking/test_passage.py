import pytest
import torch

from stages.core.errors import UserError
from stages.core.speaking.passage import Span, join_audio, read_passage
from stages.core.text.config import standard_config
from stages.core.text.normalise import Normaliser
from stages.core.text.syllabary import AMHARIC_LETTERS
from stages.core.text.tokenizer import Tokenizer
from stages.train_vocabulary.surgery import append_pieces
from tests.tiny_base import make_base

TEXT = "ሰላም ነው። ማንም ሰው ቢሆን፣ በባርነት አይገዛም፤ ባርነትና የባሪያ ንግድ የተከለከለ ነው። 25% ነው?"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    base = make_base(tmp_path_factory.mktemp("tiny") / "base")
    path = base / "extended.model"
    path.write_bytes(append_pieces((base / "bpe.model").read_bytes(), AMHARIC_LETTERS))
    return Tokenizer(path)


def read(text, tokenizer, words_max=6, tokens_max=200):
    return read_passage(text, Normaliser(standard_config()).normalise, tokenizer, words_max, tokens_max)


def test_a_long_text_is_cut_at_sentence_ends_then_at_clause_marks(tokenizer):
    spans = read(TEXT, tokenizer)
    assert [span.text for span in spans] == [
        "ሰላም ነው.", "ማንም ሰው ቢሆን, በባርነት አይገዛም,", "ባርነትና የባሪያ ንግድ የተከለከለ ነው.", "ሀያ አምስት በመቶ ነው?",
    ]
    assert [span.ends_sentence for span in spans] == [True, False, True, True]
    assert all(span.ids == tokenizer.encode(span.text) for span in spans)


def test_spans_keep_to_the_tokens_that_the_model_holds(tokenizer):
    spans = read(TEXT, tokenizer, words_max=50, tokens_max=25)
    assert max(len(span.ids) for span in spans) <= 25
    assert " ".join(span.text for span in spans) == " ".join(span.text for span in read(TEXT, tokenizer))


def test_what_cannot_be_read_is_refused_with_the_sentence_and_the_reason(tokenizer):
    with pytest.raises(UserError, match=r"^sentence 2 of 2: outside the output alphabet: U\+4F60"):
        read("ሰላም ነው። 你好።", tokenizer)
    with pytest.raises(UserError, match="^outside the output alphabet"):
        read("你好", tokenizer)
    with pytest.raises(UserError, match="nothing to speak"):
        read(" ። ", tokenizer)
    with pytest.raises(UserError, match="a word of .* tokens; the model holds 10"):
        read("ሰላም" * 10, tokenizer, tokens_max=10)


def test_pauses_are_whole_after_a_sentence_half_inside_one_and_none_at_the_end():
    spans = [Span("", [], False), Span("", [], True), Span("", [], True)]
    audio = join_audio([torch.ones(3)] * 3, spans, 0.4, 10)
    assert audio.tolist() == [1.0] * 3 + [0.0] * 2 + [1.0] * 3 + [0.0] * 4 + [1.0] * 3
