"""Params of `prepare_corpus`."""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from stages.core.params.shared import LanguageConfig, SpeakerConfig
from stages.core.params.strict import StrictModel

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


class SourceConfig(StrictModel):
    """Texts that espeak-ng reads aloud, each by every speaker."""

    role: Literal["target", "base"] = Field(description="the language to learn, or ones that the base speaks already")
    languages: dict[LanguageCode, LanguageConfig] = Field(min_length=1, description="by ISO 639 code")
    words_per_utterance_max: int = Field(ge=1, le=60, description="longer sentences are cut, words")
    training_spans_max: int = Field(ge=0, description="training spans of each language, evenly chosen; 0 for all")
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

    @model_validator(mode="after")
    def each_speaker_reads_a_language_once(self) -> Self:
        spoken = Counter((language, speaker.variant) for source in self.sources for language in source.languages
                         for speaker in source.speakers)
        if twice := [f"{language}-{variant}" for (language, variant), count in spoken.items() if count > 1]:
            raise ValueError(f"a speaker may read a language in one source only (twice: {', '.join(twice)})")
        return self
