"""Corpus to features: codes, text ids, speaker conditioning, emotion vector.

data/corpus, data/vocabulary/bpe.model, base -> data/features/
    features-*.safetensors   shards
    index.jsonl              one utterance a line: where its tensors lie, its prompt, its lengths
    quarantine.jsonl         what was left out, each with its reason
    summary.json

A killed run goes on with the first shard that .resume/extract_features/ does not hold; the bytes are the same.
`python -m stages.extract_features.doctor` checks a base's folder beforehand.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.core.artifacts.code import code_hash
from stages.core.artifacts.files import below, file_states, output_folder, read_jsonl, write_json, write_jsonl
from stages.core.artifacts.progress import Progress
from stages.core.artifacts.text_settings import KEY, read_with
from stages.core.errors import UserError
from stages.core.model.adapter import load_adapter
from stages.core.model.checkpoint import load_conditioner
from stages.core.model.settings import BaseSettings, GptSettings, read_settings
from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section
from stages.core.text.tokenizer import Tokenizer
from stages.core.tracking.mlflow_runs import stage_run
from stages.core.training.features import INDEX_FILE
from stages.extract_features.config import Config
from stages.extract_features.extract import SHORTEST_SECONDS, Extractor, choose_prompts, length_problem, shards
from stages.extract_features.resume import ShardLines, ShardStore, run_key

CORPUS, VOCABULARY, OUTPUT = Path("data/corpus"), Path("data/vocabulary"), Path("data/features")
RESUME = Path(".resume/extract_features")
Rows = Sequence[dict[str, Any]]


def main(argv: list[str] | None = None) -> int:
    stage_parser("extract_features", __doc__).parse_args(argv)
    config, base = load_section(Config, "extract_features"), Path(load_section(BaseConfig, "base").path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with stage_run("extract_features", config.model_dump()) as run:
        manifest = read_jsonl(CORPUS / "manifest.jsonl")
        store = open_store(base, config, manifest, device)
        with store.lock():
            summary = extract_corpus(base, config, manifest, store, device)
            store.forget_others()
        run.log_metrics({"utterances": summary["utterances"], "code_tokens": summary["code_tokens"],
                         "text_tokens": summary["text_tokens"]}, step=0)
    print(f"{OUTPUT}: {summary}")
    return 0


def open_store(base: Path, config: Config, manifest: Rows, device: torch.device) -> ShardStore:
    """Where this very run keeps its shards: other params, inputs or code are another folder."""
    code = code_hash("stages.extract_features.__main__")
    read = [CORPUS / "manifest.jsonl", VOCABULARY / "bpe.model"]
    known_by_date = [base, *(below(CORPUS, row["audio"]) for row in manifest)]
    states = file_states(known_by_date)
    return ShardStore(RESUME, run_key([config.model_dump(), device.type, code], read, states), states)


def extract_corpus(
    base: Path, config: Config, manifest: Rows, store: ShardStore, device: torch.device
) -> dict[str, Any]:
    """Extract the shards that are not there yet, then write the whole output; returns its summary."""
    settings, parts = read_settings(base), list(shards(manifest, config.shard_utterances))
    progress, lines = Progress("utterances", len(manifest)), {}
    for name, rows in parts:
        if (found := store.load(name)) is not None:
            lines[name] = found
            progress.skip(len(rows))
    if lines:
        print(f"{store.folder}: goes on; {len(lines)} of {len(parts)} shards are there", flush=True)
    extractor = None
    for name, rows in parts:
        if name not in lines:
            extractor = extractor or make_extractor(base, settings, config, device)
            kept, lines[name] = extract_shard(name, rows, extractor, settings.gpt, progress)
            store.save(name, kept, lines[name], [below(CORPUS, row["audio"]) for row in rows])
    with output_folder(OUTPUT) as folder:
        store.hand_over(folder)
        return write_lists(folder, [lines[name] for name, _ in parts],
                           {"parameters": config.model_dump(), "code_rate_hz": settings.code_rate_hz,
                            KEY: read_with(CORPUS)})


def make_extractor(base: Path, settings: BaseSettings, config: Config, device: torch.device) -> Extractor:
    """Load what reads speech and text."""
    return Extractor(load_adapter(base, settings, device), load_conditioner(base, settings).to(device),
                     Tokenizer(VOCABULARY / "bpe.model"), CORPUS, config.prompt_seconds_max, config.batch_seconds)


def extract_shard(
    name: str, rows: Rows, extractor: Extractor, settings: GptSettings, progress: Progress
) -> tuple[list[dict[str, Tensor]], ShardLines]:
    """Features of the utterances that the model can hold, in the order of the manifest, and the shard's lines."""
    lines = ShardLines([], [])
    kept: list[dict[str, Tensor]] = []
    features: dict[str, dict[str, Tensor]] = {}
    long_enough = [row for row in rows if row["duration_seconds"] >= SHORTEST_SECONDS]
    progress.skip(len(rows) - len(long_enough))
    for place, one in extractor.extract(long_enough):
        features[long_enough[place]["id"]] = one
        progress.advance()
    for row in rows:
        held = features.get(row["id"])
        problem = length_problem(held, settings) if held else f"shorter than {SHORTEST_SECONDS} s"
        if held is None or problem:
            lines.quarantine.append({"id": row["id"], "reason": problem})
        else:
            lines.index.append(index_row(row, name, len(kept), held))
            kept.append(held)
    return kept, lines


def write_lists(folder: Path, lines: Sequence[ShardLines], made_with: dict[str, Any]) -> dict[str, Any]:
    """Choose prompts; write index, quarantine and summary.

    Raises:
        UserError: nothing is left to train on.
    """
    index = [row for shard in lines for row in shard.index]
    quarantine = [row for shard in lines for row in shard.quarantine]
    prompts, lonely = choose_prompts(index)
    quarantine += lonely
    index = [row | {"prompt": prompts[row["id"]]} for row in index if row["id"] in prompts]
    if not any(row["split"] == "train" and row["role"] == "target" for row in index):
        raise UserError(f"{CORPUS}: no utterance to train on; see the reasons: {quarantine[:3]}")
    write_jsonl(folder / INDEX_FILE, index)
    write_jsonl(folder / "quarantine.jsonl", quarantine)
    summary = {"utterances": len(index), "quarantined": len(quarantine), **made_with,
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
    sys.exit(run_command(main))
