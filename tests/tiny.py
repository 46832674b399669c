"""A model small enough for tests, and rows for it."""

import torch

from stages.core.model.settings import EncoderSettings, GptSettings
from stages.core.training.batching import Row

ENCODER = EncoderSettings(output_size=8, linear_units=16, attention_heads=2, num_blocks=1, input_layer="conv2d2",
                          perceiver_mult=2)
SETTINGS = GptSettings(
    model_dim=16, layers=2, heads=2, max_mel_tokens=40, max_text_tokens=20, number_text_tokens=30, number_mel_codes=22,
    start_mel_token=20, stop_mel_token=21, start_text_token=0, stop_text_token=1, condition_type="conformer_perceiver",
    condition_module=ENCODER, emo_condition_module=ENCODER, condition_num_latent=3, feature_dim=10, emotion_dim=12,
    perceiver_head_dim=4,
)


def make_rows(count: int, seed: int = 0) -> list[Row]:
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int, low: int, length: int) -> torch.Tensor:
        return torch.randint(low, high, (length,), generator=generator)

    return [
        Row(f"row-{index}", draw(30, 3, 4 + index % 5), draw(20, 0, 6 + 3 * (index % 4)),
            torch.randn(3, 16, generator=generator))
        for index in range(count)
    ]
