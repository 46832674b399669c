"""The base's settings, read from the config.yaml of its checkpoint directory (upstream's keys)."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from stages.core.audio.codebook import cosine_projection
from stages.core.audio.mel import MelSettings
from stages.core.errors import ParamsError, UserError
from stages.core.params.strict import describe, read_params


class _Section(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class EncoderSettings(_Section):
    """One conformer with its perceiver (`condition_module`, `emo_condition_module`)."""

    output_size: int = Field(gt=0)
    linear_units: int = Field(gt=0)
    attention_heads: int = Field(gt=0)
    num_blocks: int = Field(gt=0)
    input_layer: Literal["conv2d2"]
    perceiver_mult: int = Field(gt=0)


class GptSettings(_Section):
    """Section `gpt`. The keys with a default are constants in upstream's code; the default is upstream's value."""

    model_dim: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    max_mel_tokens: int = Field(gt=0)
    max_text_tokens: int = Field(gt=0)
    number_text_tokens: int = Field(gt=0)
    number_mel_codes: int = Field(gt=0)
    start_mel_token: int
    stop_mel_token: int
    start_text_token: int
    stop_text_token: int
    condition_type: Literal["conformer_perceiver"]
    condition_module: EncoderSettings
    emo_condition_module: EncoderSettings
    condition_num_latent: int = Field(default=32, gt=0)
    feature_dim: int = Field(default=1024, gt=0)
    emotion_dim: int = Field(default=1024, gt=0)
    perceiver_head_dim: int = Field(default=64, gt=0)
    conditioning_prompts: int = Field(default=1, gt=0)


class DatasetSettings(_Section):
    """Section `dataset`: the tokenizer's file."""

    bpe_model: str


class MiniatureSettings(_Section):
    """Section `miniature`: what stands in for w2v-BERT, the semantic codec and the vocoder."""

    sample_rate_hz: int = Field(gt=0)
    fft_samples: int = Field(gt=0)
    window_samples: int = Field(gt=0)
    hop_samples: int = Field(gt=0)
    mel_channels: int = Field(gt=0)
    frames_per_feature: int = Field(gt=0)
    frames_per_code: int = Field(gt=0)
    code_time_terms: int = Field(gt=0)
    code_mel_terms: int = Field(gt=0)
    codebook: str
    feature_statistics: str
    recogniser: str

    @property
    def code_projection(self) -> Tensor:
        return cosine_projection(self.frames_per_code, self.mel_channels, self.code_time_terms, self.code_mel_terms)

    @property
    def mel(self) -> MelSettings:
        return MelSettings(self.sample_rate_hz, self.fft_samples, self.window_samples, self.hop_samples,
                           self.mel_channels)


class BaseSettings(_Section):
    """A whole config.yaml. `miniature` present: the miniature's adapter; absent: the released model's."""

    dataset: DatasetSettings
    gpt: GptSettings
    gpt_checkpoint: str
    miniature: MiniatureSettings | None = None


def read_settings(base: Path) -> BaseSettings:
    """Read and check the config.yaml of a checkpoint directory.

    Raises:
        UserError: the directory or its config.yaml is missing or a key is wrong; all wrong keys at once.
    """
    path = base / "config.yaml"
    if not path.is_file():
        raise UserError(f"{path}: missing; base.path must name an IndexTTS2 checkpoint directory")
    return parse_settings(read_params(path), str(path))


def parse_settings(content: dict[str, Any], source: str) -> BaseSettings:
    """Check an already parsed config.yaml."""
    try:
        return BaseSettings.model_validate(content)
    except ValidationError as error:
        raise ParamsError(source, describe(error)) from None
