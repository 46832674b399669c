import json
from dataclasses import replace

import pytest

from stages.core.artifacts.files import write_json, write_jsonl
from stages.core.artifacts.gates import mark_handed_on
from stages.core.errors import UserError
from stages.export_model.card import Facts, describe_corpus, gather_facts, render_card, write_figure

PHASES = {
    "lora": {"start_from": "base", "approach": "lora", "epochs": 2, "batch_utterances": 16, "learning_rate": 0.005,
             "warmup_steps": 20, "weight_decay": 0.01, "replay_share": 0.1, "lora": {"rank": 16}},
    "full": {"start_from": "lora", "approach": "full", "epochs": 6, "batch_utterances": 16, "learning_rate": 0.003,
             "warmup_steps": 20, "weight_decay": 0.02, "replay_share": 0.1},
    "other": {"start_from": "base", "approach": "full", "epochs": 1, "batch_utterances": 1, "learning_rate": 0.1,
              "warmup_steps": 0, "weight_decay": 0.0, "replay_share": 0.0},
}
SUMMARY = {"parameters": {"trained": 1234567, "total": 7654321}, "steps": 10, "tokens_seen_by_schedule": 99000,
           "lineage": ["lora", "full"]}
LINES = [
    {"role": "base", "language": "en", "speaker": "b", "split": "train", "duration_seconds": 1800.0},
    {"role": "target", "language": "am", "speaker": "a", "split": "train", "duration_seconds": 3600.0},
    {"role": "target", "language": "am", "speaker": "a", "split": "test", "duration_seconds": 360.0},
    {"role": "target", "language": "am", "speaker": "c", "split": "train", "duration_seconds": 3600.0},
]
FACTS = Facts(
    base="data/raw/indextts2", phase="full", is_released=True, corpus=describe_corpus(LINES),
    phases=[{"name": name, **PHASES[name]} for name in ("lora", "full")], fallbacks=[], summary=SUMMARY,
    metrics={"code cross entropy": ("5.000", "1.846 [1.787, 1.907], n = 115"),
             "phone error rate": ("1.0", "unmeasured")},
    licences=[],
)


def test_hours_and_speakers_are_counted_by_language():
    target, base = describe_corpus(LINES)
    assert (target["language"], target["speakers"], target["utterances"]) == ("am", 2, 3)
    assert (target["train"], target["validation"], target["test"]) == (2.0, 0.0, 0.1)
    assert (base["language"], base["role"], base["train"]) == ("en", "base", 0.5)


def test_a_figure_has_its_interval_or_says_unmeasured():
    assert write_figure({"mean": 1.84649, "low": 1.787, "high": 1.907, "n": 115}) == "1.846 [1.787, 1.907], n = 115"
    assert write_figure(None) == write_figure({"mean": None}) == "unmeasured"


def test_card_of_a_released_base_tells_data_schedule_figures_and_terms(tmp_path):
    (tmp_path / "gpt.pth").write_bytes(b"")
    card = render_card(FACTS, tmp_path)
    for told in (
        "| am | target | 2 | 3 | 2.00 | 0.00 | 0.10 |", "| full | lora | full | 6 |", "1,234,567 of 7,654,321",
        "| code cross entropy | 5.000 | 1.846 [1.787, 1.907], n = 115 |", "| phone error rate | 1.0 | unmeasured |",
        "holds no licence file", "are not endorsed, warranted", "2, 3, 4, ...", "- `gpt.pth`",
    ):
        assert told in card
    assert "adapter/" not in card and "None" not in card


def test_card_names_the_licence_files_that_are_copied(tmp_path):
    card = render_card(replace(FACTS, licences=["LICENSE.txt", "NOTICE"]), tmp_path)
    assert "The base comes with LICENSE.txt, NOTICE, copied into this folder unchanged." in card


def test_card_of_the_miniature_claims_no_duties_of_another_licence_and_explains_the_adapter(tmp_path):
    (tmp_path / "adapter").mkdir()
    card = render_card(replace(FACTS, is_released=False, phase="lora", phases=FACTS.phases[:1]), tmp_path)
    assert "bilibili" not in card and "proves the pipeline" in card
    assert "it goes on the weights of `base`" in card


def test_facts_come_from_the_files_of_earlier_stages(place, tmp_path):
    corpus, evaluation, checkpoints = tmp_path / "corpus", tmp_path / "evaluation", tmp_path / "checkpoints"
    for folder in (corpus, checkpoints / "full", evaluation / "base", evaluation / "full"):
        folder.mkdir(parents=True)
    write_jsonl(corpus / "manifest.jsonl", LINES)
    write_json(checkpoints / "full/summary.json", SUMMARY)
    (evaluation / "base/metrics.json").write_text(json.dumps({"code_top1": {"mean": 0.1, "n": 3}}))
    (evaluation / "full/metrics.json").write_text(json.dumps({"code_top1": {"mean": 0.5, "n": 3}, "stop_rate": None}))
    (place.base / "LICENSE").write_text("terms")
    facts = gather_facts(place.base, "full", PHASES, corpus, checkpoints, evaluation)
    assert facts.metrics == {"code top1": ("0.100, n = 3", "0.500, n = 3"), "stop rate": ("unmeasured", "unmeasured")}
    assert (facts.licences, facts.is_released) == (["LICENSE"], False)
    assert [(phase["start_from"], phase["name"]) for phase in facts.phases] == [("base", "lora"), ("lora", "full")]
    assert facts.fallbacks == []


def lay_out_gated(folder, lineage, checkpoint):
    """Folders in which `full` went through a gate that handed on some checkpoint."""
    for name in ("checkpoints/full_gated/adapter", "evaluation/base", "evaluation/full_gated"):
        (folder / name).mkdir(parents=True)
    write_jsonl(folder / "manifest.jsonl", LINES)
    write_json(folder / "checkpoints/full_gated/summary.json", {**SUMMARY, "lineage": lineage})
    mark_handed_on(folder / "checkpoints/full_gated", "full", checkpoint)
    for name in ("base", "full_gated"):
        write_json(folder / f"evaluation/{name}/metrics.json", {"code_top1": {"mean": 0.1, "n": 3}})
    return folder, folder / "checkpoints", folder / "evaluation"


def test_a_card_tells_where_gates_fell_back(place, tmp_path):
    phases = {**PHASES, "full": {**PHASES["full"], "start_from": "lora_gated"}}
    passed = gather_facts(place.base, "full_gated", phases, *lay_out_gated(tmp_path / "a", ["lora", "full"], "full"))
    assert (passed.phase, passed.fallbacks) == ("full", [])
    later = gather_facts(place.base, "full_gated", phases, *lay_out_gated(tmp_path / "b", ["full"], "full"))
    assert later.fallbacks == ["`lora` missed its gate, so `full` starts from `base`."]
    assert [(phase["start_from"], phase["name"]) for phase in later.phases] == [("base", "full")]
    last = gather_facts(place.base, "full_gated", phases, *lay_out_gated(tmp_path / "c", ["lora"], "lora"))
    assert (last.phase, last.fallbacks) == ("lora", ["`full` missed its gate, so this is `lora`."])
    assert "`full` missed its gate, so this is `lora`.\n\n`lora` trained" in render_card(last, tmp_path)


def test_an_export_of_which_the_gates_left_only_the_base_is_refused(place, tmp_path):
    with pytest.raises(UserError, match="full_gated holds the untouched base"):
        gather_facts(place.base, "full_gated", PHASES, *lay_out_gated(tmp_path / "a", [], "base"))


@pytest.mark.parametrize(("phase", "told"), [("full", "manifest.jsonl"), ("lora", "lora/adapter")])
def test_a_missing_file_is_named(place, tmp_path, phase, told):
    with pytest.raises(UserError, match=told):
        gather_facts(place.base, phase, PHASES, tmp_path, tmp_path, tmp_path)
