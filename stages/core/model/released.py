"""Speech to features and codes as the released IndexTTS2 does it: w2v-BERT 2.0, statistics, semantic codec.

Turning codes into audio is upstream's s2mel and vocoder, which this project does not hold.

Shapes: B rows, S samples, T frames at 50 Hz, F features, M codes; here M equals T.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from stages.core.errors import UserError
from stages.core.model.base_files import CODEC_FILE, CONFIG_FILE, W2V_BERT_FOLDER, require_parts
from stages.core.model.checkpoint import read_tensors
from stages.core.model.semantic_codec import SemanticCodec, load_semantic_codec
from stages.core.model.settings import BaseSettings
from stages.core.model.speech import Speech
from stages.core.model.w2v_bert import SAMPLE_RATE_HZ, W2vBert, load_w2v_bert


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions and products in true float32: with TF32 a code could depend on its batch."""
    convolution, product = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolution, product


class ReleasedAdapter:
    """Features and codes of whole batches, each row what it is alone.

    Args:
        mean, std: of the features, [F] each.
    """

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, bert: W2vBert, mean: Tensor, std: Tensor, codec: SemanticCodec):
        self.bert, self.codec, self.mean, self.std = bert, codec, mean, std

    def analyse(self, audio: Tensor) -> Speech:
        return self.analyse_batch([audio])[0]

    @torch.inference_mode()
    def analyse_batch(self, audio: Sequence[Tensor]) -> list[Speech]:
        with full_float32():
            states, lengths = self.bert(audio)
            features = (states - self.mean) / self.std
            codes = self.codec.quantise(features, lengths)
        return [Speech(own[:length], ids[:length].cpu())
                for own, ids, length in zip(features, codes, lengths.tolist(), strict=True)]


def load_released_adapter(base: Path, settings: BaseSettings, device: torch.device) -> ReleasedAdapter:
    """Read the speech encoders of a released base.

    Raises:
        UserError: parts are missing (all named), damaged, or do not fit one another.
    """
    if settings.w2v_stat is None or settings.semantic_codec is None:
        absent = [name for name in ("w2v_stat", "semantic_codec") if getattr(settings, name) is None]
        raise UserError(f"{base / CONFIG_FILE}: lacks {', '.join(absent)}, which the config.yaml of IndexTTS2 holds")
    require_parts(base, settings.parts)
    bert = load_w2v_bert(base / W2V_BERT_FOLDER)
    codec = load_semantic_codec(base / CODEC_FILE, settings.semantic_codec)
    mean, std = read_statistics(base / settings.w2v_stat)
    widths = {"w2v-BERT": bert.model.config.hidden_size, settings.w2v_stat: len(mean),
              "semantic_codec.hidden_size": settings.semantic_codec.hidden_size,
              "gpt.feature_dim": settings.gpt.feature_dim}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise UserError(f"{base}: parts of different feature widths, so not of one model: {told}")
    return ReleasedAdapter(bert.to(device), mean.to(device), std.to(device), codec.to(device))


def read_statistics(path: Path) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [F] each; the file holds the variance.

    Raises:
        UserError: the file is missing or holds something else.
    """
    held = read_tensors(path)
    if set(held) != {"mean", "var"} or held["mean"].ndim != 1 or held["mean"].shape != held["var"].shape:
        raise UserError(f"{path}: must hold `mean` and `var` of one length (got {', '.join(sorted(held))})")
    return held["mean"], held["var"].sqrt()
