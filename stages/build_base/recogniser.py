"""Training of the judge: CTC on natural, quantised and noisy log-mel."""

import random
from collections.abc import Sequence

import jiwer
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from stages.build_base.config import RecogniserConfig
from stages.build_base.speech import Utterance
from stages.core.audio.codebook import Codebook, voice_average
from stages.core.model.recogniser import Recogniser, normalise_voice
from stages.core.training.schedule import learning_rate_at

NOISE_MAX, QUANTISED_SHARE, MASKED_SHARE, MASKED_CHANNELS_MAX = 0.3, 0.5, 0.5, 10


def train_recogniser(
    utterances: Sequence[Utterance], codebook: Codebook, mel_channels: int, config: RecogniserConfig, seed: int
) -> Recogniser:
    """Train on the training split; half of the examples are heard through the codebook, so that its steps are known."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    rows = sorted((row for row in utterances if _is_alignable(row)), key=lambda row: len(row.log_mel))
    judge = Recogniser(sorted({phone for row in rows for phone in row.phones}), mel_channels, config.width)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=config.learning_rate)
    batches = [rows[at : at + config.batch_utterances] for at in range(0, len(rows), config.batch_utterances)]
    for epoch in range(config.epochs):
        rng.shuffle(batches)
        total = 0.0
        for index, batch in enumerate(batches):
            step = epoch * len(batches) + index
            rate = learning_rate_at(step, config.epochs * len(batches), config.learning_rate, 200)
            optimiser.param_groups[0]["lr"] = rate
            loss = _ctc_loss(judge, batch, codebook, rng)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
            optimiser.step()
            total += loss.item()
        print(f"recogniser epoch {epoch + 1}/{config.epochs} ctc {total / len(batches):.3f}", flush=True)
    return judge.eval()


def _is_alignable(row: Utterance) -> bool:
    return row.split == "train" and len(row.phones) * 2.2 < len(row.log_mel) < 1000


def _ctc_loss(judge: Recogniser, batch: Sequence[Utterance], codebook: Codebook, rng: random.Random) -> Tensor:
    inputs = [_augment(row.log_mel, codebook, rng) for row in batch]
    targets = [torch.tensor([judge.ids[phone] for phone in row.phones]) for row in batch]
    log_probabilities = judge(pad_sequence(inputs, batch_first=True))
    lengths = torch.tensor([(len(row) + 1) // 2 for row in inputs])
    return functional.ctc_loss(
        log_probabilities.transpose(0, 1), torch.cat(targets), lengths, torch.tensor([len(row) for row in targets]),
        zero_infinity=True,
    )


def _augment(log_mel: Tensor, codebook: Codebook, rng: random.Random) -> Tensor:
    if rng.random() < QUANTISED_SHARE:
        log_mel = codebook.decode(codebook.quantise(log_mel), voice_average(log_mel))
    noisy = normalise_voice(log_mel) + NOISE_MAX * rng.random() * torch.randn(log_mel.shape)
    if rng.random() < MASKED_SHARE:
        first = rng.randrange(noisy.shape[1])
        noisy[:, first : first + rng.randrange(MASKED_CHANNELS_MAX)] = 0.0
    return noisy


def phone_error_rate(judge: Recogniser, pairs: Sequence[tuple[list[str], Tensor]]) -> float:
    """Phone errors per reference phone over (reference phones, log-mel [T, C]) pairs."""
    references = [" ".join(phones) for phones, _ in pairs]
    return float(jiwer.wer(references, [" ".join(judge.recognise(log_mel)) for _, log_mel in pairs]))
