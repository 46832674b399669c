"""Synthetic speech that the base is made from."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stages.build_base.config import Config
from stages.core.audio.espeak import phones, synthesise
from stages.core.audio.files import resample
from stages.core.audio.mel import MelAnalysis
from stages.core.params.shared import LanguageConfig, SplitsConfig
from stages.core.text.invented import further_readings
from stages.core.text.spans import Span, read_spans


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
    """Every usable span of a language, read by `readings` speakers each, and its training words in random order.

    Speakers are drawn by the seed.
    """
    spans = _usable_spans(language, normalise, config, splits)
    texts = [(span.text_normalised, span.split) for span in spans for _ in range(readings)]
    texts += [(text, "train") for text in further_readings(
        spans, config.words_per_utterance_max, f"{config.seed} {name}", range(config.shuffled_readings))]
    return _speak_all(name, language, texts, f"{config.seed} {name}", config, mel)


def speak_more(
    name: str, language: LanguageConfig, normalise: Callable[[str], str], config: Config, splits: SplitsConfig,
    mel: MelAnalysis,
) -> list[Utterance]:
    """What a language's pretraining hears besides: its training words in further orders, and invented words."""
    spans = _usable_spans(language, normalise, config, splits)
    first, more = config.shuffled_readings, config.pretraining
    texts = further_readings(spans, config.words_per_utterance_max, f"{config.seed} {name}",
                             range(first, first + more.shuffled_readings), range(more.invented_readings))
    return _speak_all(name, language, [(text, "train") for text in texts], f"{config.seed} {name} more", config, mel)


def _usable_spans(
    language: LanguageConfig, normalise: Callable[[str], str], config: Config, splits: SplitsConfig
) -> list[Span]:
    spans = read_spans(Path(language.text), normalise, config.words_per_utterance_max, splits)
    return [span for span in spans if not span.rejected]


def _speak_all(
    name: str, language: LanguageConfig, texts: Sequence[tuple[str, str]], seed: str, config: Config, mel: MelAnalysis
) -> list[Utterance]:
    rng = random.Random(seed)
    return [_speak(name, language.voice, text, split, rng.randrange(len(config.speakers)), config, mel)
            for text, split in texts]


def _speak(
    name: str, voice: str, text: str, split: str, speaker: int, config: Config, mel: MelAnalysis
) -> Utterance:
    samples, rate = synthesise(text, voice, config.speakers[speaker])
    log_mel = mel.analyse(resample(samples, rate, mel.settings.sample_rate_hz))
    return Utterance(name, speaker, text, split, log_mel, phones(text, voice))
