"""Log-mel features and their way back to audio.

Shapes: S samples, T frames, C mel channels, F linear frequency bins.
"""

from dataclasses import dataclass

import torch
import torchaudio
from torch import Tensor

LOG_FLOOR = 3e-3


@dataclass(frozen=True)
class MelSettings:
    """Analysis settings; all of them are read from the base's config.yaml."""

    sample_rate_hz: int
    fft_samples: int
    window_samples: int
    hop_samples: int
    mel_channels: int

    @property
    def frame_rate_hz(self) -> float:
        return self.sample_rate_hz / self.hop_samples


class MelAnalysis:
    """Audio to log-mel frames, and back by Griffin-Lim (Griffin and Lim, 1984; fast variant of Perraudin, 2013)."""

    def __init__(self, settings: MelSettings, griffin_lim_iterations: int = 32):
        self.settings = settings
        self.spectrogram = torchaudio.transforms.Spectrogram(
            settings.fft_samples, settings.window_samples, settings.hop_samples, power=1.0
        )
        self.mel_scale = torchaudio.transforms.MelScale(
            settings.mel_channels, settings.sample_rate_hz, n_stft=settings.fft_samples // 2 + 1
        )
        self.inverse_mel = torch.linalg.pinv(self.mel_scale.fb.T)
        self.griffin_lim = torchaudio.transforms.GriffinLim(
            settings.fft_samples, griffin_lim_iterations, settings.window_samples, settings.hop_samples,
            power=1.0, rand_init=False,
        )

    def analyse(self, audio: Tensor) -> Tensor:
        """Audio [S] in -1..1 to log-mel magnitudes [T, C]."""
        return self.mel_scale(self.spectrogram(audio)).clamp_min(LOG_FLOOR).log().T.contiguous()

    def synthesise(self, log_mel: Tensor) -> Tensor:
        """Log-mel magnitudes [T, C] to audio [S]."""
        magnitudes = (self.inverse_mel @ log_mel.T.exp()).clamp_min(0.0)
        return self.griffin_lim(magnitudes)
