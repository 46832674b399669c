"""An exported model that speaks in the voice of a prompt: the miniature by itself.

Shapes: S samples, N conditioning latents, D model width, M codes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stages.core.audio.files import read_audio
from stages.core.errors import UserError
from stages.core.model.adapter import load_miniature_adapter
from stages.core.model.checkpoint import load_base, load_conditioner
from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.settings import read_settings
from stages.core.speaking.passage import Span

SHORTEST_PROMPT_SECONDS = 0.5


@dataclass(frozen=True)
class Spoken:
    """Audio [S] of one span, and whether the model ended it by itself."""

    audio: Tensor
    stopped: bool


class Voice(Protocol):
    """What speaks spans in the voice of one prompt."""

    sample_rate_hz: int

    def say(self, span: Span, sampling: SamplingSettings) -> Spoken:
        """Speak; the same span, settings and seed give the same audio whatever was said before."""


class SpeechModel(Protocol):
    """A loaded model, ready for any prompt."""

    def take_voice(self, prompt: Path) -> Voice:
        """The voice of a recording.

        Raises:
            UserError: no audio, too short, or silent.
        """


class MiniatureModel:
    """The miniature's export, whole: its codes come back as audio by Griffin-Lim."""

    def __init__(self, folder: Path, prompt_seconds_max: float):
        settings = read_settings(folder)
        self.adapter = load_miniature_adapter(folder, settings)
        self.model = load_base(folder).eval()
        self.conditioner = load_conditioner(folder, settings)
        self.prompt_seconds_max = prompt_seconds_max

    def take_voice(self, prompt: Path) -> Voice:
        audio = read_prompt(prompt, self.adapter.sample_rate_hz, self.prompt_seconds_max)
        features = self.adapter.analyse(audio).features[None]
        lengths = torch.tensor([features.shape[1]])
        with torch.inference_mode():
            voice = self.conditioner.voice(features, lengths)
            emotion = self.conditioner.emotion(features, lengths)
        return MiniatureVoice(self, audio, voice + emotion[:, None])


class MiniatureVoice:
    """The miniature with a prompt [S] and its conditioning [1, N, D]."""

    def __init__(self, whole: MiniatureModel, prompt: Tensor, conditioning: Tensor):
        self.whole, self.prompt, self.conditioning = whole, prompt, conditioning
        self.sample_rate_hz = whole.adapter.sample_rate_hz

    def say(self, span: Span, sampling: SamplingSettings) -> Spoken:
        [(codes, stopped)] = sample_codes(self.whole.model, self.conditioning, [torch.tensor(span.ids)], sampling)
        return Spoken(self.whole.adapter.decode(codes, self.prompt), stopped)


def read_prompt(path: Path, sample_rate_hz: int, seconds_max: float) -> Tensor:
    """The prompt [S], cut as prompts are cut in training.

    Raises:
        UserError: no audio, too short, or silent.
    """
    audio = read_audio(path, sample_rate_hz, max(seconds_max, SHORTEST_PROMPT_SECONDS))
    if len(audio) < SHORTEST_PROMPT_SECONDS * sample_rate_hz:
        raise UserError(f"{path}: {len(audio) / sample_rate_hz:.2f} s; a prompt needs {SHORTEST_PROMPT_SECONDS} s")
    audio = audio[: int(seconds_max * sample_rate_hz)]
    if not audio.abs().max() > 0:
        raise UserError(f"{path}: silent in its first {seconds_max:g} s, which are the prompt")
    return audio
