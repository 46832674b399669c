"""One process of several that train together: torchrun ... parallel_worker.py WORKPLACE OUTPUT PARALLELISM

Writes OUTPUT/<approach>/{gradients,weights,resumed}.safetensors: after one step, at the end, and at the end of a run
that was stopped half-way and continued.
"""

import sys
from pathlib import Path

from stages.core.errors import Interrupted
from stages.core.model.checkpoint import save_tensors
from stages.core.training.parallel import Processes, join_processes, whole
from stages.core.training.resume import ResumeStore
from stages.finetune.assemble import build_loop, build_task
from stages.finetune.result import take_weights
from stages.finetune.watch import ignore
from tests.tiny_job import make_job


def compute(workplace: Path, output: Path, parallelism: str, processes: Processes) -> None:
    """Gradients, weights and resumed weights of a full and of a LoRA phase."""
    for approach in ("full", "lora"):
        job = make_job(workplace, approach, machine={"parallelism": parallelism, "micro_batch_utterances": 3},
                       replay_share=0.2, replay_kl_weight=0.5)
        folder = output / approach
        task = build_task(job, processes)
        task.backward(next(iter(task.steps(0, 0))))
        gradients = {name: whole(value.grad) for name, value in task.parameters.items() if value.grad is not None}
        keep(folder, "gradients", gradients, processes)
        task = build_task(job, processes)
        build_loop(job, task, processes, ResumeStore(folder / "a")).run(ignore)
        keep(folder, "weights", take_weights(task), processes)
        stop_and_resume(job, folder, processes)


def stop_and_resume(job, folder: Path, processes: Processes) -> None:
    """Stop in the middle as by a signal to one of the processes, then go on in new objects."""
    task = build_task(job, processes)
    loop = build_loop(job, task, processes, ResumeStore(folder / "b"))

    def stop_at_three(figures, timings):
        if figures["step"] == 3 and processes.rank == processes.count - 1:
            loop.interruption.number = 15

    try:
        loop.run(stop_at_three)
        raise AssertionError("the run was not stopped")
    except Interrupted:
        pass
    task = build_task(job, processes)
    build_loop(job, task, processes, ResumeStore(folder / "b")).run(ignore)
    keep(folder, "resumed", take_weights(task), processes)


def keep(folder: Path, name: str, tensors, processes: Processes) -> None:
    if processes.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(folder / f"{name}.safetensors", tensors)


if __name__ == "__main__":
    with join_processes() as joined:
        compute(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], joined)
