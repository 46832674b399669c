import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate
from tests.tiny import SETTINGS, make_rows


def model() -> UnifiedVoice:
    torch.manual_seed(0)
    return UnifiedVoice(SETTINGS).eval()


def test_a_row_is_contiguous_and_its_streams_restart_their_positions():
    voice, row = model(), make_rows(1)[0]
    voice.speed_emb.weight.data.normal_()
    text = torch.cat([torch.tensor([0]), row.text, torch.tensor([1])])
    codes = torch.cat([torch.tensor([20]), row.codes])
    by_hand = torch.cat([
        row.conditioning, voice.speed_emb(torch.tensor([1])), voice.speed_emb(torch.tensor([0])),
        voice.text_embedding(text) + voice.text_pos_embedding.emb(torch.arange(len(text))),
        voice.mel_embedding(codes) + voice.mel_pos_embedding.emb(torch.arange(len(codes))),
    ])
    states = voice.final_norm(voice.gpt(inputs_embeds=by_hand[None]).last_hidden_state[0])
    text_states, code_states = voice(collate([row], SETTINGS))
    prefix = len(row.conditioning) + 2
    # float32 through two layers: 1e-5 is some hundred roundings
    torch.testing.assert_close(text_states, states[prefix : prefix + len(row.text) + 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(code_states, states[prefix + len(text) :], atol=1e-5, rtol=1e-5)


def test_targets_are_the_left_shift_with_one_stop_a_stream():
    row = make_rows(1)[0]
    batch = collate([row], SETTINGS)
    assert batch.text_targets.tolist() == [*row.text.tolist(), 1]
    assert batch.code_targets.tolist() == [*row.codes.tolist(), 21]


def test_a_row_predicts_the_same_alone_and_among_longer_rows():
    voice, rows = model(), make_rows(6)
    _, together = voice(collate(rows, SETTINGS))
    alone = torch.cat([voice(collate([row], SETTINGS))[1] for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
