"""The base's settings, read from the config.yaml of its checkpoint directory (upstream's keys)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from stages.core.audio.codebook import cosine_projection
from stages.core.audio.mel import MelSettings
from stages.core.errors import ParamsError, UserError
from stages.core.model.base_files import CONFIG_FILE, RELEASED, Part, require_parts
from stages.core.params.strict import describe, read_params

RELEASED_CODE_RATE_HZ = 50.0


def _stays_in_the_base(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError("must be a file in the base's folder")
    return name


FileName = Annotated[str, Field(min_length=1), AfterValidator(_stays_in_the_base)]


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

    bpe_model: FileName


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
    codebook: FileName
    feature_statistics: FileName
    recogniser: FileName

    @property
    def code_projection(self) -> Tensor:
        return cosine_projection(self.frames_per_code, self.mel_channels, self.code_time_terms, self.code_mel_terms)

    @property
    def mel(self) -> MelSettings:
        return MelSettings(self.sample_rate_hz, self.fft_samples, self.window_samples, self.hop_samples,
                           self.mel_channels)


class CodecSettings(_Section):
    """Section `semantic_codec`; defaults and fixed values are upstream's."""

    codebook_size: int = Field(default=8192, gt=0)
    hidden_size: int = Field(default=1024, gt=0)
    codebook_dim: int = Field(default=8, gt=0)
    vocos_dim: int = Field(default=384, gt=0)
    vocos_intermediate_dim: int = Field(default=2048, gt=0)
    vocos_num_layers: int = Field(default=12, gt=0)
    num_quantizers: Literal[1] = 1
    downsample_scale: Literal[1] = 1


class BaseSettings(_Section):
    """A whole config.yaml. `miniature` present: the miniature's adapter; absent: the released model's.

    `w2v_stat` and `semantic_codec` are the released adapter's; the other optional keys name files that only upstream's
    own inference reads.
    """

    dataset: DatasetSettings
    gpt: GptSettings
    gpt_checkpoint: FileName
    miniature: MiniatureSettings | None = None
    w2v_stat: FileName | None = None
    semantic_codec: CodecSettings | None = None
    s2mel_checkpoint: FileName | None = None
    emo_matrix: FileName | None = None
    spk_matrix: FileName | None = None
    qwen_emo_path: FileName | None = None

    @property
    def code_rate_hz(self) -> float:
        """Codes a second of speech."""
        own = self.miniature
        return own.mel.frame_rate_hz / own.frames_per_code if own else RELEASED_CODE_RATE_HZ

    @property
    def parts(self) -> list[Part]:
        """The files of the base's folder."""
        if self.miniature is not None:
            own = self.miniature
            return [Part(path, role, "") for path, role in (
                (CONFIG_FILE, "settings"), (self.dataset.bpe_model, "tokenizer"),
                (self.gpt_checkpoint, "GPT and conditioning encoders"), (own.codebook, "codebook"),
                (own.feature_statistics, "mean and deviation of the features"), (own.recogniser, "judge of speech"),
            )]
        named = {"bpe.model": self.dataset.bpe_model, "gpt.pth": self.gpt_checkpoint,
                 "wav2vec2bert_stats.pt": self.w2v_stat, "s2mel.pth": self.s2mel_checkpoint,
                 "feat1.pt": self.spk_matrix, "feat2.pt": self.emo_matrix, "qwen0.6bemo4-merge": self.qwen_emo_path}
        return [replace(part, path=named.get(part.path) or part.path) for part in RELEASED]


def read_settings(base: Path) -> BaseSettings:
    """Read and check the config.yaml of a checkpoint directory.

    Raises:
        UserError: config.yaml is missing (then all missing parts are listed), or is another release of IndexTTS.
        ParamsError: keys are wrong; all of them at once.
    """
    path = base / CONFIG_FILE
    if not path.is_file():
        require_parts(base, RELEASED)
    content = read_params(path)
    if other := other_version(content):
        raise UserError(f"{path}: {other}; only IndexTTS2 (config version 2.0) is read here: docs/released-model.md")
    return parse_settings(content, str(path))


def other_version(content: Mapping[str, Any]) -> str:
    """Name the IndexTTS release of a config.yaml where it is not IndexTTS2, else an empty string."""
    gpt = content.get("gpt")
    try:
        number = float(content.get("version", 2.0))
    except (TypeError, ValueError):
        number = 2.0
    keys = set(gpt) if isinstance(gpt, Mapping) else set()
    if number > 2.0 or "spk_cond_mode" in keys:
        return f"a checkpoint of IndexTTS {max(number, 2.5)}, with another tokenizer, codec and speaker encoder"
    if number < 2.0 or "dvae_checkpoint" in content or (keys and "emo_condition_module" not in keys):
        return f"a checkpoint of IndexTTS {min(number, 1.5)}, which has no emotion encoder"
    return ""


def parse_settings(content: dict[str, Any], source: str) -> BaseSettings:
    """Check an already parsed config.yaml."""
    try:
        return BaseSettings.model_validate(content)
    except ValidationError as error:
        raise ParamsError(source, describe(error)) from None
