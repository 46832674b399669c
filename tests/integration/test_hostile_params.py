"""A name in the params that a shell would run: neither engine runs it, and both say what is wrong."""

import subprocess

import pytest

EVIL = ["x; touch canary", "x$(touch canary)", "x\ntouch canary"]


def name_a_phase(project, name):
    def rename(params):
        params["phases"] = {name if phase == "polish" else phase: held for phase, held in params["phases"].items()}

    project.edit_params(rename)


@pytest.mark.parametrize("name", EVIL)
def test_dvc_asked_directly_runs_no_part_of_a_name(project, name):
    name_a_phase(project, name)
    command = ["dvc", "repro", "-s", f"finetune@{name}"]
    done = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
    assert done.returncode != 0
    assert "a phase name must match" in done.stderr, done.stderr
    assert not (project.folder / "canary").exists()


def test_snakemake_refuses_the_params_before_any_work(project):
    before = project.executions()
    name_a_phase(project, EVIL[0])
    said = project.run("snakemake --cores 2 all", status=1)
    assert "a phase name must match" in said
    assert project.executions() == before and not (project.folder / "canary").exists()
