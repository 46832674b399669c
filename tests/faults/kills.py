"""Kills in the midst of a schedule: a stage's process, DVC, Snakemake, or all of them."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
from engine_project import COMPARISON_RUNS, WHOLE_SCHEDULE, EngineProject

STAGE, DVC, SNAKEMAKE, ALL = VICTIMS = ("the stage", "dvc", "snakemake", "all of them")
SCHEDULE = tuple(stage.replace("@base", "_base") for stage in WHOLE_SCHEDULE)
STAND_IN_RATES = [f"compare_strategies_rates@{strategy}-rate-0.3" for strategy in ("hybrid", "lora")]
COMPARISON = ("compare_strategies_plan", *COMPARISON_RUNS, *STAND_IN_RATES, "compare_strategies_table")
SECONDS_MAX = 1500
RECORDING_SECONDS = 0.5  # what DVC takes to hash the stand-ins' outputs and to write dvc.lock


@dataclass(frozen=True)
class Kill:
    """Whom to kill, in the run of which stage, and when.

    Attributes:
        share: of the seconds that the stage takes undisturbed; where it is `late`, of those that DVC takes after it.
        late: once the stage has ended, while DVC hashes and records what it wrote.
    """

    stage: str
    victim: str
    share: float
    late: bool = False


def plan_kills(seed: int, each: int, stages: Sequence[str] = SCHEDULE) -> list[Kill]:
    """Draw so many kills of every stage, the victims taking turns; a stage that goes on where it was has less to do."""
    random = Random(seed)
    turns = [*VICTIMS] * each * len(stages)
    turn = len(VICTIMS)
    return [Kill(stage, turns[position * each + number + position // turn], random.random() * 0.7 / (number + 1))
            for position, stage in enumerate(stages) for number in range(each)]


def plan_late_kills(seed: int) -> list[Kill]:
    """Draw a kill of every stage's DVC, alone and with all others in turns, while it records the stage."""
    random = Random(seed)
    return [Kill(stage, (DVC, ALL)[position % 2], random.random(), late=True)
            for position, stage in enumerate(SCHEDULE)]


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


def strike(engine: subprocess.Popen, stage: psutil.Process, kill: Kill, seconds: float) -> str | None:
    """Wait for the moment and kill; tell who it was: the stage itself where no DVC is its parent, None where all had
    ended.
    """
    try:
        leader, parent, victim = psutil.Process(engine.pid), stage.parent(), kill.victim
        with suppress(psutil.TimeoutExpired):
            stage.wait(SECONDS_MAX if kill.late else kill.share * seconds)
        if kill.late:
            time.sleep(kill.share * RECORDING_SECONDS)
            if not is_dvc(parent):
                return None
        elif not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE:
            return None
        elif victim == DVC and not is_dvc(parent):
            victim = STAGE
        doomed = {STAGE: [stage], DVC: [parent], SNAKEMAKE: [leader],
                  ALL: [leader, *leader.children(recursive=True), stage]}[victim]
    except psutil.NoSuchProcess:
        return None
    for process in doomed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return victim


def run_through(project: EngineProject, kills: list[Kill], seconds_of: dict[str, float], target: str = "all",
                **environment: str) -> list[str]:
    """Run `snakemake --cores 2 all` again and again, killed once for each of the kills; who was struck.

    A stage that a kill has failed is left aside by Snakemake, which goes on with the others: so may the kills.
    """
    command = f"snakemake --cores 2 {target}"
    engines, undisturbed = [start(project, command, **environment)], True
    struck, waiting, deadline = [], list(kills), time.monotonic() + SECONDS_MAX
    while waiting:
        assert time.monotonic() < deadline, said(project)[-3000:]
        stage, kill = next_to_kill(project, waiting)
        if stage:
            waiting.remove(kill)
            struck.append(strike(engines[-1], stage, kill, seconds_of[kill.stage]))
            undisturbed = undisturbed and not struck[-1]
        elif engines[-1].poll() == 0:
            break
        elif engines[-1].poll() is not None:
            assert not undisturbed, f"a run in which nothing was killed failed: {said(project)[-3000:]}"
            engines.append(start(project, command, **environment))
            undisturbed = True
        time.sleep(0.02)
    engines[-1].wait(SECONDS_MAX)
    last = start(project, command, **environment)
    assert last.wait(SECONDS_MAX) == 0, said(project)[-3000:]
    for engine in engines:
        engine.wait(SECONDS_MAX)
    return [victim for victim in struck if victim]


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
                    yield process, process.environ().get("DVC_STAGE", "").rpartition(":")[2]
