"""What differs between the bases: speech to features and codes, codes to audio. Chosen by the base's config.yaml.

Shapes: S samples, T feature frames, F feature width, M codes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.audio.codebook import Codebook, stack_frames, voice_average
from stages.core.audio.mel import MelAnalysis
from stages.core.errors import UserError
from stages.core.model.checkpoint import read_tensors
from stages.core.model.settings import BaseSettings, MiniatureSettings


@dataclass(frozen=True)
class Speech:
    """One utterance as the model reads it.

    Attributes:
        features: [T, F], input of the conditioning encoders.
        codes: int64 [M].
    """

    features: Tensor
    codes: Tensor


class SpeechAdapter(Protocol):
    """The interface of both bases."""

    sample_rate_hz: int
    code_rate_hz: float

    def analyse(self, audio: Tensor) -> Speech:
        """Mono audio [S] at `sample_rate_hz` to features and codes."""

    def decode(self, codes: Tensor, prompt: Tensor) -> Tensor:
        """Codes [M] to audio [S] in the voice of the prompt [S]."""


class MiniatureAdapter:
    """Log-mel features, k-means codes, Griffin-Lim."""

    def __init__(self, settings: MiniatureSettings, codebook: Tensor, statistics: dict[str, Tensor]):
        self.settings = settings
        self.sample_rate_hz = settings.sample_rate_hz
        self.mel = MelAnalysis(settings.mel)
        self.codebook = Codebook(codebook, settings.frames_per_code, settings.code_projection)
        self.code_rate_hz = settings.mel.frame_rate_hz / settings.frames_per_code
        self.statistics = statistics

    def analyse(self, audio: Tensor) -> Speech:
        log_mel = self.mel.analyse(audio)
        return Speech(self.features(log_mel), self.codebook.quantise(log_mel))

    def features(self, log_mel: Tensor) -> Tensor:
        """Log-mel [frames, C] to normalised stacked features [T, F]."""
        stacked = stack_frames(log_mel, self.settings.frames_per_feature)
        return (stacked - self.statistics["mean"]) / self.statistics["std"]

    def decode(self, codes: Tensor, prompt: Tensor) -> Tensor:
        if len(codes) == 0:
            return torch.zeros(0)
        log_mel = self.codebook.decode(codes, voice_average(self.mel.analyse(prompt)))
        return self.mel.synthesise(smooth_steps(log_mel))


def smooth_steps(log_mel: Tensor) -> Tensor:
    """Soften the steps between codes: a three-frame average over time, [T, C] to [T, C]."""
    padded = functional.pad(log_mel.T[None], (1, 1), mode="replicate")
    return functional.avg_pool1d(padded, 3, stride=1)[0].T


def load_adapter(base: Path, settings: BaseSettings) -> SpeechAdapter:
    """The adapter that the base's config.yaml asks for.

    Raises:
        UserError: a file of the base is missing, or the base is of a kind without an adapter.
    """
    miniature = settings.miniature
    if miniature is None:
        raise UserError(
            f"{base / 'config.yaml'}: no section `miniature`, so this is a released checkpoint; "
            "its speech adapter (w2v-BERT, semantic codec) is not part of this version"
        )
    codebook = read_tensors(base / miniature.codebook)["centroids"]
    return MiniatureAdapter(miniature, codebook, read_tensors(base / miniature.feature_statistics))
