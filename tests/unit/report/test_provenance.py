from pathlib import Path

import yaml

from stages.report.provenance import Difference, differ, leaves, nearest_preset, shorten, write

SOURCES = [{"name": "mine", "path": "a", "speakers": [{"rate": 1}, {"rate": 2}]}]


def test_leaves_go_by_names_or_by_places():
    content = {"text": {"fold": True}, "prepare_corpus": {"sources": SOURCES, "empty": {}, "list": [1, 2]}}
    assert dict(leaves(content)) == {
        "text.fold": True, "prepare_corpus.sources.mine.name": "mine", "prepare_corpus.sources.mine.path": "a",
        "prepare_corpus.sources.mine.speakers.0.rate": 1, "prepare_corpus.sources.mine.speakers.1.rate": 2,
        "prepare_corpus.empty": {}, "prepare_corpus.list": [1, 2],
    }


def test_only_what_decides_the_figures_is_compared():
    before = {"text": {"fold": True, "old": 1}, "machine": {"threads": 1}}
    after = {"text": {"fold": False, "new": [1]}, "machine": {"threads": 8}}
    assert differ(before, after) == [
        Difference("text.fold", "true", "false"), Difference("text.new", "not set", "[1]"),
        Difference("text.old", "1", "not set"),
    ]


def test_the_preset_with_fewest_differences_is_the_nearest(tmp_path):
    for name, fold in (("far", {"a": 1, "b": 2}), ("near", {"a": 1}), ("same_as_near", {"a": 1})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"text": fold}))
    nearest, differences = nearest_preset({"text": {"a": 3}}, sorted(tmp_path.iterdir()))
    assert nearest == tmp_path / "near.yaml" and differences == [Difference("text.a", "1", "3")]
    assert nearest_preset({}, []) == (None, [])


def test_long_values_and_hashes_are_cut_and_changes_are_told():
    assert len(write("x" * 500)) == 91 and write({"a": 1}) == '{"a": 1}'
    assert shorten("0123456789abcdef.dir") == "0123456789ab" == shorten("0123456789ab")
    assert shorten("0123456789abcdef+changes") == "0123456789ab with changes of its own"


def test_every_preset_of_the_project_is_its_own_nearest():
    presets = sorted((Path(__file__).parents[3] / "presets").glob("*.yaml"))
    for preset in presets:
        assert nearest_preset(yaml.safe_load(preset.read_text()), presets) == (preset, [])
