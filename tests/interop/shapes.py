"""The shapes at which upstream's classes and ours are compared."""

from pathlib import Path

from benchmarks.shapes import released_settings
from stages.core.model.settings import EncoderSettings, GptSettings, read_settings

BASE = Path(__file__).resolve().parents[2] / "data" / "base"


def miniature() -> GptSettings:
    """The base that the project ships."""
    return read_settings(BASE).gpt


def released() -> GptSettings:
    """IndexTTS2's public config.yaml."""
    return released_settings()


def small_encoders() -> GptSettings:
    """Encoders of a few layers on a two-layer GPT; upstream fixes 1024 features and 64 for a perceiver head."""
    return GptSettings(
        model_dim=48, layers=2, heads=3, max_mel_tokens=60, max_text_tokens=30, number_text_tokens=50,
        number_mel_codes=34, start_mel_token=32, stop_mel_token=33, start_text_token=0, stop_text_token=1,
        condition_type="conformer_perceiver", condition_num_latent=5,
        condition_module=_encoder(width=32, hidden=80, heads=4, blocks=3),
        emo_condition_module=_encoder(width=24, hidden=56, heads=2, blocks=2),
    )


def _encoder(width: int, hidden: int, heads: int, blocks: int) -> EncoderSettings:
    return EncoderSettings(output_size=width, linear_units=hidden, attention_heads=heads, num_blocks=blocks,
                           input_layer="conv2d2", perceiver_mult=2)
