"""Upstream's own model: built with random weights, run, and asked for the logits that it does not return.

Its package is not free software: it is imported here, by tests alone, and nothing of it is in the project.

Shapes: B rows, N conditioning latents, D model width, L text tokens and M codes of the batch's longest row, V classes.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stages.core.model.checkpoint import DERIVED, FROZEN
from stages.core.model.settings import GptSettings
from stages.core.training.batching import Row

PACKAGE = "indextts"
needs_upstream = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason="upstream's package indextts2-inference is not installed; `make interop` adds it"
)


@dataclass(frozen=True)
class Utterance:
    """A row with voice [N, D] and emotion [D] apart, as upstream takes them; text [L] and codes [M] as in `Row`."""

    voice: Tensor
    emotion: Tensor
    text: Tensor
    codes: Tensor

    @property
    def row(self) -> Row:
        return Row("row", self.text, self.codes, self.voice + self.emotion)


@dataclass(frozen=True)
class Output:
    """What upstream computes of a batch, its padding and second stop tokens included.

    Attributes:
        text_logits, code_logits: [B, L + 2, V], [B, M + 2, V].
        text_targets, code_targets: [B, L + 2], [B, M + 2].
        latents: [B, M, D], what upstream's forward returns and its s2mel reads.
    """

    text_logits: Tensor
    code_logits: Tensor
    text_targets: Tensor
    code_targets: Tensor
    latents: Tensor


def import_package() -> None:
    """Make upstream's modules importable without its __init__, which imports all of inference and its requirements."""
    if PACKAGE not in sys.modules:
        sys.modules[PACKAGE] = module_from_spec(find_spec(PACKAGE))


def build(settings: GptSettings) -> nn.Module:
    """Upstream's UnifiedVoice, initialised as upstream does."""
    import_package()
    constants = {"emotion_dim", "feature_dim", "perceiver_head_dim", "conditioning_prompts"}
    options = settings.model_dump(exclude=constants)  # what upstream's code fixes is no option of it
    return import_module(f"{PACKAGE}.gpt.model_v2").UnifiedVoice(**options, checkpointing=False).eval()


def build_trained_part(settings: GptSettings) -> nn.Module:
    """Upstream's UnifiedVoice without its frozen encoders and without a second spent on its initialisation."""
    with torch.device("meta"):
        model = build(settings)
    for name in FROZEN:
        delattr(model, name.rstrip("."))
    return model.to_empty(device="cpu")


def randomise(model: nn.Module, seed: int) -> None:
    """Fill every parameter so that each changes the output: no zero biases, no norms of exactly one."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        is_gain = parameter.ndim == 1 and not name.endswith("bias")
        spread = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.data.normal_(float(is_gain), spread, generator=generator)


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint of upstream's model holds, without what is derived from the rest."""
    return {name: value for name, value in model.state_dict().items() if not name.startswith(DERIVED)}


def run(model: nn.Module, utterances: Sequence[Utterance]) -> Output:
    """Call upstream's forward on a batch.

    It lays out inputs and targets, then returns latents only. The logits come from its own `get_logits`, called once
    more with the arguments that its forward gives it; the targets from its `build_aligned_inputs_and_targets`.
    """
    logits: list[tuple[Tensor, Tensor]] = []
    targets: list[Tensor] = []
    get_logits, align = model.get_logits, model.build_aligned_inputs_and_targets

    def keep_logits(*arguments: Any, **options: Any) -> Any:
        logits.append(get_logits(*arguments, **options | {"return_latent": False}))
        return get_logits(*arguments, **options)

    def keep_targets(*arguments: Any) -> Any:
        pair = align(*arguments)
        targets.append(pair[1])
        return pair

    with mock.patch.multiple(model, get_logits=keep_logits, build_aligned_inputs_and_targets=keep_targets):
        latents = model(
            torch.stack([one.voice for one in utterances]), *_padded([one.text for one in utterances]),
            *_padded([one.codes for one in utterances]), None,
            emo_vec=torch.stack([one.emotion for one in utterances]), use_speed=torch.zeros(len(utterances)).long(),
        )
    (text_logits, code_logits), = logits
    return Output(text_logits.transpose(1, 2), code_logits.transpose(1, 2), *targets, latents)


def _padded(streams: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    return pad_sequence(streams, batch_first=True), torch.tensor([len(stream) for stream in streams])
