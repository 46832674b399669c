import pytest
import torch

from stages.build_base.alignment import Guide, attention_scores, guide_loss
from stages.build_base.config import GuideConfig
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row, collate
from tests.tiny import SETTINGS

WIDTH = 0.1


@pytest.fixture
def batch():
    prompt = torch.zeros(3, SETTINGS.model_dim)
    return collate([Row("a", torch.arange(2, 8), torch.arange(24) % 20, prompt),
                    Row("b", torch.arange(2, 5), torch.arange(8), prompt)], SETTINGS)


def scores_at(batch, share_of_text):
    """Scores that send each position of speech, by its share of the speech, to the text at another share."""
    scores = torch.zeros(*batch.layout.shape[:1], 1, *[batch.layout.shape[1]] * 2)
    for row, (tokens, codes) in enumerate(((7, 25), (4, 9))):
        for code in range(codes):
            text = min(tokens - 1, int(tokens * share_of_text((code + 0.5) / codes)))
            scores[row, 0, 6 + tokens + code, 6 + text] = 30.0
    return scores


def test_the_diagonal_costs_little_and_what_is_far_from_it_much(batch):
    diagonal, uniform, backwards = (
        guide_loss(scores, batch, WIDTH).item()
        for scores in (scores_at(batch, lambda share: share), torch.zeros(2, 1, *[batch.layout.shape[1]] * 2),
                       scores_at(batch, lambda share: 1 - share))
    )
    # a token is 1/7 or 1/4 of the text, so the nearest one may lie 1/8 away: at most 0.5 * 1.25**2
    assert 0 <= diagonal < 0.8 < uniform < backwards
    assert uniform == pytest.approx(-torch.tensor(WIDTH * (2 * torch.pi) ** 0.5).log().item(), abs=0.3)


def test_scores_are_those_of_the_blocks_own_attention():
    model = UnifiedVoice(SETTINGS).eval()
    states = torch.randn(2, 9, SETTINGS.model_dim)
    attention = model.gpt.h[0].attn
    scores = attention_scores(attention, states, attention.num_heads)
    hidden = torch.ones(9, 9, dtype=torch.bool).triu(1)
    value = attention.c_attn(states)[..., -SETTINGS.model_dim :].view(2, 9, SETTINGS.heads, -1).transpose(1, 2)
    mixed = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ value
    assert torch.allclose(attention.c_proj(mixed.transpose(1, 2).flatten(2)), attention(states)[0], atol=1e-5)


def test_the_guide_hears_one_pass_and_teaches_the_block(batch):
    model = UnifiedVoice(SETTINGS)
    with Guide(model, batch, GuideConfig(weight=1.0, layer=0, heads=1, width=WIDTH)) as guide:
        model(batch)
    guide.loss.backward()
    heard = guide.loss.item()
    gradient = model.gpt.h[0].attn.c_attn.weight.grad
    size = SETTINGS.model_dim // SETTINGS.heads
    assert heard > 0 and gradient[:, :size].abs().sum() > 0
    assert gradient[:, size : SETTINGS.model_dim].abs().sum() == 0, "other heads are left alone"
    model(batch)
    assert guide.loss.item() == heard, "outside the context nothing is heard"
