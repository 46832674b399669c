"""What one machine made, others take over by git and a remote of DVC's: nothing runs twice."""

import pytest
from engine_project import GIT, EngineProject, set_polish_epochs

from tests.faults.outputs import outputs


@pytest.fixture
def shared(project, tmp_path):
    """A finished schedule, pushed: its git history to a bare repository, its outputs to a remote folder."""
    (project.folder / ".git/info/exclude").write_text("executed.txt\n")
    project.run(f"dvc remote add -d store {tmp_path / 'store'}")
    for command in ("add .", "commit -qm first", f"init -q --bare {tmp_path / 'origin.git'}",
                    f"remote add origin {tmp_path / 'origin.git'}", "push -q -u origin HEAD"):
        project.run(f"{GIT} {command}")
    project.run("dvc push --run-cache")
    return project


def clone(project: EngineProject, name: str) -> EngineProject:
    """A colleague's tree, fresh from git."""
    folder = project.folder.with_name(name)
    project.run(f"git clone -q {project.folder.with_name('origin.git')} {folder}")
    return EngineProject(folder)


def push(project: EngineProject, message: str) -> None:
    """Commit what is tracked, and push both."""
    project.run(f"{GIT} commit -qam {message}")
    project.run("git push -q")
    project.run("dvc push --run-cache")


@pytest.mark.faults("a fresh clone, then dvc pull", "nothing runs, in either engine; the same bytes")
def test_fresh_clone_with_pulled_outputs_has_nothing_to_run(shared):
    other = clone(shared, "clone")
    other.run("dvc pull")
    assert other.snakemake("--cores 2 all") == [] and other.dvc() == [] and other.is_clean()
    assert outputs(other.folder) == outputs(shared.folder)


@pytest.mark.full
@pytest.mark.faults("a fresh clone without dvc pull", "the engines fetch results from the remote; nothing runs")
def test_fresh_clone_fetches_what_it_needs(shared):
    other = clone(shared, "clone")
    assert other.snakemake("--cores 2 all") == [] and other.is_clean()
    assert outputs(other.folder) == outputs(shared.folder)


@pytest.mark.full
@pytest.mark.faults("a colleague changes one phase and pushes; git pull, dvc pull", "nothing runs; their bytes")
def test_a_colleagues_phase_is_taken_over(shared):
    other = clone(shared, "clone")
    other.run("dvc pull")
    other.edit_params(set_polish_epochs(6))
    assert "finetune@polish" in other.snakemake("--cores 2 all")
    push(other, "six")
    shared.run("git pull -q")
    shared.run("dvc pull")
    assert shared.snakemake("--cores 2 all") == [] and shared.dvc() == [] and shared.is_clean()
    assert outputs(shared.folder) == outputs(other.folder)


@pytest.mark.full
@pytest.mark.faults("dvc exp run -S, exp push; a colleague's exp pull, exp apply", "nothing runs; the same bytes")
def test_an_experiment_travels(shared, seen):
    assert "finetune@polish" in shared.dvc("exp run -S phases.polish.epochs=6 --name six")
    shared.run("dvc exp push origin six")
    other = clone(shared, "clone")
    other.run("dvc exp pull origin six")
    other.run("dvc exp apply six")
    other.run("dvc pull")
    assert other.snakemake("--cores 2 all") == [] and other.is_clean()
    assert outputs(other.folder) == outputs(shared.folder)
    seen("with a bare repository and a folder as remotes")
