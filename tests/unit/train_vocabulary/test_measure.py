from pathlib import Path

import pytest

from stages.core.text.tokenizer import Tokenizer
from stages.train_vocabulary.measure import measure_vocabulary
from stages.train_vocabulary.surgery import append_pieces


def test_figures_of_a_known_text(tmp_path):
    path = tmp_path / "bpe.model"
    path.write_bytes(append_pieces(Path("data/base/bpe.model").read_bytes(), ["ሰ", "ላ", "ም"]))
    rows = [{"text_normalised": "ሰላም ሰቋ", "duration_seconds": 2.0}]
    figures = measure_vocabulary(Tokenizer(path), rows)
    # ▁ ሰ ላ ም ▁ ሰ <unk>
    assert figures == pytest.approx({"character_coverage": 4 / 5, "fertility_tokens_per_word": 3.5,
                                     "unknown_rate": 1 / 7, "tokens_per_second": 3.5})
