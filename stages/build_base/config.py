"""Params of `build_base`."""

from typing import Self

from pydantic import Field, model_validator

from stages.core.params.shared import LanguageConfig, SpeakerConfig
from stages.core.params.strict import SEED_MAX, StrictModel


class CodebookConfig(StrictModel):
    """k-means of the speech codes."""

    frames_per_code: int = Field(ge=1, le=8, description="mel frames (10 ms) a code")
    time_terms: int = Field(ge=1, description="cosine terms over time by which frames are compared")
    mel_terms: int = Field(ge=1, description="cosine terms over mel channels by which frames are compared")
    centroids: int = Field(ge=2, description="codes")
    frames_max: int = Field(ge=100, description="stacked frames drawn for k-means")
    iterations: int = Field(ge=1, description="Lloyd iterations")


class RecogniserConfig(StrictModel):
    """The CTC judge."""

    width: int = Field(ge=8, description="hidden width")
    epochs: int = Field(ge=1)
    batch_utterances: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


class EncoderConfig(StrictModel):
    """One conditioning encoder."""

    output_size: int = Field(ge=2)
    linear_units: int = Field(ge=2)
    attention_heads: int = Field(ge=1)
    num_blocks: int = Field(ge=1)
    perceiver_mult: int = Field(ge=1)


class ModelConfig(StrictModel):
    """Widths of the miniature; the names are those of IndexTTS2's config.yaml."""

    model_dim: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    max_mel_tokens: int = Field(ge=16, description="longest utterance, codes")
    max_text_tokens: int = Field(ge=16, description="longest text, tokens")
    condition_num_latent: int = Field(ge=1)
    emotion_dim: int = Field(ge=2)
    perceiver_head_dim: int = Field(ge=2)
    condition_module: EncoderConfig
    emo_condition_module: EncoderConfig


class GuideConfig(StrictModel):
    """Guided attention; see alignment.py."""

    weight: float = Field(ge=0, description="of the guide's loss; 0 turns it off")
    layer: int = Field(ge=0, description="the block whose heads are guided, from 0")
    heads: int = Field(ge=1, description="how many of its heads, the first ones")
    width: float = Field(gt=0, le=1, description="how far from the diagonal attention may lie, share of the utterance")


class PretrainingConfig(StrictModel):
    """Training of GPT and conditioning encoders together, on all that was spoken and on more readings."""

    shuffled_readings: int = Field(ge=0, description="more readings of each language's training words in random order")
    invented_readings: int = Field(ge=0, description="more readings, of as many invented words")
    epochs: int = Field(ge=1)
    batch_utterances: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    dropout: float = Field(ge=0, lt=1)
    prompt_seconds_max: float = Field(gt=0)
    guide: GuideConfig


class Config(StrictModel):
    """How the shipped miniature base is made (`make base`); no stage of the schedule reads it."""

    seed: int = Field(ge=0, le=SEED_MAX)
    languages: dict[str, LanguageConfig] = Field(min_length=1, description="pretraining languages, Latin script")
    new_language: LanguageConfig = Field(description="heard by codebook and recogniser only, never by the GPT")
    speakers: list[SpeakerConfig] = Field(min_length=2)
    readings_per_span: int = Field(ge=1, description="speakers who read each span of the pretraining texts")
    shuffled_readings: int = Field(ge=0, description="readings of each pretraining language's words in random order")
    readings_per_new_span: int = Field(ge=1, description="speakers who read each span of the new language")
    words_per_utterance_max: int = Field(ge=1)
    pieces: int = Field(ge=64, description="SentencePiece pieces")
    codebook: CodebookConfig
    recogniser: RecogniserConfig
    model: ModelConfig
    pretraining: PretrainingConfig

    @model_validator(mode="after")
    def _guide_within_model(self) -> Self:
        guide, model = self.pretraining.guide, self.model
        if guide.layer >= model.layers or guide.heads > model.heads:
            raise ValueError(f"pretraining.guide: layer {guide.layer} and {guide.heads} heads, where the model has "
                             f"layers 0 to {model.layers - 1} of {model.heads} heads")
        return self
