"""Each benchmark at a size that takes a second."""

import mmap

import pytest

from benchmarks import __main__ as command
from benchmarks import feature_loading, memory_case, text_speed, trainable_share, training_memory, training_speed
from benchmarks.claims import claims_table, goals_table
from benchmarks.device import Machine, PeakMemory, this_processor
from benchmarks.layouts import BUCKETED, PADDED
from benchmarks.page import render
from benchmarks.results_folder import load, save
from benchmarks.shapes import Shape, miniature, released
from tests.tiny import SETTINGS

TINY = Shape("tiny", SETTINGS, 10, 2.0, 1.0)
MACHINE = this_processor()


@pytest.fixture
def tiny_cases(monkeypatch):
    """Cases of memory in this process, at a tiny shape."""
    monkeypatch.setitem(memory_case.SHAPES, "tiny", lambda: TINY)
    monkeypatch.setattr(PeakMemory, "mib", lambda self: 8.0)
    measures = {"approach": memory_case.measure_approach, "logits": memory_case.measure_logits}
    monkeypatch.setattr(training_memory, "run_in_child",
                        lambda module, case: {**case, **measures[case["kind"]](MACHINE, case)})


def speed():
    race = training_speed.Race("tiny", 2, 2, (PADDED, BUCKETED, training_speed.NESTED))
    return training_speed.measure(MACHINE, [race], {"tiny": lambda: TINY})


def test_speed_of_each_layout_and_the_reason_where_there_is_none():
    result = speed()
    race = result["races"][0]
    assert race["layouts"][PADDED]["times_padded"] == 1 and race["layouts"][BUCKETED]["tokens_per_second"] > 0
    assert set(race["unavailable"]) == {training_speed.NESTED}
    padding = {row["batch_utterances"]: row for row in result["padding"]}
    assert 1 < padding[8][BUCKETED] < padding[4][PADDED] < padding[16][PADDED]


def test_memory_and_time_of_lora_over_full(tiny_cases):
    result = training_memory.measure(MACHINE, (("tiny", 2),), (30, 40))
    group = result["approaches"][0]
    assert [(case["approach"], case["variant"]) for case in group["cases"]] == [
        (approach, variant) for variant in training_memory.CPU_VARIANTS for approach in training_memory.APPROACHES]
    assert group["cases"][0]["trained"] < group["cases"][1]["trained"] == group["cases"][1]["total"]
    assert all(share["step_seconds"] > 0 for share in group["lora_share_of_full"])
    assert [case["text_tokens"] for case in result["logits"]] == [30, 30, 40, 40]


def test_memory_that_was_held_for_a_moment_counts():
    memory = PeakMemory(MACHINE)
    with mmap.mmap(-1, 2**26) as pages:
        pages.write(b"1" * 2**26)
    assert 60 < memory.mib() < 140


def test_lora_at_the_released_shape_is_counted():
    result = trainable_share.measure(MACHINE)
    assert result["lora_trains"] == 7_864_320 and round(result["model_parameters"] / 1e6, 2) == 865.98
    assert result["lora_percent_of_model"] == 0.91


def test_an_epoch_of_features_is_read(tmp_path):
    written = feature_loading.write_features(tmp_path, miniature(), 0.05)
    read = feature_loading.read_epoch({"folder": str(tmp_path), "workers": 0, "batch_utterances": 4})
    assert 20 < written["utterances"] < 60 and read["utterances_per_second"] > 0


def test_the_page_says_what_was_not_measured(tmp_path):
    page = render(tmp_path)
    assert "MFU of full, 50 % or more | unmeasured | released, GPU | unmeasured" in page
    assert page.count("| unmeasured |") > 8


def test_the_page_shows_every_device(tmp_path, tiny_cases, monkeypatch):
    figures = speed()
    save(tmp_path, "training_speed", MACHINE, figures)
    gpu = Machine(MACHINE.device, "NVIDIA Test 9")
    monkeypatch.setattr(Machine, "is_cuda", property(lambda self: "NVIDIA" in self.name))
    save(tmp_path, "training_speed", gpu, figures)
    assert {path.name for path in tmp_path.iterdir()} == {"training_speed.json", "training_speed.nvidia-test-9.json"}
    assert [result["machine"]["device"] for result in load(tmp_path, "training_speed")] == [MACHINE.name, gpu.name]
    page = render(tmp_path)
    assert "NVIDIA Test 9, " in page and page.count("| tiny | 2 | bucketed |") == 2


def test_goals_and_claims_come_from_the_released_shape_where_it_was_measured(tmp_path):
    cases = [{"approach": approach, "variant": training_memory.KEPT, "peak_mib": peak, "utilisation": share}
             for approach, peak, share in (("lora", 7_000.0, 0.47), ("full", 20_000.0, 0.4))]
    groups = [{"shape": "released", "batch_utterances": batch, "cases": cases, "lora_share_of_full": [
        {"variant": training_memory.KEPT, "peak_mib": 0.35, "step_seconds": 0.8}]} for batch in (4, 8)]
    save(tmp_path, "training_memory", MACHINE, {"approaches": groups, "logits": []})
    goals, claims = goals_table(tmp_path), claims_table(tmp_path)
    assert "| MFU of LoRA, 45 % or more | 47.0% | released, batch 4, the best variant | yes |" in goals
    assert "| MFU of full, 50 % or more | 40.0% | released, batch 8, the best variant | no |" in goals
    assert "| peak of LoRA at batch 4, 8 GB or less | 7.3 GB |" in goals
    assert "| LoRA cuts memory by 60-80 % | by 65% |" in claims and "| 1.25 times |" in claims
    assert "| 7.3 GB against 21.0 GB |" in claims


def test_what_exceeds_a_claim_supports_it_as_it_does_in_the_comparison_of_strategies(tmp_path):
    groups = [{"shape": "medium", "batch_utterances": 4, "cases": [], "lora_share_of_full": [
        {"variant": training_memory.KEPT, "peak_mib": 0.1, "step_seconds": 0.1}]}]
    save(tmp_path, "training_memory", MACHINE, {"approaches": groups, "logits": []})
    claims = [line for line in claims_table(tmp_path).splitlines() if "medium, batch 4" in line]
    assert ["by 90%" in claims[0], "10.00 times" in claims[1]] == [True, True]
    assert all(line.endswith("| supported |") for line in claims) and "quality" not in claims_table(tmp_path)


def test_released_shape_is_the_presets():
    settings = released().settings
    assert (settings.model_dim, settings.layers, settings.number_text_tokens) == (1280, 24, 20_000)


def test_text_is_measured_in_sentences(monkeypatch):
    monkeypatch.setattr(text_speed, "REPEATS", 1)
    assert text_speed.measure(MACHINE)["plain"]["sentences_per_second_median"] > 0


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["speed"])
    assert "no benchmark named speed; there are trainable_share" in capsys.readouterr().err
