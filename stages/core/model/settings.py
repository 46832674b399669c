"""The base's settings, read from the config.yaml of its checkpoint directory (upstream's keys)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from stages.core.artifacts.foreign import foreign_file
from stages.core.audio.codebook import cosine_projection
from stages.core.audio.mel import MelSettings
from stages.core.errors import ParamsError, UserError
from stages.core.model.base_files import CONFIG_FILE, RELEASED, Part, base_files, require_parts
from stages.core.params.strict import describe, read_params

RELEASED_CODE_RATE_HZ = 50.0


def _stays_in_the_base(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/") or not name.isprintable():
        raise ValueError("must be a file in the base's folder")
    return name


FileName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_stays_in_the_base)]
# Far above the released model's numbers (width 1280, 24 layers, 20 heads, 12,000 pieces), far below a machine's end
Width = Annotated[int, Field(gt=0, le=16_384)]
Layers = Annotated[int, Field(gt=0, le=256)]
Heads = Annotated[int, Field(gt=0, le=256)]
Rows = Annotated[int, Field(gt=0, le=1_000_000)]
Factor = Annotated[int, Field(gt=0, le=16)]
Id = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Section = TypeVar("Section", bound=_Section)


def divided(section: Section, width: str, heads: str) -> Section:
    """A section whose width is a multiple of its heads; pydantic tells the error at the section."""
    if getattr(section, width) % getattr(section, heads):
        raise ValueError(f"{width} must be a multiple of {heads} "
                         f"(got {getattr(section, width)} and {getattr(section, heads)})")
    return section


class EncoderSettings(_Section):
    """One conformer with its perceiver (`condition_module`, `emo_condition_module`)."""

    output_size: Width
    linear_units: Width
    attention_heads: Heads
    num_blocks: Layers
    input_layer: Literal["conv2d2"]
    perceiver_mult: Factor

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "EncoderSettings":
        return divided(self, "output_size", "attention_heads")


class GptSettings(_Section):
    """Section `gpt`. The keys with a default are constants in upstream's code; the default is upstream's value."""

    model_dim: Width
    layers: Layers
    heads: Heads
    max_mel_tokens: Rows
    max_text_tokens: Rows
    number_text_tokens: Rows
    number_mel_codes: Rows
    start_mel_token: Id
    stop_mel_token: Id
    start_text_token: Id
    stop_text_token: Id
    condition_type: Literal["conformer_perceiver"]
    condition_module: EncoderSettings
    emo_condition_module: EncoderSettings
    condition_num_latent: Width = 32
    feature_dim: Width = 1024
    emotion_dim: Width = 1024
    perceiver_head_dim: Width = 64
    conditioning_prompts: Width = 1

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "GptSettings":
        return divided(self, "model_dim", "heads")

    @model_validator(mode="after")
    def _tokens_have_rows(self) -> "GptSettings":
        for name, rows in (("mel", self.number_mel_codes), ("text", self.number_text_tokens + 1)):
            for token in (f"start_{name}_token", f"stop_{name}_token"):
                if getattr(self, token) >= rows:
                    raise ValueError(f"{token} must be below the number of rows, {rows} (got {getattr(self, token)})")
        return self


class DatasetSettings(_Section):
    """Section `dataset`: the tokenizer's file."""

    bpe_model: FileName


class MiniatureSettings(_Section):
    """Section `miniature`: what stands in for w2v-BERT, the semantic codec and the vocoder."""

    sample_rate_hz: int = Field(ge=1000, le=192_000)
    fft_samples: Width
    window_samples: Width
    hop_samples: Width
    mel_channels: int = Field(gt=0, le=512)
    frames_per_feature: Factor
    frames_per_code: Factor
    code_time_terms: Factor
    code_mel_terms: int = Field(gt=0, le=512)
    codebook: FileName
    feature_statistics: FileName
    recogniser: FileName

    @model_validator(mode="after")
    def _window_fits(self) -> "MiniatureSettings":
        if self.window_samples > self.fft_samples:
            raise ValueError("window_samples must be at most fft_samples "
                             f"(got {self.window_samples} and {self.fft_samples})")
        return self

    @property
    def code_projection(self) -> Tensor:
        return cosine_projection(self.frames_per_code, self.mel_channels, self.code_time_terms, self.code_mel_terms)

    @property
    def mel(self) -> MelSettings:
        return MelSettings(self.sample_rate_hz, self.fft_samples, self.window_samples, self.hop_samples,
                           self.mel_channels)


class CodecSettings(_Section):
    """Section `semantic_codec`; defaults and fixed values are upstream's."""

    codebook_size: Rows = 8192
    hidden_size: Width = 1024
    codebook_dim: Width = 8
    vocos_dim: Width = 384
    vocos_intermediate_dim: Width = 2048
    vocos_num_layers: Layers = 12
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
        UserError: config.yaml is missing (then all missing parts are listed), or is another release of IndexTTS; a link
            in the directory leads out of it.
        ParamsError: keys are wrong; all of them at once.
    """
    path = base / CONFIG_FILE
    if not path.is_file():
        require_parts(base, RELEASED)
    base_files(base)
    with foreign_file(path, "not valid YAML"):
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
