"""The interface between the model and a base's own way with speech.

Shapes: S samples, T feature frames, F feature width, M codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


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
    """What every base can do: read speech."""

    sample_rate_hz: int

    def analyse(self, audio: Tensor) -> Speech:
        """Mono audio [S] at `sample_rate_hz` to features and codes."""

    def analyse_batch(self, audio: Sequence[Tensor]) -> list[Speech]:
        """Several utterances, each as `analyse` gives it."""


class SpeakingAdapter(SpeechAdapter, Protocol):
    """A base that can also speak by itself."""

    def decode(self, codes: Tensor, prompt: Tensor) -> Tensor:
        """Codes [M] to audio [S] in the voice of the prompt [S]."""
