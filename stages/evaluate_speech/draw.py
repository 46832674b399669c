"""Sampled codes of a fixed set: sentences, their readings by several speakers, and several seeds."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from stages.core.model.sampling import sample_codes
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.speaking.drawing import settings_for
from stages.core.training.batching import Row
from stages.core.training.features import FeatureSet, Utterance
from stages.evaluate_speech.config import Config
from stages.evaluate_speech.cross_entropy import Sentence, sentence_of
from stages.evaluate_speech.figures import Measured, Values

BATCH = 32
Item = TypeVar("Item")


@dataclass(frozen=True)
class Drawn:
    """Sampled codes [M] of a held-out utterance, beside its row with the true ones.

    Attributes:
        draw: which time, from 0; another seed each.
        stopped: a stop token ended it.
    """

    utterance: Utterance
    row: Row
    draw: int
    codes: Tensor
    stopped: bool

    @property
    def sentence(self) -> Sentence:
        return sentence_of(self.row.text)


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, evenly over the sequence."""
    if len(items) <= most:
        return list(items)
    return [items[int((place + 0.5) * len(items) / most)] for place in range(most)]


def choose_rows(features: FeatureSet, sentences_max: int, speakers_max: int) -> list[int]:
    """Indices of evenly chosen sentences, each read by at most so many speakers, who take turns."""
    readings: dict[Sentence, dict[str, int]] = defaultdict(dict)
    for index, utterance in enumerate(features.utterances):
        readings[sentence_of(features.text(index))].setdefault(utterance.speaker, index)
    chosen = []
    for turn, speakers in enumerate(spread(list(readings.values()), sentences_max)):
        indices = list(speakers.values())
        kept = min(speakers_max, len(indices))
        chosen += [indices[(turn * kept + place) % len(indices)] for place in range(kept)]
    return chosen


def draw_codes(
    model: UnifiedVoice, features: FeatureSet, indices: Sequence[int], config: Config, draws: int
) -> list[Drawn]:
    """Speak the chosen utterances `draws` times; draw 0 first, whole."""
    rows, utterances = [features.row(index) for index in indices], [features.utterances[index] for index in indices]
    return [Drawn(utterance, row, draw, codes, stopped) for draw in range(draws)
            for utterance, row, (codes, stopped) in
            zip(utterances, rows, sample_rows(model, rows, config, config.seed + draw), strict=True)]


def sample_rows(model: UnifiedVoice, rows: Sequence[Row], config: Config, seed: int) -> list[tuple[Tensor, bool]]:
    """Codes of each row's text with its conditioning, and whether they ended by a stop."""
    device = model.mel_head.weight.device
    results: list[tuple[Tensor, bool]] = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        settings = settings_for(config, max(len(row.text) for row in part), model.settings, seed + start)
        conditioning = torch.stack([row.conditioning for row in part]).to(device)
        results += sample_codes(model, conditioning, [row.text for row in part], settings)
    return results


def with_conditioning(rows: Sequence[Row], conditioning: Sequence[Tensor]) -> list[Row]:
    """The same texts and codes in other voices or emotions, [N, D] each."""
    return [replace(row, conditioning=one) for row, one in zip(rows, conditioning, strict=True)]


def measure_lengths(drawn: Sequence[Drawn], config: Config) -> Values:
    """Whether utterances end, and how long they are, in codes against the reference's codes of the same reading."""
    ratios = [(one.sentence, len(one.codes) / len(one.row.codes)) for one in drawn]
    return {
        "stop_rate": [Measured(one.sentence, float(one.stopped)) for one in drawn],
        "too_long_rate": [Measured(name, float(ratio > config.duration_ratio_max)) for name, ratio in ratios],
        "too_short_rate": [Measured(name, float(ratio < config.duration_ratio_min)) for name, ratio in ratios],
        "duration_ratio": [Measured(name, ratio) for name, ratio in ratios],
        "duration_deviation": [Measured(name, abs(ratio - 1)) for name, ratio in ratios],
    }
