import math

import pytest

from stages.compare_strategies.claims import Answer, answer_claims, at_least, say_advantage
from stages.compare_strategies.comparison import Comparison, Figure, Result, figure_of, parse_result
from stages.compare_strategies.page import render_page

APPROACHES = {"lora": ("lora",), "full": ("full",), "hybrid": ("lora", "full", "lora"),
              "hybrid_without_replay": ("lora", "full", "lora")}
BASE = {"code_cross_entropy": 5.0, "phone_error_rate": 0.9, "base_language_cross_entropy": 2.5}
SCALE = {
    "parameters": 1_500_000, "model": "1.5 M parameters", "tokens": 1000, "seeds": [1, 2, 3], "runs": 24,
    "corpora": {"small": "small corpus, 5 minutes", "large": "large corpus, 20 minutes"}, "device": "cpu, 1 thread(s)",
    "dates": ["2026-01-01"], "vocabulary": {"new_pieces": 260, "held_out_character_coverage": 0.9995},
}
MEANS = {"lora": 2.4, "full": 2.0, "hybrid": 2.1, "hybrid_without_replay": 2.05}


def make_results(means, noise=0.01, factors=(), **figures):
    """Runs whose cross-entropy lies around a mean a strategy; phone error and base language follow it."""
    results = []
    for strategy, mean in means.items():
        cells = [(corpus, seed, 1.0) for corpus in ("small", "large") for seed in (1, 2, 3)]
        for corpus, seed, factor in [*cells, *(("large", 1, factor) for factor in factors)]:
            codes = mean + noise * (seed - 2) + (0.3 if corpus == "small" else 0.0) + 0.1 * abs(math.log(factor))
            values = {
                "code_cross_entropy": codes, "phone_error_rate": 0.2 * codes, "tokens_seen": 1000.0,
                "base_language_cross_entropy": 5.5 if strategy == "hybrid_without_replay" else 2.7,
                "trained_parameters": 250_000.0 if strategy == "lora" else 1_500_000.0,
                "training_memory_gib": 0.2 if strategy == "lora" else 0.3, "peak_memory_gib": 0.8,
                "tokens_per_second": 6000.0 if strategy == "lora" else 4000.0, "training_seconds": 100.0,
            }
            results.append(Result(strategy, corpus, seed, factor, APPROACHES[strategy],
                                  strategy != "hybrid_without_replay", False, values | figures))
    return results


def compare(results, base=BASE):
    return Comparison(results, base, "full")


def verdicts(comparison, claim, word="", corpus=""):
    return [answer.verdict for answer in answer_claims(comparison, SCALE)
            if answer.claim == claim and word in answer.measured and corpus in answer.on]


def test_an_interval_over_three_values_is_students():
    figure = figure_of([1.0, 2.0, 3.0])
    assert (figure.mean, figure.least, figure.most, figure.spread, figure.n) == (2.0, 1.0, 3.0, 2.0, 3)
    assert figure.high - figure.mean == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)


def test_one_value_has_no_interval_and_a_missing_one_leaves_the_figure_unmeasured():
    assert figure_of([1.5]) == Figure(1.5, None, None, 1.5, 1.5, 1)
    assert figure_of([1.0, None]) is None is figure_of([])


def test_quality_is_the_share_of_the_references_gain_over_the_base():
    comparison = compare(make_results(MEANS, noise=0.0))
    assert comparison.quality("full", "large", "code_cross_entropy").mean == pytest.approx(1.0)
    assert comparison.quality("lora", "large", "code_cross_entropy").mean == pytest.approx((5.0 - 2.4) / (5.0 - 2.0))
    assert comparison.quality("lora", "small", "phone_error_rate").mean == pytest.approx((0.9 - 0.54) / (0.9 - 0.46))
    assert compare(make_results(MEANS), base={}).quality("lora", "large", "code_cross_entropy") is None


def test_differences_are_taken_between_runs_of_one_seed():
    """Noise that both share cancels, however large."""
    figure = compare(make_results(MEANS, noise=0.5)).advantage("full", "hybrid", "large", "code_cross_entropy")
    assert figure.mean == pytest.approx(0.1) and figure.high - figure.low < 1e-6


def test_spread_over_learning_rates_is_taken_at_one_seed_and_unmeasured_where_one_diverged():
    results = make_results(MEANS, factors=(0.3, 3.0))
    comparison = compare(results)
    assert list(comparison.over_rates("lora", "code_cross_entropy")) == [0.3, 1.0, 3.0]
    assert comparison.rate_spread("lora", "code_cross_entropy") == pytest.approx(0.1 * math.log(1 / 0.3))
    gone = [one if one.rate_factor != 3.0 or one.strategy != "full" else
            Result(one.strategy, one.corpus, one.seed, 3.0, one.approaches, True, True, {}) for one in results]
    assert compare(gone).rate_spread("full", "code_cross_entropy") is None
    page = render_page(compare(gone), SCALE, [])
    assert "diverged: full, large corpus, seed 1, learning rates x 3" in page


def test_where_hybrid_loses_the_page_says_so():
    comparison = compare(make_results(MEANS))
    assert set(verdicts(comparison, "hybrid is better than full")) == {"not supported"}
    assert set(verdicts(comparison, "hybrid is better than lora")) == {"supported"}
    page = render_page(comparison, SCALE, answer_claims(comparison, SCALE))
    assert "hybrid does not win everywhere: better in 4 of 8 comparisons with its parts, worse in 4" in page
    assert "large corpus: lowest code cross-entropy: full, 2.000" in page
    worst = compare(make_results(MEANS | {"hybrid": 2.6}))
    assert "hybrid does not win: better in none of 8" in render_page(worst, SCALE, answer_claims(worst, SCALE))


def test_where_hybrid_wins_the_page_says_so_too():
    comparison = compare(make_results(MEANS | {"hybrid": 1.8}))
    page = render_page(comparison, SCALE, answer_claims(comparison, SCALE))
    assert "hybrid wins: it is better than its parts on every corpus and measure" in page


def test_a_difference_that_seeds_turn_round_is_undecided():
    results = [one if one.strategy != "hybrid" else
               Result(one.strategy, one.corpus, one.seed, 1.0, one.approaches, True, False,
                      {**one.figures, "code_cross_entropy": 2.0 + (0.2, -0.3, 0.1)[one.seed - 1]})
               for one in make_results(MEANS) if one.corpus == "large"]
    assert verdicts(compare(results), "hybrid is better than full", "code") == ["undecided"]


@pytest.mark.parametrize("figure, told", [
    (Figure(0.2, 0.1, 0.3, 0.1, 0.3, 3), "error lower by 0.200 (0.100 to 0.300)"),
    (Figure(-0.2, -0.3, 0.1, -0.3, 0.1, 3), "error higher by 0.200 (-0.100 to 0.300)"),
    (Figure(-0.2, None, None, -0.2, -0.2, 1), "error higher by 0.200 (one seed)"), (None, "error unmeasured"),
])
def test_a_strategy_that_is_worse_is_told_so_in_words(figure, told):
    assert say_advantage("error", figure) == told


@pytest.mark.parametrize("figure, verdict", [
    (None, "unmeasured"), (Figure(0.97, None, None, 0.97, 0.97, 1), "undecided"),
    (Figure(0.97, 0.96, 0.98, 0.96, 0.98, 3), "supported"), (Figure(0.9, 0.88, 0.92, 0.88, 0.92, 3), "not supported"),
    (Figure(0.95, 0.9, 1.0, 0.92, 0.98, 3), "undecided"),
])
def test_a_bound_is_reached_only_by_the_whole_interval(figure, verdict):
    assert at_least(figure, 0.95) == verdict


def test_every_claim_in_circulation_is_answered_with_its_scale():
    answers = {answer.claim: answer for answer in answer_claims(compare(make_results(MEANS)), SCALE)}
    told = {claim: (answer.measured, answer.verdict) for claim, answer in answers.items()}
    assert told["LoRA cuts memory by 60-80 %"] == ("33% less", "not supported")
    assert told["LoRA is 3-5 times faster"] == ("1.50 times the tokens a second", "not supported")
    assert told["8-12 GB against 24-32 GB"] == ("speaks of the released size", "unmeasured")
    assert told["LoRA trains 0.1 % of the parameters"][1] == "not supported"
    assert told["the vocabulary covers 99.9 % of characters"] == ("99.95% of held-out text", "supported")
    assert told["hybrid forgets less than hybrid_without_replay"][1] == "supported"
    assert {"lora reaches 95% of full's quality", "lora reaches 85% of full's quality"} <= told.keys()
    assert all("parameters" in answer.on or "pieces" in answer.on for answer in answers.values())


def test_at_the_released_size_the_claim_in_gigabytes_is_answered():
    scale = {**SCALE, "parameters": 865_980_000}
    results = make_results(MEANS, training_memory_gib=10.0)
    [answer] = [one for one in answer_claims(compare(results), scale) if one.claim == "8-12 GB against 24-32 GB"]
    assert (answer.measured, answer.verdict) == ("10.7 GB against 10.7 GB", "not supported")


def test_what_was_not_measured_is_called_so_everywhere():
    results = make_results(MEANS, phone_error_rate=None, training_memory_gib=None)
    comparison = compare(results)
    assert set(verdicts(comparison, "hybrid is better than full", "phone error")) == {"unmeasured"}
    assert verdicts(comparison, "LoRA cuts memory by 60-80 %") == ["unmeasured"]
    page = render_page(comparison, SCALE, answer_claims(comparison, SCALE))
    assert "| phone error | unmeasured | unmeasured | unmeasured | unmeasured |" in page


def test_a_comparison_without_lora_alone_asks_nothing_of_it():
    comparison = compare(make_results({name: MEANS[name] for name in ("full", "hybrid")}))
    claims = [answer.claim for answer in answer_claims(comparison, SCALE)]
    assert not [claim for claim in claims if "reaches" in claim or "better than lora" in claim]
    assert isinstance(answer_claims(comparison, SCALE)[0], Answer)


def test_a_runs_metrics_become_a_result():
    metrics = {
        "run": {"strategy": "lora", "corpus": "small", "seed": 2, "rate_factor": 1.0, "approaches": ["lora"],
                "replays": True}, "diverged": None,
        "evaluation": {"code_cross_entropy": {"mean": 2.0, "low": 1.9, "high": 2.1, "n": 5}, "stop_rate": None},
        "trained_parameters": 10, "training_memory_gib": 0.1, "peak_memory_gib": 0.2, "tokens_per_second": 5.0,
        "training_seconds": None, "tokens_seen": 100,
    }
    result = parse_result(metrics)
    assert result.get("code_cross_entropy") == 2.0
    assert result.get("stop_rate") is None is result.get("training_seconds")
