"""Params of `evaluate_speech`."""

from pydantic import Field

from stages.core.params.shared import EspeakVoice, SpeakerConfig
from stages.core.speaking.config import SamplingConfig


class Config(SamplingConfig):
    """Held-out figures and sampled speech of one checkpoint."""

    sentences_max: int = Field(ge=2, description="held-out sentences that are spoken; the unit of every interval")
    speakers_max: int = Field(ge=1, description="readings of each by other speakers; they take turns")
    draws: int = Field(ge=1, le=100, description="times that each is sampled, with the seeds seed, seed + 1, ...")
    base_sentences_max: int = Field(ge=0, description="sentences of the base's languages that are spoken; 0 for none")
    drift_utterances_max: int = Field(ge=1, description="of the base's languages, on which latents are compared")
    shown_utterances: int = Field(ge=1, description="samples that are kept as audio")
    worst_utterances: int = Field(ge=0, description="samples with the most errors that are kept as audio too")
    judge: str = Field(min_length=1, description="own: the base's recogniser | none | folder of a CTC model")
    base_judge: str = Field(min_length=1, description="the same, for the base's languages")
    speaker_encoder: str = Field(min_length=1, description="own: average spectrum | none | folder of an x-vector model")
    phone_voice: EspeakVoice = Field(description="espeak-ng language that reads the target's texts to phones")
    duration_ratio_min: float = Field(gt=0, lt=1, description="of the reference's length; what is shorter is too short")
    duration_ratio_max: float = Field(gt=1, description="of the reference's length; what is longer is too long")
    emotion_sentences_max: int = Field(ge=0, description="sentences spoken with either emotion; 0 leaves it unmeasured")
    emotion_styles: tuple[SpeakerConfig, SpeakerConfig] = Field(
        strict=False, description="espeak-ng's two ways of speaking that the emotion vectors are taken from")
