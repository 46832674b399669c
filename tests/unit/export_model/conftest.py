from dataclasses import dataclass
from pathlib import Path

import pytest

from stages.core.text.syllabary import AMHARIC_LETTERS
from stages.train_vocabulary.surgery import append_pieces
from tests.tiny_job import NEW_PIECES, make_workplace


@dataclass(frozen=True)
class Place:
    """Folders of a base, a checkpoint and a vocabulary that belong together."""

    base: Path
    checkpoint: Path
    vocabulary: Path


@pytest.fixture
def place(tmp_path):
    make_workplace(tmp_path)
    found = Place(tmp_path / "data/base", tmp_path / "data/checkpoints/base", tmp_path / "data/vocabulary")
    found.vocabulary.mkdir()
    extended = append_pieces((found.base / "bpe.model").read_bytes(), AMHARIC_LETTERS[:NEW_PIECES])
    (found.vocabulary / "bpe.model").write_bytes(extended)
    return found
