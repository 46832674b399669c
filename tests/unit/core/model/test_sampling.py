from dataclasses import replace

import torch

from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row, collate
from tests.tiny import SETTINGS, make_rows

GREEDY = SamplingSettings(temperature=0, top_p=1.0, top_k=0, repetition_penalty=1.0, codes_max=12, seed=0)


def model() -> UnifiedVoice:
    torch.manual_seed(1)
    voice = UnifiedVoice(SETTINGS).eval()
    for value in voice.parameters():
        value.data.mul_(3.0)
    return voice


def greedy_without_cache(voice: UnifiedVoice, row: Row) -> list[int]:
    codes = torch.zeros(0, dtype=torch.int64)
    for _ in range(GREEDY.codes_max):
        _, states = voice(collate([replace(row, codes=codes)], SETTINGS))
        logits = voice.mel_head(states[-1])
        logits[SETTINGS.start_mel_token] = -torch.inf
        code = int(logits.argmax())
        if code == SETTINGS.stop_mel_token:
            break
        codes = torch.cat([codes, torch.tensor([code])])
    return codes.tolist()


def test_cached_left_padded_sampling_equals_the_training_layout_row_by_row():
    voice, rows = model(), make_rows(5)
    drawn = sample_codes(voice, torch.stack([row.conditioning for row in rows]), [row.text for row in rows], GREEDY)
    with torch.inference_mode():
        assert [codes.tolist() for codes, _ in drawn] == [greedy_without_cache(voice, row) for row in rows]


def test_a_stop_token_ends_a_row_and_is_told_apart_from_a_cut():
    voice, row = model(), make_rows(1)[0]
    conditioning = row.conditioning[None]
    voice.mel_head.bias.data[SETTINGS.stop_mel_token] = 1e4
    [(codes, done)] = sample_codes(voice, conditioning, [row.text], GREEDY)
    assert (codes.tolist(), done) == ([], True)
    voice.mel_head.bias.data[SETTINGS.stop_mel_token] = -1e4
    [(codes, done)] = sample_codes(voice, conditioning, [row.text], GREEDY)
    assert (len(codes), done) == (GREEDY.codes_max, False)


def test_the_same_seed_draws_the_same_codes_and_top_k_of_one_is_greedy():
    voice, rows = model(), make_rows(3)
    conditioning, texts = torch.stack([row.conditioning for row in rows]), [row.text for row in rows]
    warm = replace(GREEDY, temperature=1.0, seed=5)
    first, second = (sample_codes(voice, conditioning, texts, warm) for _ in range(2))
    assert all(torch.equal(one[0], other[0]) for one, other in zip(first, second, strict=True))
    greedy = sample_codes(voice, conditioning, texts, GREEDY)
    only = sample_codes(voice, conditioning, texts, replace(warm, top_k=1))
    assert all(torch.equal(one[0], other[0]) for one, other in zip(greedy, only, strict=True))


def test_start_token_is_never_drawn():
    voice, row = model(), make_rows(1)[0]
    voice.mel_head.bias.data[SETTINGS.start_mel_token] = 1e4
    [(codes, _)] = sample_codes(voice, row.conditioning[None], [row.text], replace(GREEDY, temperature=1.0))
    assert SETTINGS.start_mel_token not in codes.tolist()
