"""A folder ready for fine-tuning in a second: random base, random features, the start checkpoint with new rows."""

from pathlib import Path

import torch
import yaml

from stages.core.artifacts.files import write_json, write_jsonl
from stages.core.artifacts.text_settings import KEY, SUMMARY
from stages.core.model.checkpoint import WEIGHTS_FILE, load_base, save_tensors
from stages.core.params.shared import MachineConfig
from stages.core.training.features import INDEX_FILE, write_shard
from stages.finetune.command_line import Job
from stages.finetune.config import Config, LoraConfig, Phase
from tests.tiny_base import make_base
from tests.tiny_project import tiny_params

BASE_PIECES, NEW_PIECES = 60, 12
ROWS = {("target", "train"): 22, ("target", "validation"): 5, ("base", "train"): 6, ("base", "validation"): 3}
LORA = LoraConfig(rank=4, alpha=4, dropout=0.0, targets=["attn.c_attn", "mlp.c_fc"])
MACHINE = MachineConfig(
    processes=1, parallelism="ddp", micro_batch_utterances=0, precision="float32", activation_checkpointing=False,
    compile=False, data_workers=0, save_every_seconds=1e9, save_every_steps=1_000_000, keep_states=2,
)


def make_workplace(folder: Path) -> None:
    """Write data/base, data/checkpoints/base, data/features and params.yaml into `folder`."""
    base = make_base(folder / "data/base")
    start = folder / "data/checkpoints/base"
    start.mkdir(parents=True)
    tensors = dict(load_base(base).state_dict())
    for name in ("text_embedding.weight", "text_head.weight", "text_head.bias"):
        rows = tensors[name]
        tensors[name] = torch.cat([rows, torch.zeros_like(rows[:NEW_PIECES]) + rows.mean(dim=0)])
    save_tensors(start / WEIGHTS_FILE, tensors)
    (folder / "data/features").mkdir()
    write_features(folder / "data/features")
    for read in (start, folder / "data/features"):
        write_json(read / SUMMARY, {"tokens_seen_by_schedule": 0, KEY: "as in this test"})
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))


def write_features(folder: Path) -> None:
    """One shard of rows of both roles; base-language rows hold base pieces only."""
    generator = torch.Generator().manual_seed(3)
    shard, index = [], []
    for (role, split), count in ROWS.items():
        pieces = range(3, BASE_PIECES) if role == "base" else range(BASE_PIECES, BASE_PIECES + NEW_PIECES)
        for number in range(count):
            text = torch.randint(pieces.start, pieces.stop, (4 + number % 5,), generator=generator)
            codes = torch.randint(0, 32, (8 + 3 * (number % 4),), generator=generator)
            shard.append({"text": text, "codes": codes, "voice": torch.randn(3, 16, generator=generator),
                          "emotion": torch.randn(16, generator=generator)})
            name = f"{role}-{split}"
            index.append({"id": f"{name}-{number}", "speaker": role, "language": "am" if role == "target" else "en",
                          "role": role, "split": split, "shard": "a.safetensors", "place": len(index),
                          "prompt": f"{name}-{(number + 1) % count}", "text_tokens": len(text),
                          "code_tokens": len(codes)})
    write_shard(folder / "a.safetensors", shard)
    write_jsonl(folder / INDEX_FILE, index)


def make_job(folder: Path, approach: str = "full", machine: dict | None = None, config: dict | None = None,
             **phase) -> Job:
    """A job in a workplace, small and without dropout; fields can be changed by name."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    settings = {
        "start_from": "base", "approach": approach, "epochs": 2, "batch_utterances": 7, "learning_rate": 0.01,
        "warmup_steps": 2, "weight_decay": 0.01, "dropout": 0.0, "clip_norm": 1.0, "replay_share": 0.0,
        "replay_kl_weight": 0.0, "lora": LORA if approach == "lora" else None,
    }
    index = folder / "data/features" / INDEX_FILE
    return Job(
        name=approach, phase=Phase(**{**settings, **phase}),
        config=Config(**{**params["finetune"], "log_every_steps": 1, **(config or {})}),
        machine=MachineConfig(**{**MACHINE.model_dump(), **(machine or {})}), base=folder / "data/base",
        start=folder / "data/checkpoints/base", train=index, validation=index, vocabulary=None,
        output=folder / "data/checkpoints" / approach, params_file=folder / "params.yaml",
    )
