import pytest

from stages.core.params.phases import find_cycle, phase_order, phase_problems


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
        ({"lora": "fulll"}, "phases.lora.start_from: must be one of base, lora (got 'fulll')"),
    ],
)
def test_unsound_schedule_names_field_rule_and_value(starts, said):
    assert any(said in problem for problem in phase_problems(starts))
