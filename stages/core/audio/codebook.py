"""The miniature's speech codes: k-means over stacked log-mel frames with the voice's average removed.

Frames are compared by the low terms of their two-dimensional cosine transform, as cepstra are: the harmonics of the
pitch lie in the high terms, so that a code stands for a sound and not for the note it is spoken on.
Shapes: T mel frames, M codes, K centroids, C mel channels, R mel frames a code, P cosine terms.
"""

import math

import torch
from torch import Tensor


def voice_average(log_mel: Tensor) -> Tensor:
    """The voice's long-term average spectrum: the mean of the frames louder than the average one.

    log_mel [T, C] to [C].
    """
    loudness = log_mel.mean(dim=1)
    return log_mel[loudness >= loudness.mean()].mean(dim=0)


class Codebook:
    """Nearest-centroid quantiser.

    Args:
        centroids: [K, R * C].
        frames_per_code: R.
        projection: [R * C, P], from `cosine_projection`.
    """

    def __init__(self, centroids: Tensor, frames_per_code: int, projection: Tensor):
        self.centroids = centroids.float()
        self.frames_per_code = frames_per_code
        self.projection = projection
        self.keys = self.centroids @ projection

    def quantise(self, log_mel: Tensor) -> Tensor:
        """Log-mel [T, C] to codes, int64 [M], M = floor(T / R)."""
        stacked = stack_frames(log_mel - voice_average(log_mel), self.frames_per_code)
        return nearest(stacked @ self.projection, self.keys)

    def decode(self, codes: Tensor, average: Tensor) -> Tensor:
        """Codes [M] and a voice's average [C] to log-mel [M * R, C]."""
        return self.centroids[codes].reshape(len(codes) * self.frames_per_code, -1) + average


def stack_frames(log_mel: Tensor, frames_per_code: int) -> Tensor:
    """[T, C] to [floor(T / R), R * C]."""
    count = len(log_mel) // frames_per_code
    return log_mel[: count * frames_per_code].reshape(count, -1)


def cosine_projection(frames: int, channels: int, time_terms: int, mel_terms: int) -> Tensor:
    """The first `time_terms` by `mel_terms` terms of the orthonormal cosine transform (Ahmed et al., 1974).

    Returns:
        [R * C, P] with P = time_terms * mel_terms.
    """
    return torch.kron(_cosines(frames, time_terms), _cosines(channels, mel_terms)).T.contiguous()


def _cosines(length: int, terms: int) -> Tensor:
    places = (torch.arange(length) + 0.5) / length
    rows = [torch.cos(math.pi * term * places) * math.sqrt((2 if term else 1) / length) for term in range(terms)]
    return torch.stack(rows)


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest centroid (Euclidean), [N, D] against [K, D] to int64 [N]."""
    distances = centroids.square().sum(1) - 2 * points @ centroids.T
    return distances.argmin(dim=1)


def train_codebook(points: Tensor, projection: Tensor, count: int, iterations: int, seed: int) -> Tensor:
    """Lloyd's k-means (Lloyd, 1982) from random points; an empty cell restarts at a random point.

    points [N, R * C], compared by their projection [R * C, P], to centroids [K, R * C].
    """
    generator = torch.Generator().manual_seed(seed)
    compared = points @ projection
    centroids = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(iterations):
        owner = nearest(compared, centroids @ projection)
        population = torch.bincount(owner, minlength=count)
        centroids = torch.zeros_like(centroids).index_add_(0, owner, points) / population.clamp_min(1)[:, None]
        empty = (population == 0).nonzero().flatten()
        if len(empty):
            centroids[empty] = points[torch.randint(len(points), (len(empty),), generator=generator)]
    return centroids
