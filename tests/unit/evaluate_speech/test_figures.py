import pytest

from stages.evaluate_speech.figures import mean_figure, ratio_figure


def test_a_ratio_weighs_utterances_by_their_length():
    figure = ratio_figure([(1.0, 10.0), (9.0, 10.0), (20.0, 80.0)], seed=0)
    assert figure["mean"] == pytest.approx(0.3) and figure["n"] == 3
    assert figure["low"] < 0.3 < figure["high"]


def test_no_spread_gives_no_interval():
    assert mean_figure([0.5] * 10, seed=0) == {"mean": 0.5, "low": 0.5, "high": 0.5, "n": 10}


def test_the_interval_covers_what_theory_says():
    # 400 throws of a fair coin: standard error 0.025, so 95 % is about 0.05 each way
    figure = mean_figure([0.0, 1.0] * 200, seed=1)
    assert figure["high"] - figure["low"] == pytest.approx(0.098, abs=0.012)


def test_nothing_measured_is_none():
    assert ratio_figure([], seed=0) is None
