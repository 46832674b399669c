"""Pretraining of the miniature: GPT and conditioning encoders together, the prompt another utterance of the speaker."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stages.build_base.alignment import Guide
from stages.build_base.config import PretrainingConfig
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import Batch, UnifiedVoice
from stages.core.training.batching import Row, collate
from stages.core.training.loop import Loop, LoopSettings
from stages.core.training.objective import compute_losses, validation_figures, weighted_loss
from stages.core.training.optimiser import build_optimiser
from stages.core.training.parallel import Processes
from stages.core.training.plan import length_bucketed
from stages.core.training.progress import print_progress
from stages.core.training.resume import ResumeStore

TEXT_WEIGHT, CODE_WEIGHT = 0.2, 0.8


@dataclass(frozen=True)
class Example:
    """One utterance ready for training: speaker, token ids [L], codes [M], prompt features [T, F] (half precision)."""

    speaker: int
    text: Tensor
    codes: Tensor
    features: Tensor


class ExampleSet:
    """Examples and who speaks them."""

    def __init__(self, examples: Sequence[Example], prompt_frames: int):
        self.examples, self.prompt_frames = examples, prompt_frames
        self.by_speaker: dict[int, list[int]] = defaultdict(list)
        for index, example in enumerate(examples):
            self.by_speaker[example.speaker].append(index)

    def prompt(self, index: int, generator: torch.Generator | None) -> Tensor:
        """Features [T, F] of a random other utterance of the same speaker."""
        peers = self.by_speaker[self.examples[index].speaker]
        peer = peers[int(torch.randint(len(peers) - 1, (1,), generator=generator))]
        peer = peer if peer != index else peers[-1]
        return self.examples[peer].features[: self.prompt_frames].float()


class WholeModel(nn.Module):
    """GPT and conditioning encoders."""

    def __init__(self, settings: GptSettings, dropout: float):
        super().__init__()
        self.settings = settings
        self.voice = UnifiedVoice(settings, dropout)
        self.conditioner = Conditioner(settings)

    def batch(self, rows: ExampleSet, indices: Sequence[int], generator: torch.Generator | None = None) -> Batch:
        """Some examples, each with its prompt, laid out for one forward pass."""
        prompts = [rows.prompt(index, generator) for index in indices]
        features, lengths = pad_sequence(prompts, batch_first=True), torch.tensor([len(row) for row in prompts])
        emotion = self.conditioner.emotion(features, lengths)
        conditioning = self.conditioner.voice(features, lengths) + emotion[:, None]
        return collate([
            Row(str(index), rows.examples[index].text, rows.examples[index].codes, state)
            for index, state in zip(indices, conditioning, strict=True)
        ], self.settings)


@dataclass
class PretrainingTask:
    """The whole model as the training loop sees it."""

    model: WholeModel
    train: ExampleSet
    held_out: ExampleSet
    config: PretrainingConfig
    seed: int

    def __post_init__(self) -> None:
        self.parameters = dict(self.model.named_parameters())
        self.lengths = [len(row.text) + len(row.codes) for row in self.train.examples]
        self.steps_per_epoch = len(self._batches(0))

    def _batches(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1000 + epoch)
        return length_bucketed(self.lengths, self.config.batch_utterances, generator)

    def steps(self, epoch: int, first: int) -> list[list[int]]:
        return self._batches(epoch)[first:]

    def utterances(self, data: Sequence[int]) -> list[str]:
        return [str(index) for index in data]

    def memory_advice(self, data: Sequence[int]) -> str:
        return "out of memory; lower build_base.pretraining.batch_utterances"

    def backward(self, data: Sequence[int]) -> dict[str, float]:
        batch = self.model.train().batch(self.train, data)
        with Guide(self.model.voice, batch, self.config.guide) as guide:
            losses = compute_losses(self.model.voice, batch)
        loss = weighted_loss(losses, TEXT_WEIGHT, CODE_WEIGHT, losses.text_tokens, losses.code_tokens)
        (loss + self.config.guide.weight * guide.loss).backward()
        return {"tokens": losses.text_tokens + losses.code_tokens, "loss": loss.item(), "guide": guide.loss.item(),
                "code_cross_entropy": losses.code_sum.item() / losses.code_tokens}

    def validate(self, stopping: Callable[[], bool]) -> dict[str, float]:
        return evaluate(self.model, self.held_out)


def pretrain(train: ExampleSet, held_out: ExampleSet, settings: GptSettings, config: PretrainingConfig,
             seed: int, resume: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Train, resuming from `resume`; returns all tensors by name and the held-out figures."""
    torch.manual_seed(seed)
    model = WholeModel(settings, config.dropout)
    task = PretrainingTask(model, train, held_out, config, seed)
    loop = Loop(
        LoopSettings(
            epochs=config.epochs, learning_rate=config.learning_rate, warmup_steps=config.warmup_steps, clip_norm=1.0,
            gradient_norm_max=1000.0, skipped_steps_max=0, log_every_steps=20, validate_every_steps=0,
            metric="validation_code_cross_entropy", lower_is_better=True, patience_validations=0, hand_on="last",
            save_every_seconds=60, save_every_steps=10_000, seed=seed,
        ),
        task, build_optimiser(task.parameters, config.weight_decay), ResumeStore(resume),
        Processes(0, 1, torch.device("cpu")),
    )
    loop.run(lambda figures, timings: print_progress(figures, timings, task.steps_per_epoch, loop.total_steps))
    return {**model.voice.state_dict(), **model.conditioner.state_dict()}, evaluate(model, held_out)


@torch.inference_mode()
def evaluate(model: WholeModel, held_out: ExampleSet) -> dict[str, float]:
    """Cross-entropy (nats) and top-1 of the codes of held-out examples, prompts drawn by a fixed seed."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    order = sorted(range(len(held_out.examples)), key=lambda index: len(held_out.examples[index].codes))
    batches = (model.batch(held_out, order[at : at + 32], generator) for at in range(0, len(order), 32))
    parts = [compute_losses(model.voice, batch) for batch in batches]
    return validation_figures(parts)
