import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.finetune.config import LoraConfig, Phase
from stages.finetune.trainee import prepare_model
from tests.tiny import SETTINGS

PHASE = Phase(start_from="base", approach="full", epochs=1, batch_utterances=4, learning_rate=0.01, warmup_steps=0,
              weight_decay=0.0, dropout=0.0, clip_norm=1.0, replay_share=0.0, replay_kl_weight=0.0)
LORA = LoraConfig(rank=4, alpha=4, dropout=0.0, targets=["attn.c_attn"])


def test_a_full_phase_trains_everything():
    model = UnifiedVoice(SETTINGS)
    total = sum(value.numel() for value in model.parameters())
    assert prepare_model(model, PHASE, 20).counts() == {"trained": total, "total": total, "trained_percent": 100.0}


def test_a_lora_phase_counts_adapters_and_new_rows_only():
    torch.manual_seed(0)
    model = UnifiedVoice(SETTINGS)
    total = sum(value.numel() for value in model.parameters())
    phase = PHASE.model_copy(update={"approach": "lora", "lora": LORA})
    dim, rank, new_rows = 16, 4, 31 - 20
    adapters = SETTINGS.layers * (dim * rank + rank * 3 * dim)
    rows = new_rows * (dim + dim + 1)
    counts = prepare_model(model, phase, 20).counts()
    assert (counts["trained"], counts["total"]) == (adapters + rows, total)
