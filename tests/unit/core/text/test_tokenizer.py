import pytest

from stages.core.errors import UserError
from stages.core.text.tokenizer import Tokenizer


def test_a_file_that_is_none_or_no_model_is_named_in_one_line(tmp_path):
    path = tmp_path / "bpe.model"
    with pytest.raises(UserError, match="bpe.model: missing SentencePiece model"):
        Tokenizer(path)
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match="bpe.model: not a SentencePiece model: ") as caught:
        Tokenizer(path)
    assert "\n" not in str(caught.value)
