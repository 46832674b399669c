"""How a run is told and recorded: a progress line and an MLflow point for every row of the curve."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stages.core.artifacts.files import read_json
from stages.core.tracking.mlflow_runs import StageRun, stage_run
from stages.core.training.flops import peak_flops, work_of
from stages.core.training.loop import Loop
from stages.core.training.memory import peak_memory_gib
from stages.core.training.progress import print_progress
from stages.finetune.command_line import Job
from stages.finetune.memory_need import rows_a_pass, taught_share, widest_pass
from stages.finetune.task import FinetuneTask

Figures = dict[str, float]


def ignore(figures: Figures, timings: Figures) -> None:
    """What processes other than the main one do with a point."""


@contextmanager
def watch(job: Job, task: FinetuneTask, loop: Loop) -> Iterator[tuple[StageRun, Callable[[Figures, Figures], None]]]:
    """The MLflow run of this execution, and the function that takes the points of the curve."""
    saved = loop.store.peek()
    resumed_at = saved["step"] if saved else -1
    announce(job, task, resumed_at)
    before = tokens_before(job)
    flops, peak = flops_per_token(task), peak_flops(task.processes.device)

    with stage_run(f"finetune@{job.name}", job.effective(), saved["run_id"] if saved else None,
                   params_file=job.params_file) as run:
        loop.state.run_id = run.id
        run.set_tag("started_from", job.started_from)

        def report(figures: Figures, timings: Figures) -> None:
            if timings:
                timings = {**timings, "memory_gib": peak_memory_gib(task.processes.device)}
            if timings and peak:
                timings["mfu"] = flops * timings["tokens_per_second"] / task.processes.count / peak
            if figures["step"] > resumed_at:
                print_progress(figures, timings, task.steps_per_epoch, loop.total_steps)
            run.log_metrics({**figures, **timings}, step=before + int(figures["tokens_seen"]))

        yield run, report


def announce(job: Job, task: FinetuneTask, resumed_at: int) -> None:
    """What is trained, on what, with what, and what memory it will need."""
    counts = task.trainee.counts()
    rows = rows_a_pass(job.phase, job.machine, task.processes.count)
    widest = widest_pass(task.trainee.model.settings, rows, task.train.utterances, taught_share(job.phase))
    name = f"finetune@{job.name}"
    print(f"{name}: {counts['trained']:,} of {counts['total']:,} parameters trained "
          f"({counts['trained_percent']:.2f} %), {len(task.train)} utterances, "
          f"{task.processes.count} process(es) on {task.processes.device}, {task.dtype}")
    if job.phase.start_from != job.started_from and job.start.name == job.phase.start_from:
        print(f"{name}: {job.phase.start_from} holds {job.started_from}")
    print(f"{name}: estimated memory a process {task.estimate(widest)}", flush=True)
    if resumed_at >= 0:
        print(f"{name}: continues at step {resumed_at}", flush=True)


def tokens_before(job: Job) -> int:
    """Tokens that the start's weights have seen since the base; 0 where the start does not tell."""
    return int(told_by_start(job).get("tokens_seen_by_schedule", 0))


def lineage_before(job: Job) -> list[str]:
    """Phases that the start's weights went through, the first one first."""
    return list(told_by_start(job).get("lineage", []))


def told_by_start(job: Job) -> dict[str, Any]:
    """The start's summary, empty where it has none."""
    summary = job.start / "summary.json"
    return dict(read_json(summary)) if summary.is_file() else {}


def flops_per_token(task: FinetuneTask) -> float:
    """FLOPs a supervised token, averaged over the training rows."""
    rows = [(row.text_tokens, row.code_tokens) for row in task.train.utterances]
    tokens, flops = work_of(task.trainee.model.settings, rows, task.trainee.adapter is None)
    return flops / tokens
