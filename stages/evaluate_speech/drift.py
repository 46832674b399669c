"""How far the latents that s2mel consumes have moved from the base's, on the base's own languages.

Upstream's second pass gives, for the n-th code, the state from which that code was predicted; the last state, which
predicts the stop, is cut off. Shapes: M codes, D model width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row
from stages.evaluate_speech.cross_entropy import read_rows, sentence_of
from stages.evaluate_speech.figures import Measured, Values


def measure_drift(model: UnifiedVoice, base: UnifiedVoice, rows: Sequence[Row]) -> Values:
    """Relative L2 distance and cosine of the latents of the same rows, true codes given."""
    distances, cosines = [], []
    ours, theirs = read_rows(model, rows), read_rows(base, rows)
    for (index, states, _), (_, reference, _) in zip(ours, theirs, strict=True):
        sentence = sentence_of(rows[index].text)
        distance, cosine = compare_latents(states[:-1], reference[:-1])
        distances.append(Measured(sentence, distance))
        cosines.append(Measured(sentence, cosine))
    return {"latent_relative_l2": distances, "latent_cosine": cosines}


def compare_latents(ours: Tensor, base: Tensor) -> tuple[float, float]:
    """Of latents [M, D]: the norm of the difference over the norm of the base's, and the mean cosine over codes."""
    distance = torch.linalg.norm(ours - base) / torch.linalg.norm(base)
    return float(distance), float(torch.cosine_similarity(ours, base, dim=-1).mean())
