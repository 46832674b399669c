"""The base's SentencePiece model, read as upstream reads it: Latin letters are upper-cased before cutting."""

from pathlib import Path

import sentencepiece

from stages.core.artifacts.foreign import foreign_file
from stages.core.errors import UserError


class Tokenizer:
    """Text to token ids.

    Raises:
        UserError: the file is missing or is no SentencePiece model.
    """

    def __init__(self, path: Path):
        if not path.is_file():
            raise UserError(f"{path}: missing SentencePiece model")
        with foreign_file(path, "not a SentencePiece model"):
            self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(self, text: str) -> list[int]:
        """Token ids without start or stop."""
        return self.processor.encode(text.upper())

    @property
    def unknown_id(self) -> int:
        return self.processor.unk_id()

    def __len__(self) -> int:
        return self.processor.get_piece_size()
