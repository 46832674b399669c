"""A small CTC phone recogniser: the judge of sampled speech on the miniature.

Shapes: B batch, T mel frames, C mel channels, P phones + 1 (blank is 0).
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from stages.core.artifacts.foreign import foreign_file
from stages.core.audio.codebook import voice_average
from stages.core.errors import UserError
from stages.core.model.checkpoint import build_exactly


class Recogniser(nn.Module):
    """Convolutions and a bidirectional GRU over voice-normalised log-mel, trained with CTC (Graves et al., 2006).

    Args:
        phones: names of the phones; output row k + 1 is phones[k].
        mel_channels: C.
        width: hidden width.
    """

    def __init__(self, phones: list[str], mel_channels: int, width: int):
        super().__init__()
        self.phones = phones
        self.ids = {phone: index + 1 for index, phone in enumerate(phones)}
        self.front = nn.Sequential(
            nn.Conv1d(mel_channels, width, 5, padding=2), nn.ReLU(),
            nn.Conv1d(width, width, 5, stride=2, padding=2), nn.ReLU(),
        )
        self.gru = nn.GRU(width, width, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.head = nn.Linear(2 * width, len(phones) + 1)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Voice-normalised log-mel [B, T, C] to log probabilities [B, ceil(T / 2), P]."""
        hidden = self.front(log_mel.transpose(1, 2)).transpose(1, 2)
        return self.head(self.gru(hidden)[0]).log_softmax(dim=-1)

    @torch.inference_mode()
    def recognise(self, log_mel: Tensor) -> list[str]:
        """Log-mel [T, C] to phones, by best path."""
        best = self(normalise_voice(log_mel)[None])[0].argmax(dim=-1)
        merged = torch.unique_consecutive(best)
        return [self.phones[index - 1] for index in merged.tolist() if index]


def normalise_voice(log_mel: Tensor) -> Tensor:
    """Remove the voice's average spectrum from log-mel [T, C]."""
    return log_mel - voice_average(log_mel)


def load_recogniser(path: Path, mel_channels: int) -> Recogniser:
    """Read a recogniser: tensors, and the phones' names in the file's header.

    Raises:
        UserError: the file is missing or is no recogniser.
    """
    if not path.is_file():
        raise UserError(f"{path}: missing recogniser")
    with foreign_file(path, "not a recogniser"):
        with safe_open(path, "pt") as file:
            phones = [str(phone) for phone in json.loads(file.metadata()["phones"])]
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        width = len(tensors["front.0.bias"])
        return build_exactly(lambda: Recogniser(phones, mel_channels, width), tensors, str(path)).eval()
