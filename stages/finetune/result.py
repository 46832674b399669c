"""The folder that a phase leaves."""

from pathlib import Path

import yaml
from torch import Tensor

from stages.core.artifacts.files import csv_text, write_json, write_text
from stages.core.artifacts.text_settings import KEY, read_with
from stages.core.model.checkpoint import WEIGHTS_FILE, save_tensors
from stages.core.training.lora import save_adapter
from stages.core.training.parallel import whole
from stages.core.training.state import LoopState
from stages.finetune.assemble import build_trainee
from stages.finetune.command_line import Job
from stages.finetune.task import FinetuneTask
from stages.finetune.watch import lineage_before, tokens_before


def take_weights(task: FinetuneTask) -> dict[str, Tensor]:
    """Every tensor of the trained model, whole; all processes must call this together."""
    return {name: whole(value).cpu() for name, value in task.trainee.model.state_dict().items()}


def write_phase(folder: Path, job: Job, task: FinetuneTask, state: LoopState, weights: dict[str, Tensor]) -> None:
    """Write adapter, merged weights, curves, settings and summary; the layout is the same for every parallelism."""
    trainee = build_trainee(job)
    trainee.model.load_state_dict(weights)
    if trainee.adapter:
        save_adapter(trainee.adapter, folder / "adapter")
    save_tensors(folder / WEIGHTS_FILE, trainee.merged())
    write_text(folder / "curves.csv", csv_text(state.curve))
    write_text(folder / "config.yaml", yaml.safe_dump(job.effective(), sort_keys=False))
    handed_on = state.best_step if job.config.hand_on == "best" else state.step
    write_json(folder / "summary.json", {
        "start_from": job.phase.start_from, "started_from": job.started_from,
        "lineage": [*lineage_before(job), job.name], "approach": job.phase.approach,
        "parameters": task.trainee.counts(),
        "steps": state.step, "epochs": state.step / task.steps_per_epoch, "tokens_seen": state.tokens_seen,
        "tokens_seen_by_schedule": tokens_before(job) + state.tokens_seen,
        "handed_on": {"weights": job.config.hand_on, "step": handed_on, "metric": job.config.selection_metric,
                      "best_step": state.best_step, "best_value": state.best_value},
        "skipped": state.skipped, "precision": str(task.dtype).removeprefix("torch."),
        "last": state.curve[-1] if state.curve else {}, KEY: read_with(job.train.parent),
    })
