import json

import pytest
import torch
from peft import PeftModel

from stages.core.errors import UserError
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate
from stages.core.training.lora import add_lora, is_text_table, matching_modules, merge, save_adapter
from stages.core.training.objective import compute_losses, weighted_loss
from stages.core.training.optimiser import build_optimiser
from stages.core.training.parallel import zero_first_rows
from tests.tiny import SETTINGS, make_rows

TARGETS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
BASE_ROWS = 20


def trained(steps: int = 5):
    torch.manual_seed(0)
    voice = UnifiedVoice(SETTINGS).eval()
    before = {name: value.clone() for name, value in voice.state_dict().items()}
    wrapped = add_lora(voice, 4, 8, 0.0, TARGETS)
    parameters = {name: value for name, value in voice.named_parameters() if value.requires_grad}
    optimiser = build_optimiser(parameters, weight_decay=0.5)
    for group in optimiser.param_groups:
        group["lr"] = 0.01
    batch = collate(make_rows(6), SETTINGS)
    for _ in range(steps):
        losses = compute_losses(voice, batch)
        optimiser.zero_grad()
        weighted_loss(losses, 0.2, 0.8, losses.text_tokens, losses.code_tokens).backward()
        for name, value in parameters.items():
            if is_text_table(name):
                zero_first_rows(value.grad, BASE_ROWS)
        optimiser.step()
    return voice, wrapped, before, batch


def test_merged_weights_equal_adapter_on_base():
    voice, wrapped, before, batch = trained()
    adapted = [states.detach() for states in voice(batch)]
    plain = UnifiedVoice(SETTINGS).eval()
    plain.load_state_dict(merge(wrapped))
    for one, other in zip(adapted, plain(batch), strict=True):
        torch.testing.assert_close(one, other.detach(), atol=1e-5, rtol=1e-5)
    assert not torch.equal(plain.state_dict()["gpt.h.0.attn.c_attn.weight"], before["gpt.h.0.attn.c_attn.weight"])


def test_new_rows_train_and_base_rows_keep_their_bytes_under_weight_decay():
    _, wrapped, before, _ = trained()
    after = merge(wrapped)
    for name in ("text_embedding.weight", "text_head.weight", "text_head.bias"):
        assert torch.equal(after[name][:BASE_ROWS], before[name][:BASE_ROWS])
        assert not torch.equal(after[name][BASE_ROWS:], before[name][BASE_ROWS:])


def test_only_adapters_and_text_rows_change():
    _, wrapped, before, _ = trained()
    after = merge(wrapped)
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert all(name.startswith(("gpt.h.", "text_embedding", "text_head")) and "ln_" not in name for name in changed)
    assert len([name for name in changed if name.startswith("gpt.h.")]) == SETTINGS.layers * len(TARGETS)


def test_the_saved_adapter_loads_in_plain_peft(tmp_path):
    voice, wrapped, before, batch = trained()
    adapted = voice(batch)[1].detach()
    save_adapter(wrapped, tmp_path)
    plain = UnifiedVoice(SETTINGS).eval()
    plain.load_state_dict(before)
    again = PeftModel.from_pretrained(plain, str(tmp_path)).base_model.model.eval()
    torch.testing.assert_close(again(batch)[1].detach(), adapted, atol=1e-5, rtol=1e-5)


def test_the_saved_adapter_names_its_targets_in_order_whatever_the_process(tmp_path):
    save_adapter(trained(steps=0)[1], tmp_path)
    targets = json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"]
    assert targets == sorted(targets) and len(targets) > 3


def test_globs_are_accepted():
    voice = UnifiedVoice(SETTINGS)
    assert matching_modules(voice, ["gpt.h.*.attn.c_attn"]) == ["gpt.h.0.attn.c_attn", "gpt.h.1.attn.c_attn"]
    assert matching_modules(voice, ["gpt.h.*.attn.c_attn"]) == matching_modules(voice, ["attn.c_attn"])


def test_a_target_that_matches_nothing_lists_near_names():
    with pytest.raises(UserError, match=r"attn\.c_atn.*attn\.c_attn"):
        matching_modules(UnifiedVoice(SETTINGS), ["attn.c_atn"])


def test_the_globs_that_circulate_are_translated():
    seed_style = ["gpt.h.*.attn.c_attn", "gpt.h.*.attn.c_proj", "gpt.h.*.mlp.c_fc", "gpt.h.*.mlp.c_proj"]
    assert len(matching_modules(UnifiedVoice(SETTINGS), seed_style)) == SETTINGS.layers * 4
    add_lora(UnifiedVoice(SETTINGS), 4, 8, 0.0, seed_style)
