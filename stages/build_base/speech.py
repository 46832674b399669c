"""Synthetic speech that the base is made from."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stages.build_base.config import Config, LanguageConfig
from stages.core.audio.espeak import phones, synthesise
from stages.core.audio.files import resample
from stages.core.audio.mel import MelAnalysis
from stages.core.params.shared import SplitsConfig
from stages.core.text.spans import read_spans


@dataclass(frozen=True)
class Utterance:
    """One spoken span.

    Attributes:
        language: of the text.
        speaker: index of the speaker.
        text: normalised.
        split: of the text.
        log_mel: [T, C].
        phones: what espeak-ng reads.
    """

    language: str
    speaker: int
    text: str
    split: str
    log_mel: Tensor
    phones: list[str]


def speak_language(
    name: str, language: LanguageConfig, readings: int, normalise: Callable[[str], str], config: Config,
    splits: SplitsConfig, mel: MelAnalysis,
) -> list[Utterance]:
    """Every usable span of a language, read by `readings` speakers each (drawn by the seed)."""
    rng = random.Random(f"{config.seed} {name}")
    utterances = []
    for span in read_spans(Path(language.text), normalise, config.words_per_utterance_max, splits):
        if span.rejected:
            continue
        sounds = phones(span.text_normalised, language.voice)
        for speaker in rng.sample(range(len(config.speakers)), readings):
            samples, rate = synthesise(span.text_normalised, language.voice, config.speakers[speaker])
            log_mel = mel.analyse(resample(samples, rate, mel.settings.sample_rate_hz))
            utterances.append(Utterance(name, speaker, span.text_normalised, span.split, log_mel, sounds))
    return utterances
