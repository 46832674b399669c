import pytest

from stages.core.params.phases import ancestors, find_cycle, gate_problems, phase_order, phase_problems


def test_hybrid_schedule_is_sound_and_ordered_by_its_starts():
    starts = {"polish": "full", "lora": "base", "full": "lora"}
    assert phase_problems(starts) == []
    assert phase_order(starts) == ["lora", "full", "polish"]


def test_independent_phases_keep_the_order_of_the_file():
    assert phase_order({"full": "base", "lora": "base"}) == ["full", "lora"]


def test_cycle_is_named_from_its_first_to_its_last_member():
    assert find_cycle({"first": "second", "second": "third", "third": "second"}) == ["second", "third", "second"]
    with pytest.raises(ValueError, match="second -> third -> second"):
        phase_order({"first": "second", "second": "third", "third": "second"})


def test_phase_that_starts_from_itself_is_a_cycle():
    assert any("a -> a" in problem for problem in phase_problems({"a": "a"}))


@pytest.mark.parametrize(
    ("starts", "said"),
    [
        ({}, "at least one phase"),
        ({"Lora": "base"}, "must match"),
        ({"1st": "base"}, "must match"),
        ({"lora\n": "base"}, "must match"),
        ({"base": "base"}, "cannot name a phase"),
        ({"lora_gated": "base"}, "must not end with _gated: what a gate hands on does (got 'lora_gated')"),
        ({"lora": "base_gated"}, "phases.lora.start_from: must be one of base, lora (got 'base_gated')"),
        ({"lora": "full_gated", "full": "lora"}, "lora -> full -> lora"),
        ({"lora": "fulll"}, "phases.lora.start_from: must be one of base, lora (got 'fulll')"),
    ],
)
def test_unsound_schedule_names_field_rule_and_value(starts, said):
    assert any(said in problem for problem in phase_problems(starts))


GATED = {"lora": "base", "full": "lora_gated", "polish": "full"}


def test_a_schedule_through_gates_is_ordered_like_one_without():
    assert phase_problems(GATED) == []
    assert phase_order(dict(reversed(GATED.items()))) == ["lora", "full", "polish"]
    assert ancestors("polish", GATED) == ["full", "lora_gated", "base"]
    assert gate_problems({"lora": "base"}, GATED, "polish") == []
    assert gate_problems({"lora": "base", "polish": "lora_gated"}, GATED, "polish_gated") == []


@pytest.mark.parametrize(
    ("gates", "exported", "said"),
    [
        ({"lora": "base", "full": "lora_gated"}, "polish", "phases.polish.start_from: must be full_gated, since"),
        ({"lora": "base", "polish": "full"}, "polish", "export_model.phase: must be polish_gated, since"),
        ({}, "polish", "phases.full.start_from: must be lora, which has no gate (got 'lora_gated')"),
        ({"lora": "base"}, "polish_gated", "export_model.phase: must be polish, which has no gate"),
        ({"lora": "full"}, "polish", "gate_phase.lora.previous: must be one of base, which lora is made"),
        ({"lora": "base", "anneal": "base"}, "polish", "gate_phase.anneal: must be one of lora, full, polish"),
    ],
)
def test_gates_that_do_not_fit_the_schedule_name_the_field_and_the_fix(gates, exported, said):
    [problem] = gate_problems(gates, GATED, exported)
    assert problem.startswith(said)
