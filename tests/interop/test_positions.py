"""Which positions upstream's sampling gives to speech codes, and what ours gives them.

In training, and in the second forward pass that makes s2mel's latents, start_mel stands at position 0 and the n-th code
at n. Upstream's cached sampling looks the n-th code up at n + 1: it takes the length of the attention mask, which
counts start_mel too, where its own uncached path counts from 0. Ours samples at the positions of training.

Two texts of unlike length are spoken: transformers 5.23 drops a mask that hides nothing, and upstream's cached path,
which reads its length from the mask, then fails on a text alone.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stages.core.model.checkpoint import FROZEN, load_exactly
from stages.core.model.conditioning import Conditioner
from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.speaking.upstream import SampledGpt
from tests.interop import shapes
from tests.interop.upstream import build, needs_upstream, randomise, stored_tensors

pytestmark = [pytest.mark.interop, needs_upstream]

CODES = 12
GREEDY = SamplingSettings(temperature=0, top_p=1.0, top_k=0, repetition_penalty=1.0, codes_max=CODES, seed=0)
TEXTS = [torch.tensor([7, 21, 4, 33, 12, 40]), torch.tensor([5, 18, 9, 27])]


@dataclass(frozen=True)
class Sampled:
    """Codes of each text that upstream takes as the most likely, and the positions looked up one by one."""

    codes: list[list[int]]
    positions: list[int]


@pytest.fixture(scope="module")
def theirs():
    model = build(shapes.small_encoders()).requires_grad_(False)
    randomise(model, seed=11)
    model.mel_pos_embedding.emb.weight.mul_(8.0)  # so that a position decides what is said
    model.mel_head.bias[model.stop_mel_token] = -100.0
    model.mel_head.bias[model.start_mel_token] = -100.0
    return model


@pytest.fixture(scope="module")
def features():
    return torch.randn(len(TEXTS), 40, 1024, generator=torch.Generator().manual_seed(12))


def sample_upstream(model: nn.Module, features: Tensor, cached: bool) -> Sampled:
    model.post_init_gpt2_config(kv_cache=cached)
    asked: list[int] = []
    table = model.mel_pos_embedding
    look_up = table.get_fixed_embedding

    def record(position: int, device: torch.device) -> Tensor:
        asked.append(position)
        return look_up(position, device)

    table.get_fixed_embedding = record
    lengths = torch.full((len(features),), features.shape[1])
    texts = pad_sequence(TEXTS, batch_first=True, padding_value=model.stop_text_token)
    try:
        codes, _ = model.inference_speech(
            features, texts, features, cond_lengths=lengths, emo_cond_lengths=lengths,
            emo_vec=model.get_emovec(features, lengths), do_sample=False, num_beams=1, max_generate_length=CODES,
        )
    finally:
        del table.get_fixed_embedding
    return Sampled(codes.tolist(), asked)


def sample_ours(theirs: nn.Module, features: Tensor, shifted: bool) -> list[list[int]]:
    """Our sampler with upstream's weights; `shifted` moves every code's position up by one."""
    settings = shapes.small_encoders()
    ours, conditioner = UnifiedVoice(settings).eval(), Conditioner(settings).eval()
    stored = {name: value for name, value in stored_tensors(theirs).items() if "inference_model" not in name}
    load_exactly(ours, {name: value for name, value in stored.items() if not name.startswith(FROZEN)}, "upstream")
    load_exactly(conditioner, {name: value for name, value in stored.items() if name.startswith(FROZEN)}, "upstream")
    if shifted:
        table = ours.mel_pos_embedding.emb.weight.data
        table[1:-1] = table[2:].clone()
    lengths = torch.full((len(features),), features.shape[1])
    with torch.no_grad():
        conditioning = conditioner.voice(features, lengths) + conditioner.emotion(features, lengths)[:, None]
    return [codes.tolist() for codes, _ in sample_codes(ours, conditioning, TEXTS, GREEDY)]


def test_upstreams_cached_sampling_never_looks_up_position_1(theirs, features):
    assert sample_upstream(theirs, features, cached=True).positions == list(range(2, CODES + 1))


def test_upstreams_uncached_sampling_has_the_positions_of_training_as_ours_has(theirs, features):
    sampled = sample_upstream(theirs, features, cached=False)
    assert sampled.positions == []
    assert sampled.codes == sample_ours(theirs, features, shifted=False)


def test_the_cached_codes_are_ours_with_every_position_moved_by_one(theirs, features):
    sampled = sample_upstream(theirs, features, cached=True)
    assert sampled.codes == sample_ours(theirs, features, shifted=True)
    unmoved = sample_ours(theirs, features, shifted=False)
    assert all(one != other for one, other in zip(sampled.codes, unmoved, strict=True))


def test_speaking_through_upstream_draws_our_codes_and_its_own_latents(theirs, features):
    """`SampledGpt` stands in for upstream's GPT in its inference: called with the arguments that it uses there."""
    gpt, prompt, lengths = SampledGpt(theirs, shapes.small_encoders()), features[:1], torch.tensor([1024])
    gpt.sampling = GREEDY
    text = TEXTS[0][None].int()
    emotion = gpt.merge_emovec(prompt, prompt, lengths, lengths, alpha=1.0)
    codes, voice = gpt.inference_speech(prompt, text, prompt, cond_lengths=lengths, emo_cond_lengths=lengths,
                                        emo_vec=emotion, do_sample=True, num_beams=3, max_generate_length=1500)
    assert codes.tolist() == sample_ours(theirs, features, shifted=False)[:1] and not gpt.stopped
    latents = gpt(voice, text, torch.tensor([text.shape[1]]), codes, torch.tensor([CODES]), prompt,
                  cond_mel_lengths=lengths, emo_cond_mel_lengths=lengths, emo_vec=emotion,
                  use_speed=torch.zeros(1).long())
    assert latents.shape == (1, CODES, 48)
