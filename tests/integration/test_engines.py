"""Snakemake and DVC on one working tree: whatever one of them did, the other has nothing to do."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from engine_project import GIT, WHOLE_SCHEDULE, set_polish_epochs
from zc.lockfile import LockFile

from tests.processes import wait_for
from workflow.cores import usable_cores

POLISH_AND_DEPENDENTS = ["evaluate_speech@polish", "export_model", "finetune@polish", "report"]


def running_stage(project):
    """Find the process of the stage that runs in a project, if one does."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command[1:3] == ["-m", "stages"] and Path(process.cwd()) == project.folder:
            return process
    return None


def kill_all(project, engine):
    """Kill an engine once a stage runs, with the stage."""
    wait_for(lambda: running_stage(project))
    os.killpg(engine.pid, signal.SIGKILL)
    if stage := running_stage(project):
        stage.kill()
    engine.communicate()


def test_first_run_executes_each_stage_once_then_neither_engine_has_work(finished_project):
    assert finished_project.first_run == WHOLE_SCHEDULE
    assert finished_project.is_clean()
    assert finished_project.plan() == []
    assert finished_project.dvc() == []
    assert finished_project.snakemake() == []


def test_nothing_of_the_run_is_left_for_git_but_the_lock_file(finished_project):
    said = finished_project.run("git status --short --untracked-files=all")
    sources = ("stages/", "workflow/", "profiles/", "presets/", "data/base", "data/text", "data/recordings", ".dvc")
    left = [line[3:] for line in said.splitlines() if not line[3:].startswith(sources)]
    assert sorted(left) == [
        ".gitignore", "Snakefile", "compare/dvc.yaml", "dvc.lock", "dvc.yaml", "executed.txt", "params.yaml",
    ]


@pytest.mark.faults("a phase edited and the edit taken back, by either engine",
                    "its dependents run and no others; then nothing runs")
@pytest.mark.parametrize("engine, other", [("snakemake", "dvc"), ("dvc", "snakemake")])
def test_edited_phase_reruns_with_its_dependents_only_and_reverting_restores(project, engine, other):
    project.edit_params(set_polish_epochs(6))
    assert getattr(project, engine)() == POLISH_AND_DEPENDENTS
    assert project.is_clean()
    assert getattr(project, other)() == []
    project.edit_params(set_polish_epochs(3))
    assert getattr(project, engine)() == []
    assert project.is_clean()
    assert project.plan() == []


def test_fourth_phase_is_an_edit_of_params_alone(project):
    def add_phase(params):
        params["phases"]["anneal"] = {"start_from": "polish", "epochs": 1}
        params["export_model"]["phase"] = "anneal"

    project.edit_params(add_phase)
    assert project.snakemake() == ["evaluate_speech@anneal", "export_model", "finetune@anneal", "report"]
    assert project.dvc() == []


def test_lora_only_schedule_is_an_edit_of_params_alone(project):
    def keep_lora(params):
        params["phases"] = {"lora": params["phases"]["lora"]}
        params["export_model"]["phase"] = "lora"

    project.edit_params(keep_lora)
    assert project.snakemake() == ["export_model", "report"]
    assert project.dvc() == []
    assert project.is_clean()


def test_changed_start_rewires_the_graph(project):
    project.edit_params(lambda params: params["phases"]["polish"].update(start_from="lora"))
    assert project.dvc() == POLISH_AND_DEPENDENTS
    assert project.snakemake() == []


@pytest.mark.faults("git checkout of an older commit, dvc checkout",
                    "nothing runs")
def test_old_revision_checked_out_leaves_nothing_to_do(project):
    def git(command):
        project.run(f"{GIT} {command}")

    git("add .")
    git("commit -qm first")
    project.edit_params(set_polish_epochs(6))
    project.snakemake()
    git("commit -qam second")
    git("checkout -q HEAD~1")
    project.run("dvc checkout")
    assert project.plan() == []
    assert project.dvc() == []


def test_wrong_params_stop_both_engines_before_any_stage(project):
    project.edit_params(lambda params: params["phases"]["lora"].update(start_from="polish"))
    said = project.run("snakemake --cores 8 all", status=1)
    assert "phases.lora.start_from: must not lead back to itself" in said
    assert "Traceback" not in said
    before = project.executions()
    project.run("dvc repro", status=255)
    assert project.executions() == before


def test_missing_source_is_one_clear_line(project):
    shutil.rmtree(project.folder / "data" / "base")
    said = project.run("snakemake --cores 8 all", status=1)
    assert "data/base: no such file or folder, needed by" in said
    assert "Traceback" not in said


def test_rules_side_by_side_never_use_more_threads_than_cores(finished_project):
    spans = [line.split() for line in finished_project.executions()[: len(WHOLE_SCHEDULE)]]
    for _, start, _, _ in spans:
        busy = sum(int(threads) for _, begin, end, threads in spans if float(begin) <= float(start) < float(end))
        assert busy <= usable_cores()


def test_training_has_all_cores(finished_project):
    threads = {line.split()[3] for line in finished_project.executions() if line.startswith("finetune")}
    assert threads == {str(usable_cores())}


@pytest.mark.faults("another command holds DVC's lock for 8 seconds",
                    "it is waited for")
def test_rules_and_stamps_wait_while_another_command_holds_the_lock_of_dvc(project):
    """DVC gives up after some seconds of its own; hashing large outputs takes longer."""
    project.edit_params(lambda params: params["report"].update(strength=2))
    path = str(project.folder / ".dvc" / "tmp" / "lock")
    held_before_the_mirror = LockFile(path)
    engine = project.start("snakemake --cores 8 all", STAGE_SECONDS="2")
    time.sleep(8)
    held_before_the_mirror.close()
    wait_for(lambda: running_stage(project))
    held_after_the_stage = LockFile(path)
    time.sleep(8)
    held_after_the_stage.close()
    said, _ = engine.communicate()
    assert engine.returncode == 0, said
    assert project.is_clean()


@pytest.mark.faults("dvc.lock cut short, as by a kill of the DVC that writes it",
                    "dvc names it, snakemake sets it aside; results come from the run cache, nothing runs")
def test_a_lock_file_cut_short_costs_nothing(project):
    lock = project.folder / "dvc.lock"
    for content in ("", "sch", "schema: '2.0'\nstages: [", lock.read_text()[:2000].rpartition(":")[0]):
        lock.write_text(content)
        if content:
            assert "dvc.lock'" in project.run("dvc repro", status=255)
        assert project.snakemake() == [] and project.is_clean()
    lock.write_text("sch")
    assert "dvc.lock'" in project.run("snakemake -n all", status=1)
    assert lock.read_text() == "sch"


def test_killed_snakemake_leaves_a_tree_that_runs_again(project):
    project.edit_params(set_polish_epochs(6))
    engine = project.start("snakemake --cores 8 all", STAGE_SECONDS="600", SLOW_STAGE="finetune")
    kill_all(project, engine)
    assert list((project.folder / ".snakemake" / "locks").iterdir()), "the trap is gone; so may be its remedy"
    assert project.snakemake() == POLISH_AND_DEPENDENTS
    assert project.is_clean()


@pytest.mark.faults("kill -9 of snakemake alone, run again at once",
                    "the stage left running is waited for")
def test_snakemake_waits_for_a_stage_that_outlived_the_killed_engine(project):
    project.edit_params(set_polish_epochs(6))
    engine = project.start("snakemake --cores 8 all", STAGE_SECONDS="4", SLOW_STAGE="finetune")
    wait_for(lambda: running_stage(project))
    os.kill(engine.pid, signal.SIGKILL)
    executed = project.snakemake()
    engine.communicate()
    assert executed == POLISH_AND_DEPENDENTS


def test_killed_dvc_leaves_a_tree_that_runs_again(project):
    project.edit_params(set_polish_epochs(6))
    engine = project.start("dvc repro", STAGE_SECONDS="600", SLOW_STAGE="finetune")
    kill_all(project, engine)
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text('{"write": {')
    assert project.snakemake() == POLISH_AND_DEPENDENTS


@pytest.mark.faults("snakemake -n and snakemake while another runs",
                    "the plan is shown, the second run refused")
def test_plans_can_be_read_while_another_run_works(project):
    project.edit_params(set_polish_epochs(6))
    engine = project.start("snakemake --cores 8 all", STAGE_SECONDS="4", SLOW_STAGE="finetune")
    wait_for(lambda: running_stage(project))
    assert "another snakemake is running here" in project.run("snakemake -n all")
    project.run("snakemake --cores 8 all", status=1)
    engine.communicate()
    assert engine.returncode == 0


@pytest.mark.parametrize("command", ["snakemake -n all", "snakemake --dag", "snakemake --summary"])
def test_a_plan_waits_for_no_stage_and_leaves_the_cache_and_the_locks_as_they_are(project, command):
    cache, locks = project.folder / ".dvc/cache", project.folder / ".dvc/tmp/rwlock"
    damaged, lost_outputs = cache / "files/md5/00" / (30 * "0"), next(cache.glob("files/md5/*/*.dir"))
    lost_outputs.unlink()
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_text("damaged")
    alive = subprocess.Popen(["sleep", "600"])
    held = json.dumps({"write": {"data/corpus": {"pid": alive.pid, "cmd": "sleep 600"}}, "read": {}})
    project.run(command)
    locks.write_text(held)
    try:
        assert f"process {alive.pid}: stamps are shown as they are" in project.run(command)
    finally:
        alive.kill()
        alive.wait()
    assert locks.read_text() == held and damaged.exists() and not lost_outputs.exists()
    locks.unlink()
    assert project.snakemake() == [] and not damaged.exists() and lost_outputs.exists()


@pytest.mark.faults("the cache wiped, outputs in place",
                    "nothing runs; the outputs are committed anew")
def test_wiped_cache_does_not_retrain_while_outputs_are_in_place(project):
    shutil.rmtree(project.folder / ".dvc" / "cache")
    assert project.snakemake() == []
    assert project.is_clean()


@pytest.mark.faults("the cache wiped and an output edited",
                    "its stage runs again")
def test_wiped_cache_does_not_bless_an_output_that_was_edited(project):
    shutil.rmtree(project.folder / ".dvc" / "cache")
    page = project.folder / "data" / "export" / "config.yaml"
    page.unlink()
    page.write_text("edited\n")
    assert project.snakemake() == ["export_model"]


@pytest.mark.faults("files that DVC, Snakemake and Python leave beside inputs",
                    "nothing runs")
def test_files_that_dvc_and_python_leave_beside_inputs_make_nothing_stale(project):
    for name in ("data/corpus/.snakemake_timestamp", "data/features/.gitignore", "stages/finetune/__pycache__/a.pyc"):
        path = project.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("left over\n")
    assert project.is_clean()
    assert project.plan() == []


@pytest.mark.faults("code touched; code edited",
                    "nothing runs; its stage runs")
def test_edited_code_reruns_its_stage_and_touched_code_does_not(project):
    code = project.folder / "stages" / "export_model" / "__main__.py"
    code.touch()
    assert project.snakemake() == []
    code.write_text("# changed\n")
    assert project.snakemake() == ["export_model"]


def test_metrics_of_the_base_and_of_every_phase_are_shown_side_by_side(finished_project):
    said = finished_project.run("dvc metrics show --json")
    files = json.loads(said[said.index("{"):])[""]["data"]
    assert list(files) == [f"data/evaluation/{name}/headline.json" for name in ("base", "lora", "full", "polish")]
    assert all("data" in file for file in files.values())


def test_graph_summary_and_report_can_be_asked_for(project):
    assert "digraph" in project.run("snakemake --dag")
    project.run("snakemake --report run.html")
    assert (project.folder / "run.html").stat().st_size > 1000


def test_snakemake_finds_dvc_without_an_activated_environment(project):
    project.edit_params(set_polish_epochs(6))
    snakemake = shutil.which("snakemake", path=project.environment()["PATH"])
    environment = {**project.environment(), "PATH": "/usr/bin:/bin"}
    subprocess.run([snakemake, "--cores", "8", "all"], cwd=project.folder, env=environment, check=True)
    assert project.is_clean()


@pytest.mark.parametrize("name", ["size", "nfiles"])
def test_run_cache_drops_these_keys_so_the_schema_must_forbid_them(project, name):
    """The trap itself: were it mended, the rule could go."""
    project.edit_params(lambda params: params["report"].update({name: 1}))
    project.dvc()
    project.edit_params(lambda params: params["report"].update({name: 2}))
    assert project.dvc() == []


def test_edited_rule_makes_nothing_stale_because_only_dvc_decides(project):
    """Without the default profile Snakemake would rerun a stage for a changed word in its rule."""
    for name, old, new in (("Snakefile", "exec tee {log}", "exec tee -a {log}"),
                           ("workflow/rules/delivery.smk", "threads: 1", "threads: 2")):
        path = project.folder / name
        before = path.read_text()
        path.write_text(before.replace(old, new))
        assert path.read_text() != before
    assert project.plan() == []
    assert project.snakemake() == []
