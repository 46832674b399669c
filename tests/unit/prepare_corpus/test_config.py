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


@pytest.mark.parametrize("pattern", [".", "**x", "data/a**/b"])
def test_a_pattern_that_means_nothing_is_told_by_its_field(params, pattern):
    source = recorded(kind="parquet", files=pattern, audio_column="a", text_column="t", speaker="s")
    del source["manifest"]
    params["prepare_corpus"]["sources"].append(source)
    [problem] = params_problems(params)
    assert ".files: " in problem and repr(pattern) in problem


@pytest.mark.parametrize("voice", ["!v/f1", "am+f1", "../am", "am\n", ""])
def test_an_espeak_voice_is_a_language_alone_wherever_one_is_named(params, voice):
    params["prepare_corpus"]["sources"][0]["languages"]["am"]["voice"] = voice
    params["build_base"]["new_language"]["voice"] = voice
    params["evaluate_speech"]["phone_voice"] = voice
    problems = params_problems(params)
    assert len(problems) == 3 and all("voice: String should match pattern" in problem for problem in problems)


@pytest.mark.parametrize("text", ["data/text/..", "data/text/.", "data/text/a\x1b", "data/text/a/b"])
def test_a_text_is_a_file_in_the_folder_of_texts(params, text):
    params["prepare_corpus"]["sources"][0]["languages"]["am"]["text"] = text
    [problem] = params_problems(params)
    assert "text: String should match pattern" in problem
