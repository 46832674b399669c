"""The model and its losses against upstream's own, with the same random weights, in float32.

Compared is upstream's `UnifiedVoice.forward`: it prepares inputs and targets and returns the latents that s2mel reads.
The version that can be installed returns no losses, so they are taken from its own logits and targets (upstream.py).

Upstream pads a batch with stop tokens, a text's between text and codes. The text stands before that padding and never
sees it; the codes attend to it, so those of a row whose text is not the batch's longest are not what the row gives
alone, nor what inference gives, which has no such padding. Neither has ours: every row is compared with itself alone.

At the shapes of the miniature and of the released model the frozen encoders are left out, their output is random; the
encoders are compared at a small shape, since upstream fixes widths that the miniature's do not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.model.checkpoint import FROZEN, load_exactly
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate
from stages.core.training.objective import compute_losses, weighted_loss
from tests.interop import shapes
from tests.interop.upstream import (
    Output,
    Utterance,
    build,
    build_trained_part,
    needs_upstream,
    randomise,
    run,
    stored_tensors,
)

pytestmark = [pytest.mark.interop, needs_upstream]

TOLERANCE = 1e-4
LENGTHS = ((5, 11), (8, 13), (8, 17))  # text tokens and codes: one shorter text, two of the batch's longest


@dataclass(frozen=True)
class Pair:
    """Both models with the same weights, utterances, and what upstream says of each alone."""

    theirs: nn.Module
    ours: UnifiedVoice
    utterances: list[Utterance]
    alone: list[Output]


@pytest.fixture(scope="module", params=["miniature", "released"])
def pair(request: pytest.FixtureRequest) -> Pair:
    settings = getattr(shapes, request.param)()
    theirs = build_trained_part(settings).requires_grad_(False)
    randomise(theirs, seed=1)
    ours = ours_like(theirs, settings).requires_grad_(False)
    utterances = draw_utterances(settings)
    return Pair(theirs, ours, utterances, [run(theirs, [one]) for one in utterances])


def ours_like(theirs: nn.Module, settings: GptSettings) -> UnifiedVoice:
    with torch.device("meta"):
        ours = UnifiedVoice(settings)
    ours = ours.to_empty(device="cpu").eval()
    trained = {name: value for name, value in stored_tensors(theirs).items() if not name.startswith(FROZEN)}
    load_exactly(ours, trained, "upstream's model")
    return ours


def draw_utterances(settings: GptSettings, lengths: Sequence[tuple[int, int]] = LENGTHS) -> list[Utterance]:
    generator = torch.Generator().manual_seed(2)

    def draw(low: int, high: int, length: int) -> Tensor:
        return torch.randint(low, high, (length,), generator=generator)

    return [
        Utterance(
            torch.randn(settings.condition_num_latent, settings.model_dim, generator=generator),
            torch.randn(settings.model_dim, generator=generator),
            draw(2, settings.number_text_tokens + 1, text_tokens), draw(0, settings.start_mel_token, codes),
        )
        for text_tokens, codes in lengths
    ]


def our_logits(ours: UnifiedVoice, utterances: list[Utterance]) -> list[tuple[Tensor, Tensor]]:
    """Text [L + 1, V] and code [M + 1, V] logits at every supervised position, row by row, from one batch."""
    text_states, code_states = ours(collate([one.row for one in utterances], ours.settings))
    text_logits = ours.text_head(text_states).split([len(one.text) + 1 for one in utterances])
    code_logits = ours.mel_head(code_states).split([len(one.codes) + 1 for one in utterances])
    return list(zip(text_logits, code_logits, strict=True))


def their_losses(output: Output, index: int, utterance: Utterance) -> tuple[Tensor, Tensor]:
    """Text [L + 1] and code [M + 1] cross-entropies of a row: its tokens and one stop a stream."""
    text, codes = slice(len(utterance.text) + 1), slice(len(utterance.codes) + 1)
    return (
        functional.cross_entropy(output.text_logits[index, text], output.text_targets[index, text], reduction="none"),
        functional.cross_entropy(output.code_logits[index, codes], output.code_targets[index, codes], reduction="none"),
    )


def latents_from_features(theirs: nn.Module, utterance: Utterance, features: Tensor) -> Tensor:
    """Upstream's latents [1, M, D], voice and emotion taken by upstream itself from the prompt's features [1, T, F]."""
    lengths = len(utterance.text), len(utterance.codes), features.shape[1]
    text, codes, frames = (torch.tensor([length]) for length in lengths)
    return theirs(
        features, utterance.text[None], text, utterance.codes[None], codes, features,
        cond_mel_lengths=frames, emo_cond_mel_lengths=frames, use_speed=torch.zeros(1).long(), do_spk_cond=True,
    )


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0.0)


@pytest.mark.parametrize("index", range(len(LENGTHS)))
def test_one_row_has_upstreams_logits_and_losses(pair, index):
    utterance, output = pair.utterances[index], pair.alone[index]
    ((text_logits, code_logits),) = our_logits(pair.ours, [utterance])
    assert_near(text_logits, output.text_logits[0, :-1])
    assert_near(code_logits, output.code_logits[0, :-1])
    losses = compute_losses(pair.ours, collate([utterance.row], pair.ours.settings))
    text_losses, code_losses = their_losses(output, 0, utterance)
    assert (losses.text_tokens, losses.code_tokens) == (len(text_losses), len(code_losses))
    assert_near(losses.text_sum / losses.text_tokens, text_losses.mean())
    assert_near(losses.code_sum / losses.code_tokens, code_losses.mean())


def test_rows_of_several_lengths_in_one_batch_have_the_logits_that_upstream_gives_each_alone(pair):
    for (text_logits, code_logits), output in zip(our_logits(pair.ours, pair.utterances), pair.alone, strict=True):
        assert_near(text_logits, output.text_logits[0, :-1])
        assert_near(code_logits, output.code_logits[0, :-1])


def test_losses_of_a_batch_average_upstreams_over_its_valid_tokens(pair):
    by_row = [their_losses(output, 0, one) for output, one in zip(pair.alone, pair.utterances, strict=True)]
    text, code = (torch.cat(parts).mean() for parts in zip(*by_row, strict=True))
    losses = compute_losses(pair.ours, collate([one.row for one in pair.utterances], pair.ours.settings))
    assert_near(losses.text_sum / losses.text_tokens, text)
    assert_near(losses.code_sum / losses.code_tokens, code)
    assert_near(weighted_loss(losses, 0.2, 0.8, losses.text_tokens, losses.code_tokens), 0.2 * text + 0.8 * code)


def test_a_batch_padded_by_upstream_agrees_wherever_its_padding_is_not_attended_to(pair):
    padded = run(pair.theirs, pair.utterances)
    longest = max(len(one.text) for one in pair.utterances)
    losses = compute_losses(pair.ours, collate([one.row for one in pair.utterances], pair.ours.settings))
    by_row = [their_losses(padded, index, one) for index, one in enumerate(pair.utterances)]
    assert_near(losses.text_sum / losses.text_tokens, torch.cat([text for text, _ in by_row]).mean())
    for index, (one, (text_logits, code_logits)) in enumerate(
        zip(pair.utterances, our_logits(pair.ours, pair.utterances), strict=True)
    ):
        assert_near(text_logits, padded.text_logits[index, : len(text_logits)])
        difference = (code_logits - padded.code_logits[index, : len(code_logits)]).abs().max()
        if len(one.text) == longest:
            assert difference <= TOLERANCE
        else:
            assert difference > 100 * TOLERANCE  # the padding that ours leaves out


@torch.no_grad()
def test_the_longest_row_that_the_miniature_takes_has_upstreams_logits():
    settings = shapes.miniature()
    theirs = build_trained_part(settings)
    randomise(theirs, seed=6)
    (longest,) = draw_utterances(settings, [(settings.max_text_tokens, settings.max_mel_tokens)])
    ((text_logits, code_logits),) = our_logits(ours_like(theirs, settings), [longest])
    output = run(theirs, [longest])
    assert_near(text_logits, output.text_logits[0, :-1])
    assert_near(code_logits, output.code_logits[0, :-1])


def test_latents_are_those_that_s2mel_reads(pair):
    _, states = pair.ours(collate([one.row for one in pair.utterances], pair.ours.settings))
    for ours, output in zip(states.split([len(one.codes) + 1 for one in pair.utterances]), pair.alone, strict=True):
        assert_near(ours[:-1], output.latents[0])


def test_every_trained_parameter_has_upstreams_gradient():
    settings = shapes.miniature()
    theirs = build_trained_part(settings)
    randomise(theirs, seed=3)
    ours, utterances = ours_like(theirs, settings), draw_utterances(settings)
    by_row = [their_losses(run(theirs, [one]), 0, one) for one in utterances]
    text, code = (torch.cat(parts).mean() for parts in zip(*by_row, strict=True))
    (0.2 * text + 0.8 * code).backward()
    losses = compute_losses(ours, collate([one.row for one in utterances], settings))
    weighted_loss(losses, 0.2, 0.8, losses.text_tokens, losses.code_tokens).backward()
    wanted = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert set(wanted) == {name for name, _ in ours.named_parameters()}
    for name, parameter in ours.named_parameters():
        largest = wanted[name].abs().max()
        assert largest > 0, name
        torch.testing.assert_close(parameter.grad / largest, wanted[name] / largest, atol=TOLERANCE, rtol=0.0, msg=name)


def test_names_shapes_and_counts_of_the_released_model_are_upstreams():
    settings = shapes.released()
    with torch.device("meta"):
        theirs, trained, frozen = build(settings), UnifiedVoice(settings), Conditioner(settings)
    ours = {**trained.state_dict(), **frozen.state_dict()}
    wanted = {name: value.shape for name, value in stored_tensors(theirs).items()}
    assert {name: value.shape for name, value in ours.items()} == wanted
    assert all(name.startswith(FROZEN) for name in frozen.state_dict())
    assert not any(name.startswith(FROZEN) for name in trained.state_dict())
    assert (len(theirs.state_dict()), millions(theirs), millions(trained)) == (665, 865.98, 527.08)


def millions(model: nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2)


@pytest.mark.parametrize("frames", [33, 40, 41])
@torch.no_grad()
def test_from_prompt_features_to_latents_as_upstream(frames):
    settings = shapes.small_encoders()
    theirs = build(settings)
    randomise(theirs, seed=4)
    ours, conditioner = ours_like(theirs, settings), Conditioner(settings).eval()
    frozen = {name: value for name, value in stored_tensors(theirs).items() if name.startswith(FROZEN)}
    load_exactly(conditioner, frozen, "upstream's model")
    features = torch.randn(1, frames, settings.feature_dim, generator=torch.Generator().manual_seed(5))
    length = torch.tensor([frames])
    voice, emotion = conditioner.voice(features, length), conditioner.emotion(features, length)
    assert_near(voice, theirs.get_conditioning(features.transpose(1, 2), length))
    assert_near(emotion, theirs.get_emovec(features, length))
    utterance = replace(draw_utterances(settings)[0], voice=voice[0], emotion=emotion[0])
    assert_near(ours(collate([utterance.row], settings))[1][:-1], latents_from_features(theirs, utterance, features)[0])
