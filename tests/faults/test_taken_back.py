"""An edit that was run is taken back: what the first run made is restored, and nothing runs."""

import shutil

import pytest
import yaml

from tests.faults.leaves import NO_OTHER, OTHER_BASE, leaves, set_other
from tests.faults.outputs import outputs

NO_RESULT = ("tracking", "compare_strategies")
NOT_ALONE = ("gate_phase",)  # a gate asks that a phase starts from it, which is a second value


@pytest.mark.full
@pytest.mark.faults("every value of the stand-ins' params.yaml changed, run by one engine, and taken back",
                    "the other engine restores it from the run cache: nothing runs, the same bytes")
def test_a_value_taken_back_restores_what_it_made(project, seen):
    kept = (project.folder / "params.yaml").read_text()
    shutil.copytree(project.folder / "data/base", project.folder / OTHER_BASE)
    before = outputs(project.folder)
    tried = [leaf for leaf in leaves(yaml.safe_load(kept)) 
             if leaf[0] not in NO_RESULT + NOT_ALONE and leaf not in NO_OTHER]
    for number, leaf in enumerate(tried):
        one, other = (project.snakemake, project.dvc)[:: 1 if number % 2 else -1]
        project.edit_params(lambda params, leaf=leaf: set_other(params, leaf))
        assert one(), f"{leaf} changed nothing"
        (project.folder / "params.yaml").write_text(kept)
        assert other() == [], f"{leaf} taken back"
        assert outputs(project.folder) == before, f"{leaf} taken back"
    assert project.is_clean()
    seen(f"{len(tried)} values, half of them by either engine")
