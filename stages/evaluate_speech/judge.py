"""Who writes down what was said: one interface for the base's own phone recogniser and for any CTC model of words.

Shapes: S samples.
"""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stages.core.audio.espeak import phones_by_word
from stages.core.audio.files import resample
from stages.core.audio.mel import MelAnalysis
from stages.core.model.recogniser import load_recogniser
from stages.core.model.settings import BaseSettings
from stages.core.text.normalise import TextError
from stages.evaluate_speech.transformers_models import SpeechModel, load_speech_model
from stages.evaluate_speech.words import Comparison, Words, compare_phones, compare_texts

OWN, NONE = "own", "none"
SHORTEST_SECONDS = 0.1


class Judge(Protocol):
    """Writes down speech, and spells a text as it would write it."""

    figures: tuple[str, ...]

    def expect(self, text: str, voice: str) -> Words:
        """A normalised text in words of symbols; `voice` is the espeak-ng language that reads it."""

    def hear(self, audio: Tensor, sample_rate_hz: int) -> Words:
        """What audio [S] says."""

    def compare(self, expected: Words, heard: Words) -> Comparison:
        """Count what differs."""


class PhoneJudge:
    """The miniature's CTC recogniser; its phones are espeak-ng's."""

    figures: tuple[str, ...] = ("phone_error_rate",)

    def __init__(self, base: Path, settings: BaseSettings):
        if settings.miniature is None:
            raise ValueError("no section `miniature`")
        self.mel = MelAnalysis(settings.miniature.mel)
        self.recogniser = load_recogniser(base / settings.miniature.recogniser, settings.miniature.mel_channels)

    def expect(self, text: str, voice: str) -> Words:
        return phones_by_word(text, voice)

    def hear(self, audio: Tensor, sample_rate_hz: int) -> Words:
        audio = resample(audio, sample_rate_hz, self.mel.settings.sample_rate_hz)
        return [self.recogniser.recognise(self.mel.analyse(audio))]

    def compare(self, expected: Words, heard: Words) -> Comparison:
        return compare_phones(expected, heard)


class TextJudge:
    """A CTC model of transformers (Wav2Vec2, HuBERT, WavLM, w2v-BERT, ...), read by best path.

    Args:
        read: how a written text is normalised; what it refuses is compared as it stands.
    """

    figures: tuple[str, ...] = ("character_error_rate", "word_error_rate")

    def __init__(self, model: SpeechModel, read: Callable[[str], str]):
        self.model = model
        self.read = read

    def expect(self, text: str, voice: str) -> Words:
        return spell(text)

    def hear(self, audio: Tensor, sample_rate_hz: int) -> Words:
        best = self.model.run(audio, sample_rate_hz).logits[0].argmax(dim=-1)
        written = self.model.tokenizer.decode(best.tolist(), skip_special_tokens=True)
        try:
            return spell(self.read(written))
        except TextError:
            return spell(written)

    def compare(self, expected: Words, heard: Words) -> Comparison:
        return compare_texts(expected, heard)


def spell(text: str) -> Words:
    """Lower-case words without punctuation: what nobody hears is not compared."""
    kept = "".join(" " if unicodedata.category(letter).startswith("P") else letter for letter in text.casefold())
    return [list(word) for word in kept.split()]


def hear_safely(judge: Judge, audio: Tensor, sample_rate_hz: int) -> Words:
    """What the judge hears; next to no audio is heard as nothing."""
    return judge.hear(audio, sample_rate_hz) if is_audible(audio, sample_rate_hz) else []


def is_audible(audio: Tensor, sample_rate_hz: int) -> bool:
    """Whether there is enough sound to judge at all: 0.1 s, and not all of it zero."""
    return len(audio) >= SHORTEST_SECONDS * sample_rate_hz and bool(audio.abs().max() > 0)


def load_judge(
    asked: str, base: Path, settings: BaseSettings, read: Callable[[str], str], device: torch.device
) -> Judge | None:
    """The judge that a param asks for: own, none, or the folder of a CTC model; None where there is none.

    Raises:
        UserError: the folder holds no such model.
    """
    if asked == NONE or (asked == OWN and settings.miniature is None):
        return None
    if asked == OWN:
        return PhoneJudge(base, settings)
    return TextJudge(load_speech_model(Path(asked), "AutoModelForCTC", device, has_tokenizer=True), read)


def read_as_written(text: str) -> str:
    """For the base's languages, whose spelling the corpus leaves as it is."""
    return text
