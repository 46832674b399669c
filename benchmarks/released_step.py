"""From a released-size gpt.pth to an export, on this CPU: memory and time of each part, in processes of their own.

866 M random weights are written by torch.save into a temporary folder, with a vocabulary of 12,000 pieces and features
of random utterances. Then, through the product:

load and extend   gpt.pth to the trained part with rows for 8,000 new pieces (train_vocabulary's step zero)
one LoRA step     python -m stages.finetune with the preset's LoRA phase: a step, two validations, checkpoint, adapter
export            the trained part, the base's frozen encoders and the new vocabulary in upstream's layout

Resident memory is the whole process's, libraries included. Needs 20 GB of disk for some minutes.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.device import Machine
from benchmarks.lengths import draw_rows
from benchmarks.shapes import RELEASED_NEW_PIECES, released, released_settings
from stages.core.artifacts.files import read_json, write_json, write_jsonl
from stages.core.artifacts.text_settings import KEY, SUMMARY
from stages.core.errors import UserError
from stages.core.model.checkpoint import read_base_tensors
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import read_settings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.text.syllabary import AMHARIC_LETTERS
from stages.core.text.tokenizer import Tokenizer
from stages.core.training.features import INDEX_FILE, write_shard
from stages.export_model.contents import write_model
from stages.train_vocabulary.__main__ import make_step_zero
from stages.train_vocabulary.config import Config as VocabularyConfig
from stages.train_vocabulary.surgery import append_pieces

ROOT = Path(__file__).resolve().parents[1]
PRESET, SMALL_VOCABULARY = ROOT / "presets/indextts2.yaml", ROOT / "data/base/bpe.model"
BASE, VOCABULARY, CHECKPOINTS = Path("data/raw/indextts2"), Path("data/vocabulary"), Path("data/checkpoints")
CORPUS, FEATURES, EXPORT = Path("data/corpus"), Path("data/features"), Path("data/export")
ROWS = (("target", "train"), ("target", "train"), ("target", "train"), ("base", "train"), ("target", "validation"))
GOAL_GB, GOAL_SECONDS = 24, 600
MEASURED = {
    "load and extend": ["benchmarks.released_step", "extend"],
    "one LoRA step": ["stages.finetune", "--phase", "lora"],
    "export": ["benchmarks.released_step", "export"],
}


def measure(machine: Machine, places: str | None = None) -> dict[str, Any]:
    """Peak and seconds of each part; `places` is where the temporary folder goes."""
    with tempfile.TemporaryDirectory(dir=places) as folder:
        run_part(["benchmarks.released_step", "prepare"], folder)
        parts = {name: run_part(command, folder) for name, command in MEASURED.items()}
        sizes = {path.name: path.stat().st_size for path in (Path(folder, EXPORT) / "gpt.pth",)}
        trained = read_json(Path(folder, CHECKPOINTS, "lora", "summary.json"))
    said = parts["one LoRA step"].pop("said")
    estimate = re.search(r"estimated memory a process ([0-9.]+) GiB", said)
    return {
        "parts": {name: {key: value for key, value in part.items() if key != "said"} for name, part in parts.items()},
        "peak_gb": max(part["peak_gb"] for part in parts.values()),
        "seconds": round(sum(part["seconds"] for part in parts.values()), 1),
        "estimated_step_gb": round(float(estimate[1]) * 2**30 / 1e9, 2) if estimate else None,
        "trained": trained["parameters"], "precision": trained["precision"], "steps": trained["steps"],
        "export_gb": round(sizes["gpt.pth"] / 1e9, 2), "goal_gb": GOAL_GB, "goal_seconds": GOAL_SECONDS,
    }


def run_part(command: list[str], folder: str) -> dict[str, Any]:
    """Run a module in the folder; its peak resident memory and wall time.

    Raises:
        UserError: it failed; with the end of what it said.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", *command], cwd=folder, stdout=said,
                                   stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise UserError(f"{' '.join(command)}: exit {process.returncode}\n{text[-2000:]}")
    return {"peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2), "seconds": round(time.monotonic() - started, 1),
            "said": text}


def prepare() -> None:
    """Base, vocabulary, features and params, in the working folder."""
    for path in (BASE, VOCABULARY, CORPUS, FEATURES, CHECKPOINTS / "base", EXPORT):
        path.mkdir(parents=True)
    settings = released_settings()
    (BASE / "config.yaml").write_text(yaml.safe_dump(
        {"dataset": {"bpe_model": "bpe.model"}, "gpt": settings.model_dump(), "gpt_checkpoint": "gpt.pth"}))
    torch.save({**UnifiedVoice(settings).state_dict(), **Conditioner(settings).state_dict()}, BASE / "gpt.pth")
    small = Tokenizer(SMALL_VOCABULARY)
    latin = [f"Q{number}" for number in range(settings.number_text_tokens - len(small))]
    (BASE / "bpe.model").write_bytes(append_pieces(SMALL_VOCABULARY.read_bytes(), latin))
    letters = sorted(AMHARIC_LETTERS)
    pairs = [first + second for first in letters for second in letters]
    new = [*letters, *pairs][:RELEASED_NEW_PIECES]
    (VOCABULARY / "bpe.model").write_bytes(append_pieces((BASE / "bpe.model").read_bytes(), new))
    write_features()
    params = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
    params["base"]["path"] = str(BASE)
    params["phases"]["lora"]["epochs"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def write_features() -> None:
    """Random utterances, one of them of the base's languages (so of its pieces alone), one to validate on."""
    drawn = draw_rows(released(), len(ROWS), seed=0)
    pieces = {"target": released().settings.number_text_tokens, "base": released_settings().number_text_tokens}
    write_shard(FEATURES / "a.safetensors", [
        {"text": row.text.clamp(max=pieces[role] - 1), "codes": row.codes, "voice": row.conditioning,
         "emotion": row.conditioning[0]} for row, (role, _) in zip(drawn, ROWS, strict=True)])
    write_jsonl(FEATURES / INDEX_FILE, [
        {"id": row.utterance, "speaker": role, "language": role, "role": role, "split": split,
         "shard": "a.safetensors", "place": place, "prompt": row.utterance, "text_tokens": len(row.text),
         "code_tokens": len(row.codes)} for place, (row, (role, split)) in enumerate(zip(drawn, ROWS, strict=True))])
    for folder in (CORPUS, FEATURES):
        write_json(folder / SUMMARY, {"utterances": len(ROWS), KEY: "no text was read"})


def extend() -> None:
    """The base's trained part with rows for the new pieces."""
    config = VocabularyConfig(pieces=RELEASED_NEW_PIECES, character_coverage_min=0.5, initialisation="romanised")
    make_step_zero(BASE, read_settings(BASE), config, CHECKPOINTS / "base")


def export() -> None:
    """Upstream's layout, every key accounted for."""
    write_model(BASE, CHECKPOINTS / "lora", VOCABULARY, EXPORT, "link")
    read_base_tensors(EXPORT, read_settings(EXPORT), wanted=lambda name: False)


if __name__ == "__main__":
    {"prepare": prepare, "extend": extend, "export": export}[sys.argv[1]]()
