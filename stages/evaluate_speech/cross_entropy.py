"""How well a checkpoint predicts held-out codes: with their own text, and with another utterance's.

Shapes: M codes, D model width, V codes of the codebook with start and stop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row, collate
from stages.core.training.features import FeatureSet
from stages.evaluate_speech.figures import Measured, Values

BATCH = 32
Sentence = tuple[int, ...]


@dataclass(frozen=True)
class Prediction:
    """One utterance: its sentence, summed cross-entropy of its codes in nats, right top-1 guesses, codes."""

    sentence: Sentence
    cross_entropy_sum: float
    hits: int
    codes: int


def sentence_of(text: Tensor) -> Sentence:
    """What tells a sentence from others: its tokens."""
    return tuple(text.tolist())


@torch.inference_mode()
def read_rows(model: UnifiedVoice, rows: Sequence[Row]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For each row, shortest first: its index, its normed states [M + 1, D], and the codes they predict [M + 1]."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].codes))
    for start in range(0, len(order), BATCH):
        indices = order[start : start + BATCH]
        batch = collate([rows[index] for index in indices], model.settings).to(model.mel_head.weight.device)
        _, states = model(batch)
        lengths = [len(rows[index].codes) + 1 for index in indices]
        yield from zip(indices, states.float().split(lengths), batch.code_targets.split(lengths), strict=True)


@torch.inference_mode()
def predict_codes(model: UnifiedVoice, rows: Sequence[Row]) -> list[Prediction]:
    """Predictions of each row, in order."""
    results: dict[int, Prediction] = {}
    for index, states, targets in read_rows(model, rows):
        logits = model.mel_head(states.to(model.mel_head.weight.dtype)).float()
        loss = functional.cross_entropy(logits, targets, reduction="sum")
        hits = int((logits.argmax(dim=-1) == targets).sum())
        results[index] = Prediction(sentence_of(rows[index].text), loss.item(), hits, len(targets))
    return [results[index] for index in range(len(rows))]


def measure_target(model: UnifiedVoice, rows: Sequence[Row]) -> Values:
    """Nats and first guesses a code of the target language, and what another utterance's text costs."""
    right, swapped = predict_codes(model, rows), predict_codes(model, swap_texts(rows))
    pairs = list(zip(right, swapped, strict=True))
    return {
        "code_cross_entropy": nats(right),
        "code_top1": first_guesses(right),
        "swapped_text_cross_entropy": [
            Measured(own.sentence, other.cross_entropy_sum, own.codes) for own, other in pairs
        ],
        "swapped_text_gap": [
            Measured(own.sentence, other.cross_entropy_sum - own.cross_entropy_sum, own.codes) for own, other in pairs
        ],
    }


def measure_base_languages(model: UnifiedVoice, replayed: Sequence[Row], unreplayed: Sequence[Row]) -> Values:
    """The same of the base's languages: those that training may replay, and the others."""
    kept, left = predict_codes(model, replayed), predict_codes(model, unreplayed)
    return {
        "base_language_cross_entropy": nats(kept + left),
        "base_language_top1": first_guesses(kept + left),
        "replayed_language_cross_entropy": nats(kept),
        "unreplayed_language_cross_entropy": nats(left),
    }


def nats(predictions: Sequence[Prediction]) -> list[Measured]:
    """Cross-entropy a code."""
    return [Measured(one.sentence, one.cross_entropy_sum, one.codes) for one in predictions]


def first_guesses(predictions: Sequence[Prediction]) -> list[Measured]:
    """Share of codes that are the first guess."""
    return [Measured(one.sentence, one.hits, one.codes) for one in predictions]


def swap_texts(rows: Sequence[Row]) -> list[Row]:
    """Each row with the text of another row that reads differently, the nearest in length behind it.

    Raises:
        ValueError: all rows have the same text.
    """
    order = sorted(range(len(rows)), key=lambda index: (len(rows[index].text), index))
    swapped: dict[int, Row] = {}
    for place, index in enumerate(order):
        candidates = (rows[order[(place + step) % len(order)]].text for step in range(1, len(order)))
        other = next((text for text in candidates if sentence_of(text) != sentence_of(rows[index].text)), None)
        if other is None:
            raise ValueError("the swapped-text figure needs two different texts")
        swapped[index] = replace(rows[index], text=other)
    return [swapped[index] for index in range(len(rows))]


def rows_of(features: FeatureSet) -> list[Row]:
    """All rows with their fixed prompts."""
    return [features.row(index) for index in range(len(features))]
