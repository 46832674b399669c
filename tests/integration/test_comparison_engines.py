"""The comparison of strategies through Snakemake and DVC, with stages that take milliseconds."""

import os
import signal
import time

import pytest
from engine_project import COMPARISON_RUNS as RUNS
from engine_project import EngineProject

from tests.processes import wait_for

RATES = [f"compare_strategies@{strategy}-rate-0.3" for strategy in ("hybrid", "lora")]
WHOLE = sorted([*RUNS, *RATES, "compare_strategies_plan", "compare_strategies_table"])
COMPARE = "--cores 8 compare"


@pytest.fixture(scope="module")
def compared(finished_project, tmp_path_factory):
    """A schedule that ran, and then its comparison."""
    project = finished_project.copy(tmp_path_factory.mktemp("compared") / "project")
    project.first_comparison = project.snakemake(COMPARE)
    return project


@pytest.fixture
def project(compared, tmp_path) -> EngineProject:
    return compared.copy(tmp_path / "project")


def edit(project, **changes):
    project.edit_params(lambda params: params["compare_strategies"].update(changes))


def test_the_schedule_does_not_run_the_comparison_and_the_comparison_runs_once(compared, finished_project):
    assert compared.first_comparison == WHOLE
    assert not [name for name in finished_project.first_run if name.startswith("compare")]
    assert compared.is_clean("compare/dvc.yaml") and compared.is_clean()
    assert compared.plan("compare") == compared.plan() == []
    assert compared.dvc("repro compare/dvc.yaml") == compared.snakemake(COMPARE) == compared.dvc() == []


def test_a_working_tree_without_a_comparison_is_checked_out_without_complaint(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "project")
    project.run("dvc checkout")
    assert project.dvc() == []


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_an_edited_strategy_reruns_its_runs_only_and_taken_back_restores_them(project, engine):
    commands = {"snakemake": COMPARE, "dvc": "repro compare/dvc.yaml"}
    run = getattr(project, engine)
    edit(project, strategies={"lora": 1, "hybrid": 2})
    own = [name for name in WHOLE if "hybrid" in name]
    assert run(commands[engine]) == sorted(["compare_strategies_plan", *own, "compare_strategies_table"])
    assert project.is_clean("compare/dvc.yaml")
    edit(project, strategies={"lora": 1, "hybrid": 1})
    assert run(commands[engine]) == []
    assert project.plan("compare") == []


def test_one_more_seed_runs_that_seed_only(project):
    edit(project, seeds=[1, 2])
    added = [f"compare_strategies@{strategy}-{corpus}-2"
             for strategy in ("hybrid", "lora") for corpus in ("large", "small")]
    assert project.dvc("repro compare/dvc.yaml") == sorted(
        ["compare_strategies_plan", *added, "compare_strategies_table"])


def test_an_edit_of_the_comparison_leaves_the_schedule_alone(project):
    edit(project, seeds=[4])
    assert project.plan() == []
    assert project.dvc() == []


@pytest.mark.faults("kill -9 of snakemake in mid-comparison",
                    "the next one runs what is not there")
def test_a_killed_comparison_goes_on_with_the_runs_that_are_not_there(project):
    edit(project, strategies={"lora": 2, "hybrid": 2})
    before = len(project.executions())
    engine = project.start(f"snakemake {COMPARE}", STAGE_SECONDS="1", SLOW_STAGE="compare_strategies run")
    wait_for(lambda: len(project.executions()) >= before + 4)
    os.killpg(engine.pid, signal.SIGKILL)
    engine.communicate()
    time.sleep(2)
    done = {line.split()[0] for line in project.executions()[before:]}
    assert set(project.snakemake(COMPARE)) >= set(WHOLE) - done
    assert len(project.executions()) - before < 2 * len(WHOLE) - 2
    assert project.is_clean("compare/dvc.yaml")


def test_what_changed_after_its_run_is_not_recorded_as_its_result(project):
    edit(project, seeds=[1, 2])
    project.run("python -m workflow.keep compare/dvc.yaml:compare_strategies_plan")
    assert "compare_strategies_plan" in project.dvc("repro compare/dvc.yaml")
