"""Params of `evaluate_speech`."""

from pydantic import Field

from stages.core.speaking.config import SamplingConfig


class Config(SamplingConfig):
    """Held-out figures and sampled speech of one checkpoint."""

    sampled_utterances_max: int = Field(ge=2, description="test utterances that are sampled and judged")
    shown_utterances: int = Field(ge=1, description="of those, how many are kept as audio")
    phone_voice: str = Field(min_length=1, description="espeak-ng language that reads the texts to phones")
