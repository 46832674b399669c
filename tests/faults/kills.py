"""Kills in the midst of a schedule: a stage's process, DVC, Snakemake, or all of them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
from engine_project import EngineProject

TRAINER, DVC, SNAKEMAKE, ALL = VICTIMS = ("the stage", "dvc", "snakemake", "all of them")
IN_ORDER = ("prepare_corpus", "train_vocabulary", "extract_features", "finetune@lora", "finetune@full",
            "evaluate_speech_base", "evaluate_speech@lora", "evaluate_speech@full", "finetune@polish",
            "evaluate_speech@polish", "export_model", "report")
SECONDS_MAX = 1500


@dataclass(frozen=True)
class Kill:
    """Whom to kill, in the run of which stage, and when: a share of the seconds that the stage takes undisturbed."""

    stage: str
    victim: str
    share: float


def plan_kills(seed: int, each: int) -> list[Kill]:
    """Draw so many kills of every stage, the victims taking turns; a stage that goes on where it was has less to do."""
    random = Random(seed)
    turns = [*VICTIMS] * each * len(IN_ORDER)
    turn = len(VICTIMS)
    return [Kill(stage, turns[position * each + number + position // turn], random.random() * 0.7 / (number + 1))
            for position, stage in enumerate(IN_ORDER) for number in range(each)]


def start(project: EngineProject, command: str, **environment: str) -> subprocess.Popen:
    """Start a command whose output goes to a file, so that what outlives it can go on writing."""
    with open(project.folder.parent / f"{project.folder.name}.log", "a") as log:
        return subprocess.Popen(command.split(), cwd=project.folder, env=project.environment(**environment),
                                stdout=log, stderr=log, start_new_session=True)


def said(project: EngineProject) -> str:
    """What the commands of `start` wrote."""
    return (project.folder.parent / f"{project.folder.name}.log").read_text()


def is_dvc(process: psutil.Process | None) -> bool:
    """Tell whether a process is a command of DVC: the parent of an orphan is the system's own."""
    return process is not None and any(Path(word).name == "dvc" for word in process.cmdline()[:2])


def strike(engine: subprocess.Popen, stage: psutil.Process, victim: str) -> bool:
    """Kill; tell whether there was somebody to kill."""
    try:
        leader, parent = psutil.Process(engine.pid), stage.parent()
        doomed = {TRAINER: [stage], DVC: [parent if is_dvc(parent) else stage], SNAKEMAKE: [leader],
                  ALL: [leader, *leader.children(recursive=True), stage]}[victim]
    except psutil.NoSuchProcess:
        return False
    for process in doomed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(doomed)


def run_through(project: EngineProject, kills: list[Kill], seconds_of: dict[str, float], **environment: str) -> int:
    """Run `snakemake --cores 2 all` again and again, killed once for each of the kills; how many struck.

    A stage that a kill has failed is left aside by Snakemake, which goes on with the others: so may the kills.
    """
    command = "snakemake --cores 2 all"
    engines = [start(project, command, **environment)]
    struck, waiting, deadline = 0, list(kills), time.monotonic() + SECONDS_MAX
    while waiting:
        assert time.monotonic() < deadline, said(project)[-3000:]
        stage, kill = next_to_kill(project, waiting)
        if stage:
            waiting.remove(kill)
            with suppress(psutil.TimeoutExpired):
                stage.wait(timeout=kill.share * seconds_of[kill.stage])
            struck += strike(engines[-1], stage, kill.victim)
        elif engines[-1].poll() == 0:
            break
        elif engines[-1].poll() is not None:
            engines.append(start(project, command, **environment))
        time.sleep(0.02)
    engines[-1].wait(SECONDS_MAX)
    last = start(project, command, **environment)
    assert last.wait(SECONDS_MAX) == 0, said(project)[-3000:]
    for engine in engines:
        engine.wait(SECONDS_MAX)
    return struck


def lifetimes(project: EngineProject) -> dict[str, float]:
    """Run the schedule undisturbed; how many seconds the process of each stage lived."""
    engine = start(project, "snakemake --cores 2 all")
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    while engine.poll() is None:
        for _, stage in stages_of(project):
            last[stage] = time.monotonic()
            first.setdefault(stage, last[stage])
        time.sleep(0.1)
    assert engine.returncode == 0, said(project)[-3000:]
    return {stage: last[stage] - began for stage, began in first.items()}


def next_to_kill(project: EngineProject, waiting: list[Kill]) -> tuple[psutil.Process | None, Kill]:
    """Find a process of a stage that is still to be killed."""
    for process, stage in stages_of(project):
        for kill in waiting:
            if kill.stage == stage:
                return process, kill
    return None, waiting[0]


def stages_of(project: EngineProject) -> Iterator[tuple[psutil.Process, str]]:
    """Give every process of a stage that runs in a project, and the stage's name."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[1:3] == ["-m", "stages"]:
            with suppress(psutil.Error):
                if Path(process.cwd()) == project.folder and process.status() != psutil.STATUS_ZOMBIE:
                    yield process, process.environ().get("DVC_STAGE", "")
