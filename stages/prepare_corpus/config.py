"""Params of `prepare_corpus`."""

from typing import Literal

from pydantic import Field

from stages.core.params.shared import SpeakerConfig
from stages.core.params.strict import StrictModel


class SourceConfig(StrictModel):
    """One text that espeak-ng reads aloud."""

    language: str = Field(pattern=r"^[a-z]{2,3}$", description="ISO 639 code; speakers are named language-variant")
    role: Literal["target", "base"] = Field(description="the language to learn, or one that the base speaks already")
    text: str = Field(pattern=r"^data/text/[^/]+$", description="UTF-8 text in data/text/, one paragraph a line")
    voice: str = Field(min_length=1, description="espeak-ng language code")
    words_per_utterance_max: int = Field(ge=1, le=60, description="longer sentences are cut, words")
    shuffled_readings: int = Field(
        ge=0, le=20, description="more readings by every speaker: the training words in random order"
    )
    splits: list[Literal["train", "validation", "test"]] = Field(min_length=1, description="splits that are spoken")
    speakers: list[SpeakerConfig] = Field(min_length=1)


class Config(StrictModel):
    """Corpus of speech: every source, every speaker, every span."""

    sample_rate_hz: int = Field(ge=8000, le=48000, description="of the written audio, Hz")
    duration_seconds_min: float = Field(gt=0, description="shorter utterances are quarantined, seconds")
    duration_seconds_max: float = Field(gt=0, description="longer utterances are quarantined, seconds")
    sources: list[SourceConfig] = Field(min_length=1)
