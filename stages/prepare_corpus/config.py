"""Params of `prepare_corpus`."""

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from stages.core.params.strict import StrictModel
from stages.prepare_corpus.sources.espeak import EspeakSource


class Config(StrictModel):
    """Corpus of speech: every source, brought to one form, without what cannot be used."""

    sample_rate_hz: int = Field(ge=8000, le=48000, description="of the written audio, Hz")
    loudness: Literal["none", "rms", "ebu_r128"] = Field(description="measure by which all speech gets equally loud")
    loudness_target_db: float = Field(ge=-60, le=0, description="LUFS for ebu_r128, dB of full scale for rms")
    trim_silence: bool = Field(description="cut silence off both ends")
    trim_below_db: float = Field(gt=0, le=100, description="silence lies so far under the loud part, dB")
    trim_pad_seconds: float = Field(ge=0, le=2, description="silence that stays at both ends, seconds")
    duration_seconds_min: float = Field(gt=0, description="shorter utterances are quarantined, seconds")
    duration_seconds_max: float = Field(gt=0, description="longer utterances are quarantined, seconds")
    clipped_share_max: float = Field(ge=0, le=1, description="share of samples at full scale")
    silence_share_max: float = Field(ge=0, le=1, description="share of the utterance that is silence")
    latin_share_max: float = Field(ge=0, le=1, description="share of Latin letters in a text of the target language")
    characters_per_second_deviations_max: float = Field(
        gt=0, description="how far from the usual rate of its language and source, robust standard deviations"
    )
    sources: list[EspeakSource] = Field(min_length=1)

    @model_validator(mode="after")
    def durations_are_a_range(self) -> Self:
        if self.duration_seconds_min >= self.duration_seconds_max:
            raise ValueError(f"duration_seconds_min must be less than duration_seconds_max (got "
                             f"{self.duration_seconds_min} and {self.duration_seconds_max})")
        return self

    @model_validator(mode="after")
    def sources_are_told_apart(self) -> Self:
        names = Counter(source.name for source in self.sources)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"sources: each needs a name of its own (twice: {', '.join(twice)})")
        return self

    @model_validator(mode="after")
    def each_speaker_reads_a_language_once(self) -> Self:
        spoken = Counter((language, speaker.variant) for source in self.sources if source.kind == "espeak"
                         for language in source.languages for speaker in source.speakers)
        if twice := [f"{language}-{variant}" for (language, variant), count in spoken.items() if count > 1]:
            raise ValueError(f"a speaker may read a language in one source only (twice: {', '.join(twice)})")
        if alike := {language for language, _ in spoken} & {source.name for source in self.sources}:
            raise ValueError(f"sources: a name must not be a language that espeak-ng speaks (got {', '.join(alike)})")
        return self
