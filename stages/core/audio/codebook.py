"""The miniature's speech codes: k-means over stacked log-mel frames with the voice's average removed.

Shapes: T mel frames, M codes, K centroids, C mel channels, R mel frames a code.
"""

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
    """

    def __init__(self, centroids: Tensor, frames_per_code: int):
        self.centroids = centroids.float()
        self.frames_per_code = frames_per_code

    def quantise(self, log_mel: Tensor) -> Tensor:
        """Log-mel [T, C] to codes, int64 [M], M = floor(T / R)."""
        stacked = stack_frames(log_mel - voice_average(log_mel), self.frames_per_code)
        return nearest(stacked, self.centroids)

    def decode(self, codes: Tensor, average: Tensor) -> Tensor:
        """Codes [M] and a voice's average [C] to log-mel [M * R, C]."""
        return self.centroids[codes].reshape(len(codes) * self.frames_per_code, -1) + average


def stack_frames(log_mel: Tensor, frames_per_code: int) -> Tensor:
    """[T, C] to [floor(T / R), R * C]."""
    count = len(log_mel) // frames_per_code
    return log_mel[: count * frames_per_code].reshape(count, -1)


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest centroid (Euclidean), [N, D] against [K, D] to int64 [N]."""
    distances = centroids.square().sum(1) - 2 * points @ centroids.T
    return distances.argmin(dim=1)


def train_codebook(points: Tensor, count: int, iterations: int, seed: int) -> Tensor:
    """Lloyd's k-means (Lloyd, 1982) from random points; an empty cell restarts at a random point.

    points [N, D] to centroids [K, D].
    """
    generator = torch.Generator().manual_seed(seed)
    centroids = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(iterations):
        owner = nearest(points, centroids)
        population = torch.bincount(owner, minlength=count)
        centroids = torch.zeros_like(centroids).index_add_(0, owner, points) / population.clamp_min(1)[:, None]
        empty = (population == 0).nonzero().flatten()
        if len(empty):
            centroids[empty] = points[torch.randint(len(points), (len(empty),), generator=generator)]
    return centroids
