"""One run: its phases by the trainer, its last checkpoint by the evaluation, each as a command of its own.

data/comparison/plan, data/checkpoints/base, data/features, data/corpus, base -> data/comparison/runs/<run>/
    metrics.json    tokens, cost and figures of its phases, and the evaluation's
    curves.csv      figures over the tokens of the run

.resume/compare_strategies/<run>/<hash of all that the result depends on>/
    work/           checkpoints and saved states, until the run is finished
    result/         the two files above: a finished run that is started again ends at once
    run_id.txt      of MLflow, in which a run that is started again goes on

Other params or inputs forget what earlier ones left there.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from stages.compare_strategies.runs import PLAN, RUNS, Run, planned_runs, read_run
from stages.core.artifacts.code import code_hash
from stages.core.artifacts.files import csv_text, output_folder, read_csv, read_json, write_json, write_text
from stages.core.errors import Diverged, Interrupted, UserError
from stages.core.params.command import run_command, stage_parser
from stages.core.params.strict import PARAMS_FILE, read_params
from stages.core.tracking.mlflow_runs import StageRun, stage_run
from stages.core.tracking.mlflow_store import COMPARISON, UNRECORDED
from stages.core.training.features import INDEX_FILE
from stages.core.training.launcher import passing_signals, start
from stages.core.training.resume import fingerprint

START, FEATURES = Path("data/checkpoints/base"), Path("data/features")
CORPUS, VOCABULARY = Path("data/corpus"), Path("data/vocabulary")
RESUME = Path(".resume/compare_strategies")
ERROR = "error: "
FINETUNE, EVALUATE = "stages.finetune", "stages.evaluate_speech"
CODE = ("stages.compare_strategies.run", f"{FINETUNE}.__main__", f"{EVALUATE}.__main__")
COSTS = ("tokens_per_second", "peak_memory_gib", "training_memory_gib", "training_seconds", "trained_parameters")
NO_CURVE = ("phase", "tokens_seen")  # columns of a run that diverged before its first phase ended
LARGEST = ("trained", "total", "peak_memory_gib", "training_memory_gib")


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        metrics: content of its metrics.json.
        curve: points of all phases, tokens counted from the start of the run.
    """

    metrics: dict[str, Any]
    curve: list[dict[str, str]]


def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("compare_strategies.run", __doc__)
    parser.add_argument("name", help="a run of the plan, such as full-small-1")
    run, content = read_run(parser.parse_args(argv).name)
    print(f"{run.name}: {' > '.join(run.ends)}, {run.tokens:,} tokens of the {run.corpus} corpus, seed {run.seed}, "
          f"learning rates x {run.rate_factor:g}", flush=True)
    place = open_place(run, content)
    result, run_id = place / "result", place / "run_id.txt"
    goes_on = run_id.read_text(encoding="ascii") if run_id.is_file() else None
    settings = {"run": asdict(run), "phases": content["phases"]}
    with stage_run(run.name, settings, goes_on, parent_kind=COMPARISON) as tracked:
        write_text(run_id, tracked.id)
        if not result.is_dir():
            finish(run, content, place / "work", result)
        shutil.rmtree(place / "work", ignore_errors=True)
        with output_folder(RUNS / run.name) as folder:
            shutil.copytree(result, folder, dirs_exist_ok=True)
        metrics = read_json(result / "metrics.json")
        record(tracked, run, metrics, read_csv(result / "curves.csv"))
    print(tell_progress(run, metrics), flush=True)
    return 0


def open_place(run: Run, content: dict[str, Any]) -> Path:
    """The folder of the run's own state; what other params or inputs left is forgotten."""
    inputs = [Path(content["base"]["path"]), START, FEATURES, CORPUS, VOCABULARY, PLAN / run.corpus]
    place = RESUME / run.name / fingerprint([asdict(run), content, *map(code_hash, CODE)], inputs)
    place.mkdir(parents=True, exist_ok=True)
    for other in place.parent.iterdir():
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    return place


def finish(run: Run, content: dict[str, Any], work: Path, result: Path) -> None:
    """Carry the run out, and write its result."""
    outcome = carry_out(run, content, work)
    with output_folder(result) as folder:
        write_json(folder / "metrics.json", outcome.metrics)
        write_text(folder / "curves.csv", csv_text(outcome.curve, () if outcome.curve else NO_CURVE))


def carry_out(run: Run, content: dict[str, Any], work: Path) -> Outcome:
    """Train and evaluate in a folder; phases that an earlier, killed attempt finished cost seconds.

    Raises:
        UserError: a command failed.
        Interrupted: a signal asked to stop; the trainer has saved its state.
    """
    work.mkdir(parents=True, exist_ok=True)
    params = work / PARAMS_FILE
    here = {"machine": read_params(PARAMS_FILE)["machine"], "tracking": {"uri": UNRECORDED, "experiment": run.strategy}}
    write_text(params, yaml.safe_dump({**content, **here}, sort_keys=False, allow_unicode=True))
    phases: list[dict[str, Any]] = []
    curve: list[dict[str, str]] = []
    began, seen, start, failed = time.monotonic(), 0, START, None
    try:
        for name, end in run.ends.items():
            phases.append(train_phase(run, name, start, max(1, end - seen), work))
            start = work / "checkpoints" / name
            curve += read_curve(start / "curves.csv", name, seen)
            seen += phases[-1]["tokens_seen"]
        last = next(reversed(run.ends))
        start_command(run, EVALUATE, "--phase", last, "--config", params, "--model_path", start,
                      "--output", work / "evaluation")
    except Diverged as error:
        failed = str(error)
    metrics = {
        "run": asdict(run), "diverged": failed, "date": datetime.now(UTC).date().isoformat(),
        **summarise(phases), "run_seconds": round(time.monotonic() - began, 1), "phases": phases,
        "evaluation": {} if failed else read_json(work / "evaluation/metrics.json"),
    }
    return Outcome(metrics, curve)


def train_phase(run: Run, name: str, start: Path, tokens: int, work: Path) -> dict[str, Any]:
    """Train one phase for so many tokens, by the params of the run's folder; its size, length and cost."""
    output, cost = work / "checkpoints" / name, work / "costs" / f"{name}.json"
    cost.parent.mkdir(exist_ok=True)
    start_command(
        run, FINETUNE, "--phase", name, "--config", work / PARAMS_FILE, "--model_path", start, "--tokens_max", tokens,
        "--train_manifest", PLAN / run.corpus / INDEX_FILE, "--val_manifest", FEATURES / INDEX_FILE,
        "--output", output, "--resume", work / "states", "--cost", cost,
    )
    summary = read_json(output / "summary.json")
    told = {key: summary[key] for key in ("approach", "steps", "epochs", "tokens_seen", "handed_on")}
    return {"name": name, **told, **summary["parameters"], **read_json(cost)}


def summarise(phases: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of the run from those of its phases; a phase that was resumed has no time of its own."""
    whole = bool(phases) and not any(phase["resumed"] for phase in phases)
    tokens, seconds = (sum(phase[key] for phase in phases) for key in ("tokens", "seconds"))
    largest = {key: max((phase[key] for phase in phases), default=None) for key in LARGEST}
    return {
        "trained_parameters": largest["trained"], "parameters": largest["total"],
        "tokens_seen": sum(phase["tokens_seen"] for phase in phases),
        "training_seconds": round(seconds, 1) if whole else None,
        "tokens_per_second": round(tokens / seconds, 1) if tokens else None,
        "peak_memory_gib": largest["peak_memory_gib"], "training_memory_gib": largest["training_memory_gib"],
        "device": phases[0]["device"] if phases else None, "threads": phases[0]["threads"] if phases else None,
    }


def start_command(run: Run, module: str, *arguments: Any) -> None:
    """Run a module to its end; what it says is shown with the run's name before it.

    Raises:
        Diverged, UserError: it ended by its own error, told in its last line or, where a launcher adds its own, before.
        Interrupted: a signal ended it.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    said = ""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with start(command, {"PYTHONUNBUFFERED": "1"}, **streams) as child, passing_signals(child) as met:
        assert child.stdout
        for line in child.stdout:
            if text := line.rstrip():
                said = said if said.startswith(ERROR) and not text.startswith(ERROR) else text
                print(f"{run.name:<28}{text}", flush=True)
        status = child.wait()
    if met and not status:
        raise Interrupted(met[0])
    if status < 0 or status > 128:
        raise Interrupted(-status if status < 0 else status - 128)
    if status:
        kind = Diverged if status == Diverged.status else UserError
        raise kind(f"{run.name}: {module}: {said.removeprefix('error: ')}")


def read_curve(path: Path, phase: str, tokens_before: int) -> list[dict[str, str]]:
    """Points of a phase, its tokens counted on from those before it."""
    return [{"phase": phase, **point, "tokens_seen": str(tokens_before + int(float(point["tokens_seen"])))}
            for point in read_csv(path)]


def record(tracked: StageRun, run: Run, metrics: dict[str, Any], curve: list[dict[str, str]]) -> None:
    """Put the result into the run of MLflow.

    The evaluation's figures keep their names; a figure of the curve that bears one of these is told as `training_...`.
    """
    final = {name: value.get("mean") if isinstance(value, dict) else value
             for name, value in (metrics["evaluation"] | {name: metrics[name] for name in COSTS}).items()}
    for key in ("strategy", "corpus", "seed", "rate_factor"):
        tracked.set_tag(key, str(getattr(run, key)))
    for point in curve:
        figures = {f"training_{name}" if name in final else name: float(value) for name, value in point.items()
                   if value and name not in ("phase", "step", "tokens_seen")}
        tracked.log_metrics(figures, step=int(point["tokens_seen"]))
    tracked.log_metrics({name: value for name, value in final.items() if value is not None}, step=0)
    tracked.log_artifact(RUNS / run.name)


def tell_progress(run: Run, metrics: dict[str, Any]) -> str:
    """How many runs are done, and how long the rest takes at the mean pace of those."""
    others, seconds = {*planned_runs()} - {run.name}, [metrics["run_seconds"]]
    for name in others:
        with suppress(UserError):  # not there yet, or going: another DVC makes it anew
            seconds.append(read_json(RUNS / name / "metrics.json")["run_seconds"])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = max(1, cores // int(os.environ.get("OMP_NUM_THREADS") or cores))
    planned = len(others) + 1
    minutes = (planned - len(seconds)) * sum(seconds) / len(seconds) / at_once / 60
    return (f"{run.name}: {'diverged' if metrics['diverged'] else 'done'} in {metrics['run_seconds']:.0f} s; "
            f"{len(seconds)} of {planned} runs are there, ETA {minutes:.0f} min")


if __name__ == "__main__":
    sys.exit(run_command(main))
