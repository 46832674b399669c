"""Params of `evaluate_speech`."""

from pydantic import Field

from stages.core.params.strict import StrictModel


class Config(StrictModel):
    """Held-out figures and sampled speech of one checkpoint."""

    sampled_utterances_max: int = Field(ge=2, description="test utterances that are sampled and judged")
    shown_utterances: int = Field(ge=1, description="of those, how many are kept as audio")
    phone_voice: str = Field(min_length=1, description="espeak-ng language that reads the texts to phones")
    temperature: float = Field(ge=0, le=2, description="0 takes the most likely code")
    top_p: float = Field(gt=0, le=1, description="nucleus")
    top_k: int = Field(ge=0, description="0 keeps all")
    repetition_penalty: float = Field(ge=1, le=20)
    codes_per_text_token_max: float = Field(gt=0, description="a sample is cut at this length, codes a text token")
    seed: int = Field(ge=0, description="of the draw and of the intervals")


class SpeakConfig(StrictModel):
    """The params section `speak`: how an exported model speaks long texts. No stage reads it."""

    words_max: int = Field(ge=1, description="words; a longer sentence is cut at clause marks, then between words")
    pause_seconds: float = Field(ge=0, le=10, description="silence between sentences, half of it inside one")
