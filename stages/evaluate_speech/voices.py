"""An exported model that speaks in the voice of a prompt: the miniature by itself, a released one through upstream.

Shapes: S samples, N conditioning latents, D model width, M codes.
"""

from dataclasses import dataclass, replace
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
from stages.evaluate_speech.passage import Span

SHORTEST_PROMPT_SECONDS = 0.5
SLACK_TOKENS = 8


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


class MiniatureVoice:
    """The miniature's export, whole: its codes come back as audio by Griffin-Lim."""

    def __init__(self, model: Path, prompt: Path, prompt_seconds_max: float):
        settings = read_settings(model)
        self.adapter = load_miniature_adapter(model, settings)
        self.sample_rate_hz = self.adapter.sample_rate_hz
        self.model = load_base(model).eval()
        self.prompt = read_prompt(prompt, self.sample_rate_hz, prompt_seconds_max)
        conditioner = load_conditioner(model, settings)
        features = self.adapter.analyse(self.prompt).features[None]
        lengths = torch.tensor([features.shape[1]])
        with torch.inference_mode():
            self.conditioning = conditioner.voice(features, lengths) + conditioner.emotion(features, lengths)[:, None]

    def say(self, span: Span, sampling: SamplingSettings) -> Spoken:
        [(codes, stopped)] = sample_codes(self.model, self.conditioning, [torch.tensor(span.ids)], sampling)
        return Spoken(self.adapter.decode(codes, self.prompt), stopped)


def read_prompt(path: Path, sample_rate_hz: int, seconds_max: float) -> Tensor:
    """The prompt [S], cut as prompts are cut in training.

    Raises:
        UserError: no audio, too short, or silent.
    """
    audio = read_audio(path, sample_rate_hz)
    if len(audio) < SHORTEST_PROMPT_SECONDS * sample_rate_hz:
        raise UserError(f"{path}: {len(audio) / sample_rate_hz:.2f} s; a prompt needs {SHORTEST_PROMPT_SECONDS} s")
    audio = audio[: int(seconds_max * sample_rate_hz)]
    if not audio.abs().max() > 0:
        raise UserError(f"{path}: silent in its first {seconds_max:g} s, which are the prompt")
    return audio


def limit_codes(sampling: SamplingSettings, span: Span, codes_per_text_token_max: float) -> SamplingSettings:
    """The settings with the length at which this span is cut; `codes_max` stays the most that the model holds."""
    most = int((len(span.ids) + SLACK_TOKENS) * codes_per_text_token_max)
    return replace(sampling, codes_max=min(most, sampling.codes_max))
