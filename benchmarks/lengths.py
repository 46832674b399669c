"""Random utterances whose lengths are spread like those of real speech corpora.

Seconds are log-normal with a median of 5 and sigma 0.6, drawn again outside 1-15 s: a mean of 5.6 s, as LibriTTS has
(585 h in 375,086 utterances), with the long right tail of read corpora that were cut at sentences. Text is as long as
the speech, times a log-normal factor of sigma 0.15 for how fast one speaks. Ids and conditioning are random.
"""

import math

import torch

from benchmarks.shapes import Shape
from stages.core.training.batching import Row
from stages.finetune.expected_speech import MEDIAN_SECONDS, PACE_SIGMA, SIGMA

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 15.0
FIRST_PIECE = 3


def draw_seconds(count: int, generator: torch.Generator) -> list[float]:
    """Durations in seconds."""
    seconds: list[float] = []
    while len(seconds) < count:
        drawn = torch.randn(count, generator=generator).mul(SIGMA).exp().mul(MEDIAN_SECONDS)
        seconds += drawn[(drawn >= SHORTEST_SECONDS) & (drawn <= LONGEST_SECONDS)].tolist()
    return seconds[:count]


def draw_rows(shape: Shape, count: int, seed: int) -> list[Row]:
    """Random rows for a shape; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    settings = shape.settings
    rows = []
    for index, seconds in enumerate(draw_seconds(count, generator)):
        pace = math.exp(PACE_SIGMA * torch.randn((), generator=generator).item())
        text_tokens = min(max(1, round(seconds * shape.text_tokens_per_second * pace)), settings.max_text_tokens)
        code_tokens = min(round(seconds * shape.codes_per_second), settings.max_mel_tokens)
        rows.append(Row(
            f"synthetic-{index:06d}",
            torch.randint(FIRST_PIECE, settings.number_text_tokens, (text_tokens,), generator=generator),
            torch.randint(0, settings.start_mel_token, (code_tokens,), generator=generator),
            torch.randn(settings.condition_num_latent, settings.model_dim, generator=generator),
        ))
    return rows


def supervised_tokens(rows: list[Row]) -> int:
    """Targets of some rows: every token and one stop in each stream."""
    return sum(len(row.text) + len(row.codes) + 2 for row in rows)
