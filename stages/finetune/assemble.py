"""A job to what trains it: model, rows, task, loop."""

from collections.abc import Callable, Sequence

import torch

from stages.core.artifacts.code import code_hash
from stages.core.artifacts.text_settings import require_same_text
from stages.core.errors import UserError
from stages.core.model.checkpoint import WEIGHTS_FILE, load_base, load_phase
from stages.core.model.settings import read_settings
from stages.core.text.tokenizer import Tokenizer
from stages.core.training.features import FeatureSet, Utterance
from stages.core.training.loop import Loop, LoopSettings
from stages.core.training.machine import adapt_model, choose_precision
from stages.core.training.optimiser import build_optimiser
from stages.core.training.parallel import Processes
from stages.core.training.resume import ResumeStore, fingerprint
from stages.core.training.state import LoopState
from stages.finetune.command_line import Job
from stages.finetune.config import HIGHER_IS_BETTER
from stages.finetune.task import FinetuneTask
from stages.finetune.trainee import Trainee, prepare_model


def open_store(job: Job, processes: Processes) -> ResumeStore:
    """Where this very run keeps its state: another setting of the phase, input or code is another folder.

    The section `machine` is no part of it, so that a run may go on with other processes or micro-batches; nor is where
    the start lies: the same weights through a gate are the same start.
    """
    inputs = [job.start / WEIGHTS_FILE, job.train.parent, job.validation.parent, job.base / "config.yaml"]
    key, read = None, list(dict.fromkeys(inputs)) if processes.is_main else []
    if processes.is_main:
        names = [job.train.name, job.validation.name]
        phase = job.phase.model_dump(exclude={"start_from"})
        settings = [phase, job.config.model_dump(), *names, job.tokens_max, code_hash("stages.finetune.__main__")]
        key = fingerprint(settings, read)
    folder = job.resume / f"finetune@{job.name}" / processes.from_main(key)
    return ResumeStore(folder, job.machine.keep_states, read)


def build_trainee(job: Job) -> Trainee:
    """The model that the job starts from, with what the phase trains made trainable.

    Raises:
        UserError: the vocabulary does not fit the model.
    """
    settings = read_settings(job.base).gpt
    model = load_phase(job.start, settings, job.phase.dropout)
    pieces = model.settings.number_text_tokens
    if job.vocabulary and (found := len(Tokenizer(job.vocabulary))) != pieces:
        raise UserError(f"{job.vocabulary}: has {found} pieces, {job.start / WEIGHTS_FILE} has rows for {pieces}")
    torch.manual_seed(job.config.seed)
    return prepare_model(model, job.phase, settings.number_text_tokens)


def build_task(job: Job, processes: Processes) -> FinetuneTask:
    """Model and rows on this process's device.

    Raises:
        UserError: nothing to train on, no base-language rows to replay, nothing to choose the best weights by, or text
            that was read otherwise than what the start learned.
    """
    require_same_text(job.start, *{job.train.parent, job.validation.parent})
    trainee = build_trainee(job)
    adapt_model(trainee.model, job.machine)
    trainee.model.to(processes.device)
    teacher = None
    if job.phase.replay_kl_weight > 0:
        teacher = load_base(job.base).to(processes.device).eval().requires_grad_(False)
    dtype = processes.from_main(choose_precision(job.machine.precision, processes.device))
    return FinetuneTask(trainee, training_rows(job), validation_rows(job), teacher, job.phase, job.config, job.machine,
                        processes, dtype)


def training_rows(job: Job) -> FeatureSet:
    """Target rows of the training split, and base-language ones where the phase replays."""
    roles = {"target", "base"} if job.phase.replay_share else {"target"}
    rows = FeatureSet(job.train.parent, lambda row: row.split == "train" and row.role in roles, job.train.name)
    if missing := roles - {row.role for row in rows.utterances}:
        hint = "" if "target" in missing else (f"; phases.{job.name}.replay_share is {job.phase.replay_share}: give a "
                                               "source of role base the split train, or set the share to 0")
        raise UserError(f"{job.train}: no training utterance of role {' and '.join(sorted(missing))}{hint}")
    return rows


def validation_rows(job: Job) -> dict[str, FeatureSet]:
    """Held-out rows of each role, evenly thinned to the params' most.

    Raises:
        UserError: the best weights are wanted and no row decides them.
    """
    sets = {}
    for role in ("target", "base"):
        rows = FeatureSet(job.validation.parent, _held_out(role), job.validation.name)
        rows.utterances = thin(rows.utterances, job.config.validation_utterances_max)
        sets[role] = rows
    judged = sets["base" if "base" in job.config.selection_metric else "target"]
    if len(judged) == 0 and (job.config.hand_on == "best" or job.config.patience_validations):
        raise UserError(f"{job.validation}: no validation utterance for finetune.selection_metric "
                        f"{job.config.selection_metric}; hold some out, or set hand_on: last, patience_validations: 0")
    return sets


def _held_out(role: str) -> Callable[[Utterance], bool]:
    return lambda row: row.split == "validation" and row.role == role


def thin(rows: Sequence[Utterance], most: int) -> list[Utterance]:
    """At most `most` rows, evenly spread, ordered by length so that batches hold similar ones."""
    step = max(1.0, len(rows) / most)
    chosen = [rows[int(place * step)] for place in range(min(most, len(rows)))]
    return sorted(chosen, key=lambda row: row.text_tokens + row.code_tokens)


def build_loop(job: Job, task: FinetuneTask, processes: Processes, store: ResumeStore) -> Loop:
    """Tie the task to the training loop."""
    phase, config, machine = job.phase, job.config, job.machine
    settings = LoopSettings(
        epochs=phase.epochs, learning_rate=phase.learning_rate, warmup_steps=phase.warmup_steps,
        clip_norm=phase.clip_norm, gradient_norm_max=config.gradient_norm_max,
        skipped_steps_max=config.skipped_steps_max, log_every_steps=config.log_every_steps,
        validate_every_steps=config.validate_every_steps, metric=config.selection_metric,
        lower_is_better=config.selection_metric not in HIGHER_IS_BETTER,
        patience_validations=config.patience_validations, hand_on=config.hand_on,
        save_every_seconds=machine.save_every_seconds, save_every_steps=machine.save_every_steps, seed=config.seed,
        steps_max=task.plan.steps_to(job.tokens_max, phase.epochs) if job.tokens_max else None,
    )
    return Loop(settings, task, build_optimiser(task.parameters, phase.weight_decay), store, processes, LoopState())
