"""Params of `prepare_corpus`."""

from collections import Counter
from typing import Self

from pydantic import Field, model_validator

from stages.core.params.strict import StrictModel
from stages.prepare_corpus.sources.espeak import EspeakSource


class Config(StrictModel):
    """Corpus of speech: every source, every speaker, every span."""

    sample_rate_hz: int = Field(ge=8000, le=48000, description="of the written audio, Hz")
    duration_seconds_min: float = Field(gt=0, description="shorter utterances are quarantined, seconds")
    duration_seconds_max: float = Field(gt=0, description="longer utterances are quarantined, seconds")
    sources: list[EspeakSource] = Field(min_length=1)

    @model_validator(mode="after")
    def each_speaker_reads_a_language_once(self) -> Self:
        spoken = Counter((language, speaker.variant) for source in self.sources for language in source.languages
                         for speaker in source.speakers)
        if twice := [f"{language}-{variant}" for (language, variant), count in spoken.items() if count > 1]:
            raise ValueError(f"a speaker may read a language in one source only (twice: {', '.join(twice)})")
        return self
