"""Learning-rate schedule."""

import math


def learning_rate_at(step: int, total_steps: int, peak: float, warmup_steps: int) -> float:
    """Linear rise over `warmup_steps`, then a cosine to 0 at `total_steps` (Loshchilov and Hutter, 2017).

    A warm-up longer than half of a short run is cut to half of it.
    """
    warmup = min(warmup_steps, total_steps // 2)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))
