from pathlib import Path

import pytest
import yaml

from stages.schema import params_problems


@pytest.fixture
def params():
    return yaml.safe_load(Path("params.yaml").read_text())


def recorded(**changed):
    return {"kind": "jsonl", "name": "home", "role": "target", "language": "am", "path": "data/recordings/home",
            "manifest": "manifest.jsonl"} | changed


def test_sources_of_several_kinds_stand_side_by_side(params):
    params["prepare_corpus"]["sources"].append(recorded())
    assert params_problems(params) == []


@pytest.mark.parametrize("changed, told", [
    ({"kind": "tape"}, "'tape'"),
    ({"name": "My home"}, "name: String should match pattern"),
    ({"name": "am"}, "no language that espeak-ng reads here (got am)"),
    ({"name": "amharic"}, "a name of its own (twice: amharic)"),
    ({"path": "/srv/corpus"}, "path"),
    ({"tape": 1}, "tape: unknown key"),
])
def test_a_wrong_source_is_told_by_field_and_rule(params, changed, told):
    params["prepare_corpus"]["sources"].append(recorded(**changed))
    [problem] = params_problems(params)
    assert problem.startswith("prepare_corpus") and told in problem


def test_all_that_does_not_fit_together_is_told_at_once(params):
    corpus = params["prepare_corpus"]
    corpus["sources"] += [recorded(name="de"), recorded(name="twins"), recorded(name="twins")]
    corpus |= {"duration_seconds_min": 3.0, "duration_seconds_max": 2.0}
    [problem] = params_problems(params)
    assert all(part in problem for part in ("(got 3.0 and 2.0)", "twice: twins", "got de"))


def test_a_share_of_all_speakers_is_refused(params):
    params["splits"]["test_speakers_share"] = 1.0
    assert "splits.test_speakers_share" in params_problems(params)[0]
