import copy
from pathlib import Path

import pytest
import yaml

from stages import schema
from stages.compare_strategies.config import Config, resolve_phases
from stages.compare_strategies.plan import PASSED_ON, check_phases, choose_rows, phase_ends, plan_runs
from stages.core.errors import ParamsError
from stages.core.params.strict import parse_section, read_params
from stages.core.training.features import Utterance
from stages.core.training.plan import EpochPlan
from stages.finetune.config import Phase

ROOT = Path(__file__).resolve().parents[3]
PARAMS = read_params(ROOT / "params.yaml")


def make_config(**changes):
    return parse_section(Config, {**PARAMS["compare_strategies"], **changes}, "params.yaml", "compare_strategies")


def planned(config):
    sections = {name: PARAMS[name] for name in ("phases", *PASSED_ON)}
    return {run.name: (run, content) for run, content in plan_runs(config, sections)}


def rows_of(role, split, count, speakers=2):
    return [Utterance(f"{role}-{split}-{number}", f"{role}{number % speakers}", "am", role, split, "a", number, "p",
                      5 + number % 4, 20 + number % 9) for number in range(count)]


def test_every_strategy_has_a_run_of_each_seed_and_corpus_and_learning_rate():
    runs = planned(make_config())
    assert len(runs) == 4 * (2 * 3 + 2)
    assert {"lora-small-1", "full-large-3", "hybrid-rate-0.3", "hybrid_without_replay-rate-3.0"} <= runs.keys()
    run, content = runs["hybrid-rate-3.0"]
    assert (run.seed, run.corpus, run.approaches, run.replays) == (1, "large", ["lora", "full", "lora"], True)
    shipped = PARAMS["phases"]
    for name, phase in content["phases"].items():
        assert phase["learning_rate"] == pytest.approx(3 * shipped[name]["learning_rate"])
        Phase.model_validate(phase)
    assert [phase["start_from"] for phase in content["phases"].values()] == ["base", "lora", "full"]
    assert runs["hybrid-small-2"][1]["finetune"] == {**PARAMS["finetune"], "seed": 2}


def test_a_strategy_without_replay_differs_from_the_one_with_it_in_nothing_else():
    runs = planned(make_config())
    one, other = (copy.deepcopy(runs[f"{name}-large-1"][1]) for name in ("hybrid", "hybrid_without_replay"))
    for phase in other["phases"].values():
        assert (phase.pop("replay_share"), phase.pop("replay_kl_weight")) == (0.0, 0.0)
    for phase in one["phases"].values():
        assert phase.pop("replay_share") > 0 and phase.pop("replay_kl_weight") > 0
    assert one == other
    assert not runs["hybrid_without_replay-large-1"][0].replays


@pytest.mark.parametrize("preset", ["miniature", "indextts2"])
def test_every_strategy_sees_equally_many_tokens_to_within_a_step(preset):
    """Each phase takes what is left up to its end, so that its last step's surplus is the next one's shortfall."""
    params = read_params(ROOT / "presets" / f"{preset}.yaml")
    config = parse_section(Config, {**params["compare_strategies"], "tokens": 9000}, preset, "compare_strategies")
    train = rows_of("target", "train", 90) + rows_of("base", "train", 30)
    for strategy in config.compared:
        phases = resolve_phases(config.strategies[strategy], params["phases"])
        seen = largest = 0
        for (_, phase), end in zip(phases.items(), phase_ends(config, strategy), strict=True):
            rows = train if phase["replay_share"] else train[:90]
            plan = EpochPlan(rows, phase["batch_utterances"], phase["replay_share"], 1)
            steps = plan.steps_to(end - seen, 10_000)
            batches = [batch for epoch in range(20) for batch in plan.batches(epoch)][:steps]
            tokens = [sum(rows[index].text_tokens + rows[index].code_tokens + 2 for index in batch)
                      for batch in batches]
            seen, largest = seen + sum(tokens), max(largest, *tokens)
        assert 0 <= seen - config.tokens < largest, strategy


def test_a_smaller_corpus_lies_in_a_larger_one_and_texts_go_as_a_whole():
    train = rows_of("target", "train", 400, speakers=4)
    rest = rows_of("target", "test", 9) + rows_of("base", "train", 9)
    texts = {row.id: f"text {number // 4}" for number, row in enumerate(train)}
    sizes = {share: {row.id for row in choose_rows(train + rest, texts, share)} for share in (0.1, 0.25, 0.6, 1.0)}
    assert sizes[0.1] < sizes[0.25] < sizes[0.6] < sizes[1.0] == {row.id for row in train + rest}
    for share, chosen in sizes.items():
        assert {row.id for row in rest} <= chosen
        assert abs(len(chosen - {row.id for row in rest}) / 400 - share) < 0.12
        assert all(len({row.id in chosen for row in train[first : first + 4]}) == 1 for first in range(0, 400, 4))


def test_a_speaker_of_whom_one_row_would_stay_is_left_out_for_want_of_a_prompt():
    train = rows_of("target", "train", 3, speakers=3) + [*rows_of("target", "train", 4, speakers=1)]
    rows = [row for number, row in enumerate(train) if number > 0]
    kept = choose_rows(rows, {row.id: row.id for row in rows}, 1.0)
    assert {row.speaker for row in kept} == {"target0"}


@pytest.mark.parametrize("changes, said", [
    ({"seeds": [1, 1]}, r"seeds: each only once"),
    ({"rate_factors": [3]}, r"rate_factors: each must have a decimal point \(got 3\)"),
    ({"rate_factors": [1.0]}, r"rate_factors: must not hold 1"),
    ({"corpora": {"small": 0.5, "large": 0.5}}, r"small must be less than large \(got 0.5 and 0.5\)"),
    ({"compared": ["full", "fool"]}, r"compared: must be of .*\(got 'fool'\)"),
    ({"reference": "fool"}, r"reference: must be of .*\(got 'fool'\)"),
    ({"strategies": {"full": [{"like": "full", "tokens_share": 0.9}]}, "compared": ["full"]},
     r"must sum to 1 \(got 0.9"),
    ({"strategies": {"full": [{"like": "full", "tokens_share": 1.0, "changes": {"epochs": 3}}]}, "compared": ["full"]},
     r"changes must not hold epochs"),
])
def test_a_wrong_comparison_is_told_before_any_work(changes, said):
    with pytest.raises(Exception, match=said):
        make_config(**changes)


@pytest.mark.parametrize("phase, said", [
    ({"like": "full", "tokens_share": 1.0, "changes": {"dropuot": 0.1}}, "strategies.full.full.dropuot: unknown key"),
    ({"like": "full", "tokens_share": 1.0, "changes": {"replay_share": 0.0}}, "replay_kl_weight must be 0"),
])
def test_a_strategy_that_makes_no_sound_phase_is_told_with_the_other_params(phase, said, tmp_path):
    params = copy.deepcopy(PARAMS)
    params["compare_strategies"]["strategies"]["full"] = [phase]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    with pytest.raises(Exception) as caught:
        schema.check_params(path)
    assert said in str(caught.value)


def test_another_schedule_needs_no_edit_of_the_comparison_which_then_names_all_that_it_lacks(tmp_path):
    params = copy.deepcopy(PARAMS)
    params["phases"] = {"lora": params["phases"]["lora"]}
    params["export_model"]["phase"] = "lora"
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    schema.check_params(path)
    with pytest.raises(ParamsError) as caught:
        check_phases(make_config(compared=["full", "hybrid", "lora"]), params["phases"])
    assert len(caught.value.problems) == 3 and "like must be one of lora (got 'polish')" in str(caught.value)
