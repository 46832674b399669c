"""What was said, and in whose voice: the base's recogniser and a spectral speaker measure."""

from dataclasses import dataclass
from pathlib import Path

import jiwer
import torch
from torch import Tensor

from stages.core.audio.codebook import voice_average
from stages.core.audio.mel import MelAnalysis
from stages.core.model.recogniser import Recogniser, load_recogniser
from stages.core.model.settings import MiniatureSettings

SHORTEST_SECONDS = 0.1


@dataclass(frozen=True)
class Heard:
    """What the judge heard.

    Attributes:
        phones: recognised.
        errors: substitutions, insertions and deletions against the expected phones.
    """

    phones: list[str]
    errors: int


class Judge:
    """The miniature's CTC recogniser, and the long-term average spectrum as the voice's portrait."""

    def __init__(self, base: Path, settings: MiniatureSettings):
        self.mel = MelAnalysis(settings.mel)
        self.recogniser: Recogniser = load_recogniser(base / settings.recogniser, settings.mel_channels)

    def hear(self, audio: Tensor, expected: list[str]) -> Heard:
        """Recognise audio [S] and count phone errors; next to no audio is heard as nothing."""
        phones = self.recogniser.recognise(self.mel.analyse(audio)) if self.is_audible(audio) else []
        return Heard(phones, count_errors(expected, phones))

    def is_audible(self, audio: Tensor) -> bool:
        """Whether there is enough audio to judge at all."""
        return len(audio) >= SHORTEST_SECONDS * self.mel.settings.sample_rate_hz

    def portrait(self, audio: Tensor) -> Tensor:
        """Average log-mel spectrum [C] of the loud frames, its own mean removed so that loudness does not count."""
        average = voice_average(self.mel.analyse(audio))
        return average - average.mean()


def count_errors(expected: list[str], heard: list[str]) -> int:
    """Edit distance between phone sequences."""
    if not heard:
        return len(expected)
    result = jiwer.process_words(" ".join(expected), " ".join(heard))
    return int(result.substitutions + result.insertions + result.deletions)


def similarity(one: Tensor, other: Tensor, population: Tensor) -> float:
    """Cosine of two portraits [C] after the population's mean portrait is removed: 1 same, near 0 unrelated."""
    return float(torch.cosine_similarity(one - population, other - population, dim=0))
