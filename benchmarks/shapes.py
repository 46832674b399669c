"""The model shapes that are measured.

miniature: data/base/config.yaml, its vocabulary grown as the schedule grows it, positions for 15 s.
medium: the released vocabularies and rates on a model that a CPU trains in seconds.
released: the public settings of IndexTTS2, 8,000 new pieces (presets/indextts2.yaml).
"""

from dataclasses import dataclass
from pathlib import Path

from stages.core.model.settings import EncoderSettings, GptSettings, read_settings

BASE = Path("data/base")
MINIATURE_NEW_PIECES = 260
RELEASED_NEW_PIECES = 8_000


@dataclass(frozen=True)
class Shape:
    """A model and the rates of what it reads.

    Attributes:
        settings: of the model, new pieces included.
        new_pieces: text rows that fine-tuning adds.
        codes_per_second: speech codes of a second of audio.
        text_tokens_per_second: pieces of a second of Amharic speech; the miniature's is measured (train_vocabulary's
            train_tokens_per_second), that of 8,000 pieces assumed: 2.2 words a second of two pieces each.
    """

    name: str
    settings: GptSettings
    new_pieces: int
    codes_per_second: float
    text_tokens_per_second: float


def miniature() -> Shape:
    """The shape of the base in data/base."""
    settings = read_settings(BASE).gpt
    grown = {"number_text_tokens": settings.number_text_tokens + MINIATURE_NEW_PIECES, "max_mel_tokens": 400}
    return Shape("miniature", settings.model_copy(update=grown), MINIATURE_NEW_PIECES, 25.0, 6.0)


def medium() -> Shape:
    """The released shape with 4 layers of 512."""
    narrow = {"model_dim": 512, "layers": 4, "heads": 8}
    return Shape("medium", released().settings.model_copy(update=narrow), RELEASED_NEW_PIECES, 50.0, 4.5)


def released() -> Shape:
    """24 layers of 1280."""
    settings = released_settings()
    grown = {"number_text_tokens": settings.number_text_tokens + RELEASED_NEW_PIECES}
    return Shape("released", settings.model_copy(update=grown), RELEASED_NEW_PIECES, 50.0, 4.5)


def released_settings() -> GptSettings:
    """Section `gpt` of IndexTTS2's public config.yaml."""
    return GptSettings(
        model_dim=1280, layers=24, heads=20, max_mel_tokens=1815, max_text_tokens=600, number_text_tokens=12_000,
        number_mel_codes=8194, start_mel_token=8192, stop_mel_token=8193, start_text_token=0, stop_text_token=1,
        condition_type="conformer_perceiver",
        condition_module=EncoderSettings(output_size=512, linear_units=2048, attention_heads=8, num_blocks=6,
                                         input_layer="conv2d2", perceiver_mult=2),
        emo_condition_module=EncoderSettings(output_size=512, linear_units=1024, attention_heads=4, num_blocks=4,
                                             input_layer="conv2d2", perceiver_mult=2),
    )


SHAPES = {"miniature": miniature, "medium": medium, "released": released}
