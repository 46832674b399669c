import csv
import json
from pathlib import Path

import pytest
import yaml

from stages.core.artifacts.files import write_json
from stages.core.errors import ParamsError, UserError
from stages.core.params.strict import parse_section
from stages.gate_phase.__main__ import main
from stages.gate_phase.advice import advise, tell_judgement
from stages.gate_phase.config import Config, Gate
from stages.gate_phase.judgement import judge

FIGURES = {
    "base": {"phone_error_rate": {"mean": 0.8}, "stop_rate": {"mean": 0.2},
             "base_language_cross_entropy": {"mean": 2.5}, "word_error_rate": None},
    "lora": {"phone_error_rate": {"mean": 0.6, "low": 0.55, "high": 0.65}, "stop_rate": {"mean": 0.9},
             "base_language_cross_entropy": {"mean": 2.7}, "word_error_rate": None},
    "full": {"phone_error_rate": {"mean": 0.4}, "stop_rate": {"mean": 0.95},
             "base_language_cross_entropy": {"mean": 2.9}, "word_error_rate": {"mean": 0.5}},
}


def gate(on_failure="stop", previous="lora", **limits):
    return Gate.model_validate({"previous": previous, "on_failure": on_failure, "limits": limits})


def judge_full(gate):
    return judge("full", gate, FIGURES["full"], FIGURES[gate.previous], FIGURES["base"])


@pytest.mark.parametrize(("figure", "limit", "kept"), [
    ("phone_error_rate", {"max": 0.4}, True), ("phone_error_rate", {"max": 0.39}, False),
    ("stop_rate", {"min": 0.95}, True), ("stop_rate", {"min": 0.96}, False),
    ("base_language_cross_entropy", {"rise_over_base_max": 0.41}, True),
    ("base_language_cross_entropy", {"rise_over_base_max": 0.39}, False),
    ("base_language_cross_entropy", {"rise_over_previous_max": 0.21}, True),
    ("base_language_cross_entropy", {"rise_over_previous_max": 0.19}, False),
    ("phone_error_rate", {"rise_over_previous_max": -0.1}, True),
    ("phone_error_rate", {"max": 0.5, "rise_over_previous_max": -0.3}, False),
])
def test_a_mean_is_held_against_each_bound(figure, limit, kept):
    judgement = judge_full(gate(**{figure: limit}))
    assert judgement.passed == kept
    assert judgement.handed_on == ("full" if kept else None)
    assert len(judgement.findings) == len(limit)


def test_one_missed_limit_of_many_is_enough_and_the_fall_back_is_what_came_before():
    judgement = judge_full(gate("fall_back", phone_error_rate={"max": 0.5}, stop_rate={"min": 0.99}))
    assert (judgement.passed, judgement.handed_on) == (False, "lora")
    assert judgement.outcome() == "failed: fell back to lora"
    assert [finding.figure for finding in judgement.missed] == ["stop_rate"]


def test_an_unmeasured_figure_under_a_limit_is_an_error_whatever_the_gate_does():
    with pytest.raises(UserError, match="unmeasured.*validation_code_top1 of full, word_error_rate of lora"):
        judge_full(gate("fall_back", validation_code_top1={"min": 0.1},
                        word_error_rate={"rise_over_previous_max": 0.1}))


def test_the_table_tells_figure_interval_rule_and_what_came_before():
    judgement = judge("lora", gate(previous="base", phone_error_rate={"max": 0.5}), FIGURES["lora"], FIGURES["base"],
                      FIGURES["base"])
    assert tell_judgement(judgement) == (
        "gate of lora: failed: stopped\n  phone_error_rate  0.600 [0.550, 0.650], at most 0.5, base 0.800: missed")


@pytest.mark.parametrize(("best", "advised"), [(30, "more of phases.full.epochs may help"),
                                               (10, "more epochs will hardly help")])
def test_advice_comes_from_what_the_validations_showed(tmp_path, best, advised):
    write_training(tmp_path, best)
    said = list(advise(judge_full(gate(phone_error_rate={"max": 0.1})), tmp_path))
    assert any(advised in sentence for sentence in said)
    assert any("gate_phase.full.on_failure: fall_back" in sentence for sentence in said)
    assert not any("replay_share" in sentence for sentence in said)
    forgotten = judge_full(gate("fall_back", base_language_cross_entropy={"max": 2.0}))
    said = list(advise(forgotten, tmp_path))
    assert any("phases.full.replay_share" in sentence for sentence in said)
    assert not any("epochs" in sentence or "on_failure" in sentence for sentence in said)


@pytest.mark.parametrize(("limits", "said"), [
    ({}, "lora.limits: Dictionary should have at least 1 item"),
    ({"phone_error": {"max": 1.0}}, "phone_error: no figure of docs/evaluation.md; near: phone_error_rate"),
    ({"stop_rate": {}}, "lora.limits.stop_rate: must hold at least one of max, min"),
    ({"stop_rate": {"least": 1.0}}, "lora.limits.stop_rate.least: unknown key"),
    ({"validation_code_top1": {"rise_over_base_max": 0.0}}, "validation_code_top1: takes max and min only"),
])
def test_wrong_limits_are_told_before_any_work(limits, said):
    content = {"lora": {"previous": "base", "on_failure": "stop", "limits": limits}}
    with pytest.raises(ParamsError, match=said):
        parse_section(Config, content, "params.yaml", "gate_phase")


def write_training(folder, best=30):
    """The summary and the curve of a phase, with its validations at steps 0, 10, 20, 30."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "summary.json", {"steps": 30, "handed_on": {"step": best, "best_step": best}})
    columns = ["step", "code_cross_entropy", "validation_code_top1", "validation_code_cross_entropy"]
    with open(folder / "curves.csv", "w") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerow({"step": best, "code_cross_entropy": 2.0})
        for step in (0, 10, 20, 30):
            writer.writerow({"step": step, "validation_code_top1": step / 100, "validation_code_cross_entropy": 2.0})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Checkpoints and evaluations of base, lora and full; gives a function that judges `full` by the command."""
    monkeypatch.chdir(tmp_path)
    for name, figures in FIGURES.items():
        write_json(make(f"data/evaluation/{name}") / "metrics.json", figures)
        folder = make(f"data/checkpoints/{name}/adapter").parent
        write_training(folder)
        for file in ("model.safetensors", "adapter/adapter_config.json"):
            (folder / file).write_text(f"{file} of {name}")

    def judge_it(**settings):
        gates = {"full": gate(**settings).model_dump(exclude_unset=True)}
        content = {"gate_phase": gates, "phases": {}, "tracking": {"uri": "none", "experiment": "x"}}
        Path("params.yaml").write_text(yaml.safe_dump(content))
        return main(["--phase", "full"])

    return judge_it


def make(folder):
    path = Path(folder)
    path.mkdir(parents=True)
    return path


def read(path):
    return json.loads(Path(path).read_text())


@pytest.mark.parametrize(("most", "handed_on"), [(0.5, "full"), (0.3, "lora")])
def test_what_is_handed_on_has_its_weights_its_figures_and_its_name(place, most, handed_on):
    assert place(on_failure="fall_back", phone_error_rate={"max": most}) == 0
    folder = Path("data/checkpoints/full_gated")
    assert (folder / "adapter/adapter_config.json").read_text() == f"adapter/adapter_config.json of {handed_on}"
    assert (folder / "model.safetensors").samefile(f"data/checkpoints/{handed_on}/model.safetensors")
    assert read(folder / "gate.json") == {"phase": "full", "checkpoint": handed_on}
    assert read("data/evaluation/full_gated/metrics.json") == FIGURES[handed_on]
    judged = read("data/evaluation/full_gated/judgement.json")
    assert (judged["passed"], judged["handed_on"]) == (handed_on == "full", handed_on)
    assert judged["findings"][0]["value"] == 0.4


def test_what_is_handed_on_does_not_tell_the_limit(place):
    place(on_failure="fall_back", phone_error_rate={"max": 0.5})
    before = {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}
    place(on_failure="stop", phone_error_rate={"max": 0.45}, stop_rate={"min": 0.1})
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"judgement.json"}


def test_a_gate_that_falls_back_on_a_gate_names_the_checkpoint_behind_both(place):
    place(on_failure="fall_back", phone_error_rate={"max": 0.3})
    Path("data/checkpoints/lora").rename("data/checkpoints/lora_gated")
    Path("data/evaluation/lora").rename("data/evaluation/lora_gated")
    write_json(Path("data/checkpoints/lora_gated/gate.json"), {"phase": "lora", "checkpoint": "base"})
    place(on_failure="fall_back", previous="lora_gated", phone_error_rate={"max": 0.3})
    assert read("data/checkpoints/full_gated/gate.json") == {"phase": "full", "checkpoint": "base"}


def test_a_stop_hands_nothing_on_and_tells_figures_and_advice(place, capsys):
    with pytest.raises(UserError, match=r"stops here: phone_error_rate is 0.400, must be at most 0.3\n"):
        place(phone_error_rate={"max": 0.3})
    assert "phone_error_rate  0.400, at most 0.3, lora 0.600: missed" in capsys.readouterr().out
    assert not Path("data/checkpoints/full_gated").exists()


def test_the_validation_of_the_weights_that_were_handed_on_is_judged(place):
    write_training(Path("data/checkpoints/full"), best=20)
    place(validation_code_top1={"min": 0.2, "max": 0.2})


def test_a_phase_without_a_gate_is_refused(place):
    place(phone_error_rate={"max": 0.5})
    with pytest.raises(ParamsError, match=r"must hold a gate for lora \(got full\)"):
        main(["--phase", "lora"])
