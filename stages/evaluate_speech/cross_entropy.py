"""How well a checkpoint predicts held-out codes: with their own text, and with another utterance's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row, collate
from stages.core.training.features import FeatureSet

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """One utterance: summed cross-entropy of its codes in nats, right top-1 guesses, codes."""

    cross_entropy_sum: float
    hits: int
    codes: int


@torch.inference_mode()
def predict_codes(model: UnifiedVoice, rows: Sequence[Row]) -> list[Prediction]:
    """Predictions of each row, in order."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].codes))
    results: dict[int, Prediction] = {}
    for start in range(0, len(order), BATCH):
        indices = order[start : start + BATCH]
        batch = collate([rows[index] for index in indices], model.settings).to(model.mel_head.weight.device)
        _, states = model(batch)
        logits = model.mel_head(states).float()
        losses = functional.cross_entropy(logits, batch.code_targets, reduction="none")
        hits = logits.argmax(dim=-1) == batch.code_targets
        lengths = [len(rows[index].codes) + 1 for index in indices]
        for index, loss, hit in zip(indices, losses.split(lengths), hits.split(lengths), strict=True):
            results[index] = Prediction(loss.sum().item(), int(hit.sum()), len(loss))
    return [results[index] for index in range(len(rows))]


def swap_texts(rows: Sequence[Row]) -> list[Row]:
    """Each row with the text of another row that reads differently, the nearest in length behind it.

    Raises:
        ValueError: all rows have the same text.
    """
    order = sorted(range(len(rows)), key=lambda index: (len(rows[index].text), index))
    swapped: dict[int, Row] = {}
    for place, index in enumerate(order):
        candidates = (rows[order[(place + step) % len(order)]].text for step in range(1, len(order)))
        other = next((text for text in candidates if not _equal(text, rows[index].text)), None)
        if other is None:
            raise ValueError("the swapped-text figure needs two different texts")
        swapped[index] = replace(rows[index], text=other)
    return [swapped[index] for index in range(len(rows))]


def _equal(one: Tensor, other: Tensor) -> bool:
    return len(one) == len(other) and bool((one == other).all())


def rows_of(features: FeatureSet) -> list[Row]:
    """All rows with their fixed prompts."""
    return [features.row(index) for index in range(len(features))]


def ratio_of(predictions: Sequence[Prediction], value: Callable[[Prediction], float]) -> list[tuple[float, float]]:
    """(numerator, codes) pairs for a figure per code."""
    return [(value(prediction), prediction.codes) for prediction in predictions]
