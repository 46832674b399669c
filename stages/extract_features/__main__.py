"""Corpus to features: codes, text ids, speaker conditioning, emotion vector.

data/corpus, data/vocabulary/bpe.model, base -> data/features/
    features-*.safetensors   shards
    index.jsonl              one utterance a line: where its tensors lie, its prompt, its lengths
    quarantine.jsonl         what was left out, each with its reason
    summary.json
"""

import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from stages.core.artifacts.files import output_folder, read_jsonl, write_json, write_jsonl
from stages.core.artifacts.progress import Progress
from stages.core.errors import UserError
from stages.core.model.adapter import load_adapter
from stages.core.model.checkpoint import load_conditioner
from stages.core.model.settings import read_settings
from stages.core.params.command import stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section
from stages.core.text.tokenizer import Tokenizer
from stages.core.tracking.mlflow_runs import stage_run
from stages.core.training.features import INDEX_FILE, write_shard
from stages.extract_features.config import Config
from stages.extract_features.extract import choose_prompts, extract_row, length_problem, shards

CORPUS, VOCABULARY, OUTPUT = Path("data/corpus"), Path("data/vocabulary"), Path("data/features")


def main(argv: list[str] | None = None) -> int:
    stage_parser("extract_features", __doc__).parse_args(argv)
    config, base = load_section(Config, "extract_features"), Path(load_section(BaseConfig, "base").path)
    with stage_run("extract_features", config.model_dump()) as run, output_folder(OUTPUT) as folder:
        summary = extract_corpus(base, config, folder)
        run.log_metrics({"utterances": summary["utterances"], "code_tokens": summary["code_tokens"],
                         "text_tokens": summary["text_tokens"]}, step=0)
    print(f"{OUTPUT}: {summary}")
    return 0


def extract_corpus(base: Path, config: Config, folder: Path) -> dict[str, Any]:
    """Write all shards, the index and the summary."""
    settings = read_settings(base)
    adapter, conditioner = load_adapter(base, settings), load_conditioner(base, settings)
    tokenizer = Tokenizer(VOCABULARY / "bpe.model")
    manifest = read_jsonl(CORPUS / "manifest.jsonl")
    progress, index, quarantine = Progress("utterances", len(manifest)), [], []
    for name, rows in shards(manifest, config.shard_utterances):
        kept: list[dict[str, Tensor]] = []
        for row in rows:
            features = extract_row(row, CORPUS, tokenizer, adapter, conditioner, config.prompt_seconds_max)
            progress.advance()
            if problem := length_problem(features, settings.gpt):
                quarantine.append({"id": row["id"], "reason": problem})
                continue
            index.append(index_row(row, name, len(kept), features))
            kept.append(features)
        if kept:
            write_shard(folder / name, kept)
    prompts, lonely = choose_prompts(index)
    quarantine += lonely
    index = [row | {"prompt": prompts[row["id"]]} for row in index if row["id"] in prompts]
    if not any(row["split"] == "train" and row["role"] == "target" for row in index):
        raise UserError(f"{CORPUS}: no utterance to train on; see the reasons: {quarantine[:3]}")
    write_jsonl(folder / INDEX_FILE, index)
    write_jsonl(folder / "quarantine.jsonl", quarantine)
    summary = {"utterances": len(index), "quarantined": len(quarantine), "parameters": config.model_dump(),
               "code_rate_hz": adapter.code_rate_hz,
               "text_tokens": sum(row["text_tokens"] for row in index),
               "code_tokens": sum(row["code_tokens"] for row in index)}
    write_json(folder / "summary.json", summary)
    return summary


def index_row(row: dict[str, Any], shard: str, place: int, features: dict[str, Tensor]) -> dict[str, Any]:
    """The index line of one utterance, its prompt still to be chosen."""
    return {name: row[name] for name in ("id", "speaker", "language", "role", "split")} | {
        "shard": shard, "place": place,
        "text_tokens": len(features["text"]), "code_tokens": len(features["codes"]),
    }


if __name__ == "__main__":
    sys.exit(main())
