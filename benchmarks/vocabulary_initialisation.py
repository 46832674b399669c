"""What the start of the new pieces' rows is worth: loss at step 0, and steps to given losses, against random rows.

The schedule's first phase, one epoch of it, from the base with its new rows set in each of three ways; validation every
VALIDATE_STEPS steps on the corpus of the last `make run`. `random` draws rows with the base rows' own spread.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.device import Machine
from stages.core.model.checkpoint import WEIGHTS_FILE, read_trained_tensors, save_tensors
from stages.core.model.settings import read_settings
from stages.core.params.strict import read_params
from stages.core.text.tokenizer import Tokenizer
from stages.core.training.features import INDEX_FILE
from stages.core.training.parallel import Processes
from stages.core.training.resume import ResumeStore
from stages.finetune.assemble import build_loop, build_task
from stages.finetune.command_line import parse_job
from stages.finetune.watch import ignore
from stages.train_vocabulary.surgery import TEXT_TABLES, extend_tables

WAYS = ("romanised", "mean", "random")
VALIDATE_STEPS, SEED = 5, 1
REACHED_NATS = (4.0, 3.5, 3.0)
FEATURES, VOCABULARY = Path("data/features"), Path("data/vocabulary/bpe.model")


def measure(machine: Machine, ways: tuple[str, ...] = WAYS) -> dict[str, Any]:
    """Validation curves of each way, and what they say; none before `make run`."""
    if not (FEATURES / INDEX_FILE).is_file() or not VOCABULARY.is_file():
        return {"phase": None, "ways": []}
    params = read_params()
    phase = next(name for name, value in params["phases"].items() if value["start_from"] == "base")
    return {"phase": phase, "validate_every_steps": VALIDATE_STEPS,
            "ways": [{"way": way, **summarise(curve_of(way, phase, Path(params["base"]["path"])))} for way in ways]}


def curve_of(way: str, phase: str, base: Path) -> list[tuple[int, float]]:
    """(step, validation code cross-entropy) over one epoch."""
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(Path(folder) / WEIGHTS_FILE, start_tensors(way, base))
        job = parse_job(["--phase", phase, "--model_path", folder, "--epochs", "1"], None)
        changes = {"validate_every_steps": VALIDATE_STEPS, "hand_on": "last"}
        job = replace(job, config=job.config.model_copy(update=changes))
        processes = Processes(0, 1, torch.device("cpu"))
        state = build_loop(job, build_task(job, processes), processes, ResumeStore(Path(folder) / "state")).run(ignore)
    return [(int(point["step"]), point["validation_code_cross_entropy"]) for point in state.curve
            if "validation_code_cross_entropy" in point]


def start_tensors(way: str, base: Path) -> dict[str, Tensor]:
    """The base's trained part with new rows set in a way."""
    settings = read_settings(base)
    old, new = Tokenizer(base / settings.dataset.bpe_model), Tokenizer(VOCABULARY)
    pieces = [new.processor.id_to_piece(index) for index in range(len(old), len(new))]
    tensors = extend_tables(read_trained_tensors(base, settings), pieces, old.processor, way)
    if way == "random":
        generator = torch.Generator().manual_seed(SEED)
        for name in TEXT_TABLES:
            known, fresh = tensors[name][: len(old)], tensors[name][len(old) : len(new)]
            fresh.copy_(torch.randn(fresh.shape, generator=generator) * known.std(dim=0) + known.mean(dim=0))
    return tensors


def summarise(curve: list[tuple[int, float]]) -> dict[str, Any]:
    """Loss at step 0 and at the end, and the first validated step at or below each of REACHED_NATS."""
    reached = {f"{nats:g}": next((step for step, value in curve if value <= nats), None) for nats in REACHED_NATS}
    return {"step_0_nats": round(curve[0][1], 3), "last_nats": round(curve[-1][1], 3), "steps": curve[-1][0],
            "steps_to_nats": reached}
