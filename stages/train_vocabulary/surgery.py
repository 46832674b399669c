"""Vocabulary surgery: new pieces are appended, so that every old id and every old cut stays as it is.

Shapes: N base pieces, K new pieces, D model width. Text tables have one spare row beyond the pieces, as upstream's.
"""

import io
import re
from collections.abc import Sequence

import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2 as model_pb2
from torch import Tensor

from stages.core.text.syllabary import AMHARIC_LETTERS, romanise

WORD_MARK = "▁"
TEXT_TABLES = ("text_embedding.weight", "text_head.weight", "text_head.bias")


def learn_pieces(texts: Sequence[str], count: int) -> list[str]:
    """The script's letters, then the most useful merges (byte-pair encoding, Sennrich et al., 2016) up to `count`.

    Only pieces of Ethiopic letters, with or without the word mark, are taken: no other text can be cut by them.
    """
    letters = list(AMHARIC_LETTERS)
    merges = [piece for piece in _train_bpe(texts, count + len(letters)) if len(piece) > 1 and is_ethiopic(piece)]
    return letters + merges[: max(0, count - len(letters))]


def is_ethiopic(piece: str) -> bool:
    """Whether a piece holds Ethiopic letters only, the word mark aside."""
    letters = piece.removeprefix(WORD_MARK)
    return bool(letters) and all(letter in AMHARIC_LETTERS for letter in letters)


def _train_bpe(texts: Sequence[str], vocabulary: int) -> list[str]:
    """Pieces in the order of their merges; a vocabulary that the texts cannot fill is lowered to what they can."""
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, vocab_size=vocabulary, model_type="bpe",
            character_coverage=1.0, bos_id=-1, eos_id=-1, minloglevel=2, normalization_rule_name="nfkc",
        )
    except RuntimeError as error:
        limit = re.search(r"<= (\d+)", str(error))
        if not limit:
            raise
        return _train_bpe(texts, int(limit.group(1)))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [processor.id_to_piece(index) for index in range(len(processor))]


def append_pieces(base_model: bytes, pieces: Sequence[str]) -> bytes:
    """A SentencePiece model with `pieces` behind the base's, their scores below all of the base's."""
    proto = model_pb2.ModelProto()
    proto.ParseFromString(base_model)
    known = {piece.piece for piece in proto.pieces}
    score = min(piece.score for piece in proto.pieces)
    for piece in pieces:
        if piece not in known:
            score -= 1.0
            proto.pieces.add(piece=piece, score=score, type=model_pb2.ModelProto.SentencePiece.NORMAL)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return proto.SerializeToString()


def extend_tables(
    tensors: dict[str, Tensor], pieces: Sequence[str], base: sentencepiece.SentencePieceProcessor, initialisation: str
) -> dict[str, Tensor]:
    """Text tables [N + 1, ...] to [N + K + 1, ...]; base rows keep their bytes, the spare row moves to the end.

    A new row is the mean of the base rows that stand for the piece's Latin letters ("romanised"), which carry the
    sound that the base already speaks, or the mean of all base rows.
    """
    count = len(base)
    sources = [_source_rows(piece, base) if initialisation == "romanised" else [] for piece in pieces]
    extended = dict(tensors)
    for name in TEXT_TABLES:
        table = tensors[name]
        everything = table[3:count].mean(dim=0)
        rows = [table[rows].mean(dim=0) if rows else everything for rows in sources]
        extended[name] = torch.cat([table[:count], torch.stack([*rows, table[count]])])
    return extended


def _source_rows(piece: str, base: sentencepiece.SentencePieceProcessor) -> list[int]:
    latin = "".join(romanise(letter) for letter in piece.removeprefix(WORD_MARK))
    marks = WORD_MARK if piece.startswith(WORD_MARK) else ""
    ids = [base.piece_to_id(letter) for letter in latin + marks]
    return [index for index in ids if index != base.unk_id()]
