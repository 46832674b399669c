import json

import pytest
import yaml
from ruamel.yaml import YAML

from stages.core.errors import ParamsError, UserError
from workflow import preset, summary


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = {"phases": {"full": {"start_from": "lora"}, "lora": {"start_from": "base"}}}
    (tmp_path / "params.yaml").write_text("# kept\n" + yaml.safe_dump(params, sort_keys=False))
    return tmp_path


def test_summary_puts_the_phases_side_by_side(folder, capsys):
    for name, value in (("base", 5.5), ("lora", {"mean": 2.25, "n": 9}), ("full", None)):
        path = folder / "data" / "evaluation" / name / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"code_cross_entropy": value}))
    assert summary.main([]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["base", "lora", "full"]
    assert said.splitlines()[1].split() == ["code_cross_entropy", "5.500", "2.250", "-"]
    assert "reports/index.html" in said and "make ui" in said


def test_summary_before_any_run_is_one_clear_line(folder, capsys):
    assert summary.main([]) == 2
    assert capsys.readouterr().err == "error: data/evaluation/base/metrics.json: no such file\n"
    assert summary.main(["--stages"]) == 2


def test_overlay_changes_single_values_and_keeps_comments(folder, monkeypatch):
    monkeypatch.setattr(preset, "params_problems", lambda params: [])
    (folder / "overlay.yaml").write_text("phases: {lora: {epochs: 1}}\n")
    assert preset.main(["overlay.yaml"]) == 0
    text = (folder / "params.yaml").read_text()
    assert text.startswith("# kept\n")
    assert yaml.safe_load(text)["phases"]["lora"] == {"start_from": "base", "epochs": 1}


def test_overlay_that_would_not_pass_leaves_params_alone(folder, monkeypatch):
    before = (folder / "params.yaml").read_text()
    monkeypatch.setattr(preset, "params_problems", lambda params: ["phases.lora.epochs: wrong"])
    (folder / "overlay.yaml").write_text("phases: {lora: {epochs: 0}}\n")
    with pytest.raises(ParamsError, match="phases.lora.epochs: wrong"):
        preset.apply("overlay.yaml")
    assert (folder / "params.yaml").read_text() == before


def test_a_dump_that_ends_half_way_leaves_params_alone(folder, monkeypatch):
    def dump(self, content, stream):
        stream.write("phases:")
        raise OSError("No space left on device")

    before = (folder / "params.yaml").read_text()
    monkeypatch.setattr(preset, "params_problems", lambda params: [])
    monkeypatch.setattr(YAML, "dump", dump)
    (folder / "overlay.yaml").write_text("phases: {lora: {epochs: 1}}\n")
    with pytest.raises(OSError, match="No space left"):
        preset.apply("overlay.yaml")
    assert (folder / "params.yaml").read_text() == before


def test_preset_takes_the_place_of_params(folder, monkeypatch):
    monkeypatch.setattr(preset, "check_params", lambda path: {})
    (folder / "presets").mkdir()
    (folder / "presets" / "released.yaml").write_text("# released\n")
    preset.apply("released")
    assert (folder / "params.yaml").read_text() == "# released\n"
    with pytest.raises(UserError, match="must be a preset .released. or an overlay file .got 'relaesed'"):
        preset.apply("relaesed")
