"""Several engines in one tree, and a tree that changes while a stage runs: refusal or waiting, never a mixed result."""

import os
import signal
import time
from contextlib import suppress

import psutil
import pytest
from engine_project import GIT, EngineProject, set_polish_epochs
from zc.lockfile import LockFile

from tests.faults.kills import said, stages_of, start
from tests.faults.outputs import outputs
from tests.processes import wait_for

GUARDED = {"GUARDED": "1"}
DAY_SECONDS = 86_400


def began(project: EngineProject, stage: str) -> bool:
    """Whether a slow stand-in has read its inputs: it says so before it sleeps."""
    return (project.folder / f".pipeline/began-{stage}").exists()


def undisturbed_result(project: EngineProject, folder) -> dict[str, str]:
    """What a tree of these params and this code comes to that nothing disturbs."""
    fresh = project.copy(folder)
    fresh.run("git clean -qfdX -e !.venv")
    fresh.snakemake("--cores 2 all")
    return outputs(fresh.folder)


@pytest.mark.faults("git checkout of another commit while a stage runs",
                    "the stage's result does not count; the next run equals a fresh one of that commit")
def test_checkout_while_a_stage_runs_is_told_and_never_mixed(project, tmp_path, seen):
    project.run(f"{GIT} add .")
    for epochs in (7, 6):
        project.edit_params(set_polish_epochs(epochs))
        project.run(f"{GIT} commit -qam {epochs}-epochs")
    engine = start(project, "snakemake --cores 2 all", STAGE_SECONDS="3", SLOW_STAGE="finetune", **GUARDED)
    wait_for(lambda: began(project, "finetune@polish"))
    project.run("git checkout -q HEAD~1")
    assert engine.wait(60) != 0
    told = "params.yaml: changed while finetune@polish ran, so its outputs do not count; run again"
    assert told in said(project), said(project)
    assert "finetune@polish" in project.snakemake("--cores 2 all", **GUARDED)
    assert project.is_clean()
    assert outputs(project.folder) == undisturbed_result(project, tmp_path / "fresh")
    seen("the stage ends with one line that names params.yaml; run again, the bytes of a fresh run")


@pytest.mark.full
@pytest.mark.faults("code that a stage imports edited while it runs", "the stage's result does not count")
def test_code_edited_while_its_stage_runs_is_told(project):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "dvc repro finetune@polish", STAGE_SECONDS="3", SLOW_STAGE="finetune", **GUARDED)
    wait_for(lambda: began(project, "finetune@polish"))
    (project.folder / "stages/finetune/__main__.py").write_text("# edited\n")
    assert engine.wait(60) != 0
    assert "stages/finetune: changed while finetune@polish ran" in said(project)


@pytest.mark.full
@pytest.mark.faults("a comment in params.yaml, a section of other stages, a touched file, while a stage runs",
                    "the stage's result counts")
def test_what_changes_no_input_does_not_disturb_a_stage(project):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "dvc repro finetune@polish", STAGE_SECONDS="3", SLOW_STAGE="finetune", **GUARDED)
    wait_for(lambda: began(project, "finetune@polish"))
    project.edit_params(lambda params: params["report"].update(strength=2))
    with open(project.folder / "params.yaml", "a") as file:
        file.write("# a comment\n")
    (project.folder / "stages/finetune/__main__.py").touch()
    assert engine.wait(60) == 0, said(project)


@pytest.mark.faults("all engines killed, the stage alone lives on; run again at once",
                    "the new stage waits for the old one")
def test_a_stage_that_outlived_its_dvc_is_waited_for(project):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "dvc repro finetune@polish", STAGE_SECONDS="9", SLOW_STAGE="finetune", **GUARDED)
    wait_for(lambda: began(project, "finetune@polish"))
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    again = start(project, "dvc repro", **GUARDED)
    assert again.wait(90) == 0, said(project)
    assert "waiting for finetune@polish, which an earlier run left running" in said(project)
    spans = [line.split() for line in project.executions() if line.startswith("finetune@polish")][-2:]
    assert float(spans[0][2]) <= float(spans[1][1]), "both wrote at once"
    assert project.is_clean()


@pytest.mark.faults("all but the stage killed, and the edit taken back that it works on; run again at once",
                    "the stage is waited for, and its result is nobody's")
def test_a_stage_that_outlived_its_engines_does_not_overwrite_what_is_restored(project, finished_project):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "snakemake --cores 2 all", STAGE_SECONDS="9", SLOW_STAGE="finetune", **GUARDED)
    wait_for(lambda: began(project, "finetune@polish"))
    [(stage, _)] = stages_of(project)
    for process in {psutil.Process(engine.pid), *psutil.Process(engine.pid).children(recursive=True)} - {stage}:
        process.kill()
    engine.wait()
    project.edit_params(set_polish_epochs(3))
    told = project.run("snakemake --cores 2 all", **GUARDED)
    assert "waiting for a stage left running by an earlier run" in told, told
    assert [*stages_of(project)] == []
    assert project.is_clean() and outputs(project.folder) == outputs(finished_project.folder)


@pytest.mark.faults("snakemake killed while a DVC of it waits for DVC's lock; run again at once",
                    "what is left of the killed run is waited for; its result counts")
def test_a_dvc_that_outlived_its_snakemake_is_waited_for(project):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "snakemake --cores 2 all", STAGE_SECONDS="2", SLOW_STAGE="finetune")
    wait_for(lambda: began(project, "finetune@polish"))
    held = LockFile(str(project.folder / ".dvc/tmp/lock"))
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    again = start(project, "snakemake --cores 2 all")
    time.sleep(4)
    held.close()
    assert again.wait(90) == 0, said(project)
    assert project.is_clean() and project.snakemake("--cores 2 all") == []


@pytest.mark.faults("a section of an earlier stage edited in mid-run",
                    "what is made of the earlier stage does not start; the next run equals a fresh one")
def test_a_stage_does_not_start_above_one_that_is_stale_by_now(project, tmp_path):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "snakemake --cores 2 all", STAGE_SECONDS="3", SLOW_STAGE="finetune", **GUARDED)
    wait_for(lambda: began(project, "finetune@polish"))
    project.edit_params(lambda params: params["prepare_corpus"].update(strength=2))
    assert engine.wait(60) == 1
    assert "prepare_corpus: stale by now, so evaluate_speech@polish would mix old and new; run again" in said(project)
    assert "report" in project.snakemake("--cores 2 all", **GUARDED) and project.is_clean()
    assert outputs(project.folder) == undisturbed_result(project, tmp_path / "fresh")


@pytest.mark.faults("DVC's list of locks cut short in mid-run, as by a kill of another DVC", "the run ends well")
def test_a_list_of_locks_that_is_cut_short_in_mid_run_stops_nothing(project):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "snakemake --cores 2 all", STAGE_SECONDS="3", SLOW_STAGE="finetune")
    wait_for(lambda: began(project, "finetune@polish"))
    (project.folder / ".dvc/tmp/rwlock").write_text("")
    assert engine.wait(90) == 0, said(project)
    assert ".dvc/tmp/rwlock: left by a kill; dropped" in said(project) and project.is_clean()


@pytest.mark.full
@pytest.mark.faults("the clock set back by a day while a stage runs (all files made until then a day ahead)",
                    "the schedule ends; nothing is left to run, the same bytes")
def test_a_clock_set_back_in_mid_run_disturbs_nothing(fresh_project, finished_project):
    engine = start(fresh_project, "snakemake --cores 2 all", STAGE_SECONDS="3", SLOW_STAGE="train_vocabulary",
                   **GUARDED)
    wait_for(lambda: began(fresh_project, "train_vocabulary"))
    for path in fresh_project.folder.rglob("*"):
        with suppress(FileNotFoundError):
            os.utime(path, times=(time.time() + DAY_SECONDS,) * 2, follow_symlinks=False)
    assert engine.wait(120) == 0, said(fresh_project)
    assert fresh_project.snakemake("--cores 2 all") == fresh_project.dvc() == [] and fresh_project.is_clean()
    assert outputs(fresh_project.folder) == outputs(finished_project.folder)


@pytest.mark.full
@pytest.mark.faults("two snakemake started at the same moment", "one runs, the other is refused in plain words")
def test_two_engines_at_once_run_the_schedule_once(project, seen):
    project.edit_params(set_polish_epochs(6))
    before = len(project.executions())
    engines = [start(project, "snakemake --cores 2 all", STAGE_SECONDS="3", SLOW_STAGE="finetune") for _ in range(2)]
    statuses = sorted(engine.wait(120) for engine in engines)
    assert statuses == [0, 1], said(project)
    assert "another snakemake is running here" in said(project)
    assert len(project.executions()) - before == 4
    assert project.is_clean()
    seen("the second: 'another snakemake is running here', exit status 1")


@pytest.mark.full
@pytest.mark.faults("dvc repro of the stage that snakemake runs",
                    "one is refused in plain words; a further run is whole")
def test_dvc_beside_snakemake_is_refused_or_waits(project, tmp_path, seen):
    project.edit_params(set_polish_epochs(6))
    engine = start(project, "snakemake --cores 2 all", STAGE_SECONDS="4", SLOW_STAGE="finetune")
    wait_for(lambda: began(project, "finetune@polish"))
    other = start(project, "dvc repro")
    statuses = [engine.wait(120), other.wait(120)]
    assert statuses == [0, 255], said(project)
    assert "is busy, it is being blocked by" in said(project)
    assert project.snakemake("--cores 2 all") == [] and project.is_clean()
    assert outputs(project.folder) == undisturbed_result(project, tmp_path / "fresh")
    seen("DVC: 'is busy, it is being blocked by' and the process; Snakemake's run goes on unharmed")
