"""Pieces of the new language, appended to the base's tokenizer and to the base's text tables.

data/corpus/manifest.jsonl, data/corpus/summary.json, base -> data/vocabulary/
    bpe.model        the base's pieces, then the new ones
    pieces.tsv       id, piece
    metrics.json     coverage, fertility, unknown rate, tokens a second; training and held-out text
    summary.json
                                 -> data/checkpoints/base/
    model.safetensors   the trained part of the base with rows for the new pieces: step 0 of every schedule
"""

import sys
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import output_folder, read_jsonl, write_json, write_text
from stages.core.artifacts.text_settings import KEY, read_with
from stages.core.errors import UserError
from stages.core.model.base_files import require_parts
from stages.core.model.checkpoint import WEIGHTS_FILE, read_trained_tensors, save_tensors
from stages.core.model.settings import BaseSettings, read_settings
from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section
from stages.core.text.tokenizer import Tokenizer
from stages.core.tracking.mlflow_runs import stage_run
from stages.train_vocabulary.config import Config
from stages.train_vocabulary.measure import measure_vocabulary
from stages.train_vocabulary.surgery import append_pieces, extend_tables, learn_pieces

CORPUS, OUTPUT, STEP_ZERO = Path("data/corpus"), Path("data/vocabulary"), Path("data/checkpoints/base")


def main(argv: list[str] | None = None) -> int:
    stage_parser("train_vocabulary", __doc__).parse_args(argv)
    config, base = load_section(Config, "train_vocabulary"), Path(load_section(BaseConfig, "base").path)
    settings = read_settings(base)
    require_parts(base, settings.parts)
    rows = [row for row in read_jsonl(CORPUS / "manifest.jsonl") if row["role"] == "target"]
    with stage_run("train_vocabulary", config.model_dump()) as run:
        with output_folder(OUTPUT) as folder:
            metrics = make_vocabulary(rows, base, settings, config, folder)
        with output_folder(STEP_ZERO) as folder:
            make_step_zero(base, settings, config, folder)
        run.log_metrics(metrics, step=0)
        run.log_artifact(OUTPUT / "metrics.json")
    print(f"{OUTPUT}: {metrics}")
    return 0


def make_vocabulary(
    rows: list[dict[str, Any]], base: Path, settings: BaseSettings, config: Config, folder: Path
) -> dict[str, float]:
    """Write the vocabulary's files; returns its figures.

    Raises:
        UserError: coverage stays below the params' limit.
    """
    base_model = base / settings.dataset.bpe_model
    count = len(Tokenizer(base_model))
    texts: dict[str, list[dict[str, Any]]] = {"train": [], "held_out": []}
    for row in rows:
        texts["train" if row["split"] == "train" else "held_out"].append(row)
    pieces = learn_pieces(sorted({row["text_normalised"] for row in texts["train"]}), config.pieces)
    (folder / "bpe.model").write_bytes(append_pieces(base_model.read_bytes(), pieces))
    tokenizer = Tokenizer(folder / "bpe.model")
    metrics: dict[str, float] = {"base_pieces": count, "new_pieces": len(tokenizer) - count}
    if metrics["new_pieces"] != config.pieces:
        print(f"train_vocabulary.pieces: {config.pieces} asked, {metrics['new_pieces']} made: the script's letters are "
              "always pieces, and the corpus gives no more merges than it holds")
    for split, part in texts.items():
        metrics |= {f"{split}_{name}": round(value, 6) for name, value in measure_vocabulary(tokenizer, part).items()}
    if metrics["train_character_coverage"] < config.character_coverage_min:
        raise UserError(f"train_vocabulary.character_coverage_min: {config.character_coverage_min} asked, "
                        f"{metrics['train_character_coverage']} reached; look for foreign characters in {CORPUS}")
    names = [tokenizer.processor.id_to_piece(index) for index in range(len(tokenizer))]
    write_text(folder / "pieces.tsv", "".join(f"{index}\t{name}\n" for index, name in enumerate(names)))
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "summary.json", {"parameters": config.model_dump(), "utterances": len(rows),
                                         KEY: read_with(CORPUS)})
    return metrics


def make_step_zero(base: Path, settings: BaseSettings, config: Config, folder: Path) -> None:
    """Write the base's trained part with rows for the new pieces."""
    old, new = Tokenizer(base / settings.dataset.bpe_model), Tokenizer(OUTPUT / "bpe.model")
    pieces = [new.processor.id_to_piece(index) for index in range(len(old), len(new))]
    tensors = extend_tables(read_trained_tensors(base, settings), pieces, old.processor, config.initialisation)
    save_tensors(folder / WEIGHTS_FILE, tensors)
    write_json(folder / "summary.json", {"start_from": str(base), "initialisation": config.initialisation,
                                         "new_rows": len(pieces), "tokens_seen_by_schedule": 0, KEY: read_with(CORPUS)})


if __name__ == "__main__":
    sys.exit(run_command(main))
