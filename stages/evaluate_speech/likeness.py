"""In whose voice: one interface for the average spectrum and for a speaker encoder that the user brings.

Shapes: S samples, D width of a portrait.
"""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stages.core.audio.codebook import voice_average
from stages.core.audio.files import resample
from stages.core.audio.mel import MelAnalysis
from stages.core.model.settings import BaseSettings
from stages.evaluate_speech.judge import NONE, OWN
from stages.evaluate_speech.transformers_models import SpeechModel, load_speech_model


class SpeakerEncoder(Protocol):
    """Makes portraits of voices, whose cosine is their likeness.

    Attributes:
        is_centred: portraits are compared after the average portrait is taken from them.
    """

    is_centred: bool

    def portray(self, audio: Tensor, sample_rate_hz: int) -> Tensor:
        """The portrait [D] of the voice in audio [S]."""


class SpectrumEncoder:
    """Average log-mel spectrum of the loud frames, its own mean removed so that loudness does not count."""

    is_centred = True

    def __init__(self, settings: BaseSettings):
        if settings.miniature is None:
            raise ValueError("no section `miniature`")
        self.mel = MelAnalysis(settings.miniature.mel)

    def portray(self, audio: Tensor, sample_rate_hz: int) -> Tensor:
        average = voice_average(self.mel.analyse(resample(audio, sample_rate_hz, self.mel.settings.sample_rate_hz)))
        return average - average.mean()


class XVectorEncoder:
    """Speaker embeddings (x-vectors: Snyder et al., 2018) of a transformers model (WavLM, Wav2Vec2, ...)."""

    is_centred = False

    def __init__(self, model: SpeechModel):
        self.model = model

    def portray(self, audio: Tensor, sample_rate_hz: int) -> Tensor:
        return self.model.run(audio, sample_rate_hz).embeddings[0].float().cpu()


def load_speaker_encoder(asked: str, settings: BaseSettings, device: torch.device) -> SpeakerEncoder | None:
    """The encoder that a param asks for: own, none, or the folder of an x-vector model; None where there is none.

    Raises:
        UserError: the folder holds no such model.
    """
    if asked == NONE or (asked == OWN and settings.miniature is None):
        return None
    if asked == OWN:
        return SpectrumEncoder(settings)
    return XVectorEncoder(load_speech_model(Path(asked), "AutoModelForAudioXVector", device, has_tokenizer=False))


def similarity(one: Tensor, other: Tensor) -> float:
    """Cosine of two portraits [D]: 1 same, near 0 unrelated."""
    return float(torch.cosine_similarity(one, other, dim=0))


def margin(portrait: Tensor, prompt: Tensor, others: dict[str, list[Tensor]]) -> float:
    """How much nearer a voice is to its prompt than to the nearest other speaker.

    Args:
        others: portraits of the other speakers' prompts; a speaker is as near as its prompts are on average.
    """
    nearest = max(sum(similarity(portrait, one) for one in prompts) / len(prompts) for prompts in others.values())
    return similarity(portrait, prompt) - nearest
