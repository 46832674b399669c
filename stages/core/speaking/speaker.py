"""A model's folder, as export_model writes it, ready to read and speak any text in any voice.

Shapes: S samples.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile
from torch import Tensor

from stages.core.model.settings import BaseSettings, read_settings
from stages.core.speaking.config import SpeakingConfig
from stages.core.speaking.drawing import settings_for
from stages.core.speaking.passage import Span, join_audio, read_passage
from stages.core.speaking.upstream import ReleasedModel
from stages.core.speaking.voices import MiniatureModel, SpeechModel, Voice
from stages.core.text.exported import read_text_settings
from stages.core.text.normalise import Normaliser
from stages.core.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Said:
    """One text spoken.

    Attributes:
        audio: [S].
        cut: spans that no stop token ended.
        silent: spans for which nothing was drawn.
    """

    audio: Tensor
    sample_rate_hz: int
    spans: list[Span]
    cut: int
    silent: int

    @property
    def duration_seconds(self) -> float:
        return len(self.audio) / self.sample_rate_hz

    @property
    def text_read(self) -> str:
        """What was spoken, normalised."""
        return " ".join(span.text for span in self.spans)

    def wav(self) -> bytes:
        """A WAV file, mono, 16 bit; louder samples are clipped."""
        file = io.BytesIO()
        soundfile.write(file, self.audio.clamp(-1, 1).numpy(), self.sample_rate_hz, format="WAV", subtype="PCM_16")
        return file.getvalue()


@dataclass(frozen=True)
class Speaker:
    """A loaded model with its front end and the settings that it speaks by."""

    model: SpeechModel
    normaliser: Normaliser
    tokenizer: Tokenizer
    settings: BaseSettings
    config: SpeakingConfig

    def read(self, text: str) -> list[Span]:
        """Spans of a text.

        Raises:
            UserError: it cannot be read.
        """
        held = self.settings.gpt.max_text_tokens
        return read_passage(text, self.normaliser.normalise, self.tokenizer, self.config.words_max, held)

    def say(self, spans: list[Span], voice: Voice) -> Said:
        """Speak spans; the seed counts up by one from span to span."""
        spoken = [voice.say(span, settings_for(self.config, len(span.ids), self.settings.gpt, self.config.seed + place))
                  for place, span in enumerate(spans)]
        audio = join_audio([one.audio for one in spoken], spans, self.config.pause_seconds, voice.sample_rate_hz)
        cut, silent = sum(not one.stopped for one in spoken), sum(not len(one.audio) for one in spoken)
        return Said(audio, voice.sample_rate_hz, spans, cut, silent)

    def with_config(self, config: SpeakingConfig) -> "Speaker":
        """The same loaded model under other settings."""
        return replace(self, config=config)


def load_speaker(folder: Path, config: SpeakingConfig) -> Speaker:
    """Load an export.

    Raises:
        UserError: the folder is none, its text settings are of another front end, or upstream's package is missing.
    """
    settings, text = read_settings(folder), read_text_settings(folder)
    make_model = ReleasedModel if settings.miniature is None else MiniatureModel
    return Speaker(make_model(folder, config.prompt_seconds_max), Normaliser(text),
                   Tokenizer(folder / settings.dataset.bpe_model), settings, config)
