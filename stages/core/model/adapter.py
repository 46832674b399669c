"""What differs between the bases: speech to features and codes, codes to audio. Chosen by the base's config.yaml.

Shapes: S samples, T feature frames, F feature width, M codes.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.audio.codebook import Codebook, stack_frames, voice_average
from stages.core.audio.mel import MelAnalysis
from stages.core.model.base_files import require_parts
from stages.core.model.checkpoint import check_keys, read_tensors
from stages.core.model.released import load_released_adapter
from stages.core.model.settings import BaseSettings, MiniatureSettings
from stages.core.model.speech import Speech, SpeechAdapter


class MiniatureAdapter:
    """Log-mel features, k-means codes, Griffin-Lim."""

    def __init__(self, settings: MiniatureSettings, codebook: Tensor, statistics: dict[str, Tensor]):
        self.settings = settings
        self.sample_rate_hz = settings.sample_rate_hz
        self.mel = MelAnalysis(settings.mel)
        self.codebook = Codebook(codebook, settings.frames_per_code, settings.code_projection)
        self.statistics = statistics

    def analyse(self, audio: Tensor) -> Speech:
        log_mel = self.mel.analyse(audio)
        return Speech(self.features(log_mel), self.codebook.quantise(log_mel))

    def analyse_batch(self, audio: Sequence[Tensor]) -> list[Speech]:
        return [self.analyse(one) for one in audio]

    def features(self, log_mel: Tensor) -> Tensor:
        """Log-mel [frames, C] to normalised stacked features [T, F]."""
        stacked = stack_frames(log_mel, self.settings.frames_per_feature)
        return (stacked - self.statistics["mean"]) / self.statistics["std"]

    def decode(self, codes: Tensor, prompt: Tensor) -> Tensor:
        if len(codes) == 0:
            return torch.zeros(0)
        log_mel = self.codebook.decode(codes, voice_average(self.mel.analyse(prompt)))
        return self.mel.synthesise(smooth_steps(log_mel))


def smooth_steps(log_mel: Tensor) -> Tensor:
    """Soften the steps between codes: a three-frame average over time, [T, C] to [T, C]."""
    padded = functional.pad(log_mel.T[None], (1, 1), mode="replicate")
    return functional.avg_pool1d(padded, 3, stride=1)[0].T


def load_adapter(base: Path, settings: BaseSettings, device: torch.device) -> SpeechAdapter:
    """The adapter that the base's config.yaml asks for: without section `miniature` the released model's.

    Raises:
        UserError: files of the base are missing (all named), damaged, or do not fit one another.
    """
    if settings.miniature is None:
        return load_released_adapter(base, settings, device)
    return load_miniature_adapter(base, settings)


def load_miniature_adapter(base: Path, settings: BaseSettings) -> MiniatureAdapter:
    """The adapter of a base with section `miniature`.

    Raises:
        UserError: files of the base are missing (all named), damaged, or of another shape than config.yaml says.
        ValueError: the base has no such section.
    """
    if settings.miniature is None:
        raise ValueError("no section `miniature`")
    require_parts(base, settings.parts)
    own = settings.miniature
    code_width, feature_width = (frames * own.mel_channels for frames in (own.frames_per_code, own.frames_per_feature))
    codebook, statistics = (read_tensors(base / name) for name in (own.codebook, own.feature_statistics))
    codes = torch.Size([settings.gpt.number_mel_codes - 2, code_width])
    check_keys({"centroids": codes}, codebook, str(base / own.codebook))
    check_keys(dict.fromkeys(("mean", "std"), torch.Size([feature_width])), statistics,
               str(base / own.feature_statistics))
    return MiniatureAdapter(own, codebook["centroids"], statistics)
