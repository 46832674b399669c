"""A released model's export, spoken through upstream's own inference package.

The package is the user's to install: it is no dependency of the project, and its licence is not a free one. It makes
the conditioning, the latents, s2mel's spectrogram and the vocoder's waveform. Text is read, cut and sampled here: with
this front end, and with the positions of training, which upstream's cached sampling misses by one.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.core.errors import UserError
from stages.core.model.checkpoint import DERIVED, FROZEN
from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.settings import GptSettings, read_settings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.speaking.passage import Span
from stages.core.speaking.voices import Spoken, Voice, read_prompt

PACKAGE, REQUIREMENT = "indextts", "indextts2-inference==2.1.1"
PROMPT_RATE_HZ, OUTPUT_RATE_HZ = 16_000, 22_050
NO_LIMIT = 1_000_000
FULL_SCALE = 32767


class NothingDrawn(Exception):
    """The first token was a stop; upstream's s2mel takes no text without a code."""


class ReleasedModel:
    """Upstream's `IndexTTS2` at an export, with this project's sampling in its GPT."""

    def __init__(self, folder: Path, prompt_seconds_max: float):
        self.speaker = load_upstream(folder)
        self.gpt = SampledGpt(self.speaker.gpt, read_settings(folder).gpt)
        self.speaker.gpt = self.gpt
        self.speaker.tokenizer.normalizer = None  # the text is normalised already
        self.prompt_seconds_max = prompt_seconds_max

    def take_voice(self, prompt: Path) -> Voice:
        """The voice of a recording; upstream reads the file itself, and a path once read not again."""
        read_prompt(prompt, PROMPT_RATE_HZ, self.prompt_seconds_max)
        return ReleasedVoice(self, str(prompt))


class ReleasedVoice:
    """A released model with a prompt."""

    def __init__(self, whole: ReleasedModel, prompt: str):
        self.whole, self.prompt = whole, prompt
        self.sample_rate_hz = OUTPUT_RATE_HZ

    def say(self, span: Span, sampling: SamplingSettings) -> Spoken:
        self.whole.gpt.sampling = sampling
        torch.manual_seed(sampling.seed)  # s2mel starts from noise
        try:
            self.sample_rate_hz, samples = self.whole.speaker.infer(
                self.prompt, span.text, None, max_text_tokens_per_segment=NO_LIMIT
            )
        except NothingDrawn:
            return Spoken(torch.zeros(0), True)
        return Spoken(torch.from_numpy(samples).float().flatten() / FULL_SCALE, self.whole.gpt.stopped)


class SampledGpt:
    """Upstream's GPT with its `inference_speech` replaced; everything else is passed on to it.

    Both share one copy of the weights.
    """

    def __init__(self, theirs: Any, settings: GptSettings):
        self._theirs = theirs
        trained = {name: value for name, value in theirs.state_dict().items() if not name.startswith(FROZEN + DERIVED)}
        self._ours = UnifiedVoice(settings).eval()
        self._ours.load_state_dict(trained, assign=True)
        self.sampling: SamplingSettings | None = None
        self.stopped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._theirs(*arguments, **options)

    def inference_speech(
        self, speech_condition: Tensor, text_inputs: Tensor, *_: Any, cond_lengths: Tensor, emo_vec: Tensor, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Codes [1, M], a stop token last where one was drawn, and the voice's conditioning [1, N, D].

        Raises:
            NothingDrawn: M is 0.
        """
        if self.sampling is None:
            raise ValueError("no sampling settings")
        voice = self._theirs.get_conditioning(speech_condition.transpose(1, 2), cond_lengths)
        text = text_inputs[0].long()
        [(codes, self.stopped)] = sample_codes(self._ours, voice + emo_vec[:, None], [text], self.sampling)
        if not len(codes):
            raise NothingDrawn
        ends = [self._ours.settings.stop_mel_token] if self.stopped else []
        return torch.cat([codes, torch.tensor(ends, dtype=codes.dtype)])[None].to(voice.device), voice


def load_upstream(model: Path) -> Any:
    """Upstream's inference at an export.

    Raises:
        UserError: the package, or what it needs, is not installed or cannot load the folder; says what to do.
    """
    try:
        package = import_module(PACKAGE)
        create = package.IndexTTS2
    except (ImportError, OSError, AttributeError) as error:
        raise UserError(
            f"a released model speaks through upstream's package, which this environment lacks or cannot import "
            f"({' '.join(str(error).split())}). Read its licence, then install it with what it needs: "
            f"python -m pip install {REQUIREMENT!r}; nemo-text-processing, one of its needs, wants a C compiler"
        ) from None
    try:
        return create(model_dir=str(model))
    except (OSError, RuntimeError, KeyError, AttributeError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{model}: upstream's package cannot load it: {reason}. At its first start it fetches w2v-BERT, the "
            "semantic codec, CAMPPlus and BigVGAN from Hugging Face: docs/released-model.md"
        ) from None
