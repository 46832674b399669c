"""Params of `prepare_corpus`."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from stages.core.params.strict import StrictModel
from stages.prepare_corpus.sources.espeak import EspeakSource
from stages.prepare_corpus.sources.every import Source


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
    sources: list[Source] = Field(min_length=1)

    @model_validator(mode="after")
    def fields_fit_together(self) -> Self:
        if problems := [*duration_problems(self), *name_problems(self.sources)]:
            raise ValueError("; ".join(problems))
        return self


def duration_problems(config: Config) -> list[str]:
    """The bounds must leave room between them."""
    low, high = config.duration_seconds_min, config.duration_seconds_max
    return [] if low < high else [f"duration_seconds_min must be less than duration_seconds_max (got {low} and {high})"]


def name_problems(sources: Sequence[Source]) -> list[str]:
    """Ids and speakers are unique in the corpus if names of sources are, and what espeak-ng speaks."""
    names = Counter(source.name for source in sources)
    spoken = Counter((language, speaker.variant) for source in sources if isinstance(source, EspeakSource)
                     for language in source.languages for speaker in source.speakers)
    problems = []
    if twice := [name for name, count in names.items() if count > 1]:
        problems.append(f"each source needs a name of its own (twice: {', '.join(twice)})")
    if twice := [f"{language}-{variant}" for (language, variant), count in spoken.items() if count > 1]:
        problems.append(f"a speaker may read a language in one source only (twice: {', '.join(twice)})")
    if alike := sorted({language for language, _ in spoken} & set(names)):
        problems.append(f"a source's name must be no language that espeak-ng reads here (got {', '.join(alike)})")
    return problems
