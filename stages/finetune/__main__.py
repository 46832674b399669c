"""One phase of the schedule: LoRA or full fine-tuning from the phase before.

data/checkpoints/<start_from>, data/features, base -> data/checkpoints/<phase>/
    model.safetensors   merged weights of the trained part, the best or the last ones
    adapter/            the PEFT adapter, where the phase is LoRA
    curves.csv          figures by step and tokens seen
    config.yaml         the settings as they were used, flags included
    summary.json        trained parameters, steps, tokens, which weights were chosen, what was skipped
-> data/costs/<phase>.json: time, memory, machine, the git commit and DVC's hashes of what it was made from

A killed run continues from its last saved state in .resume/finetune@<phase>/; SIGTERM and SIGINT save one more.
Several processes: machine.processes, or torchrun.
"""

import sys

import yaml

from stages.core.artifacts.files import output_folder, write_json
from stages.core.params.command import run_command
from stages.core.training.launcher import is_launched, launch, tell_status
from stages.core.training.parallel import Processes, join_processes
from stages.core.training.resume import ResumeStore
from stages.finetune.assemble import build_loop, build_task, open_store
from stages.finetune.command_line import Job, parse_job
from stages.finetune.cost import CostMeter
from stages.finetune.result import take_weights, write_phase
from stages.finetune.watch import ignore, watch


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    job = parse_job(arguments, __doc__)
    if job.machine.processes > 1 and not is_launched():
        return launch(job.machine.processes, "stages.finetune", arguments)
    with join_processes() as processes:
        store = open_store(job, processes)
        if processes.is_main:
            print(yaml.safe_dump(job.effective(), sort_keys=False), flush=True)
            with store.lock():
                store.prune_siblings()
                lead(job, processes, store)
        else:
            task = build_task(job, processes)
            build_loop(job, task, processes, store).run(ignore)
            take_weights(task)
    return 0


def lead(job: Job, processes: Processes, store: ResumeStore) -> None:
    """The main process's part: train with the others, tell and record how it goes, write the phase's folder."""
    meter = CostMeter(processes, store)
    task = build_task(job, processes)
    loop = build_loop(job, task, processes, store)
    with watch(job, task, loop) as (run, report):
        with meter.running():
            state = loop.run(report)
        weights = take_weights(task)
        with output_folder(job.output) as folder:
            write_phase(folder, job, task, state, weights)
        if job.cost:
            job.cost.parent.mkdir(parents=True, exist_ok=True)
            write_json(job.cost, meter.told(job, state))
        run.log_artifact(job.output / "curves.csv")
        run.log_artifact(job.output / "config.yaml")


if __name__ == "__main__":
    sys.exit(tell_status(run_command(main)))
