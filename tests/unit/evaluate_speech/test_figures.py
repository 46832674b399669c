import pytest

from stages.evaluate_speech.figures import FIGURES, HEADLINE, Measured, make_figure, make_figures, take_headline


def test_a_ratio_weighs_utterances_by_their_length():
    figure = make_figure([Measured("a", 1, 10), Measured("b", 9, 10), Measured("c", 20, 80)], seed=0)
    assert figure["mean"] == pytest.approx(0.3) and (figure["n"], figure["sentences"]) == (3, 3)
    assert figure["low"] < 0.3 < figure["high"]


def test_no_spread_gives_no_interval():
    values = [Measured(name, 0.5) for name in range(10)]
    assert make_figure(values, seed=0) == {"mean": 0.5, "low": 0.5, "high": 0.5, "n": 10, "sentences": 10}


def test_the_interval_covers_what_theory_says():
    # 400 throws of a fair coin: standard error 0.025, so 95 % is about 0.05 each way
    figure = make_figure([Measured(place, place % 2) for place in range(400)], seed=1)
    assert figure["high"] - figure["low"] == pytest.approx(0.098, abs=0.012)


def test_readings_of_one_sentence_are_one_witness():
    # 25 sentences, each with 16 readings that all agree: the interval is that of 25 throws, four times as wide
    readings = [Measured(place % 25, place % 25 % 2) for place in range(400)]
    alone = [Measured(place, place % 2) for place in range(25)]
    together, few = make_figure(readings, seed=1), make_figure(alone, seed=1)
    assert (together["n"], together["sentences"]) == (400, 25)
    assert together["high"] - together["low"] == pytest.approx(few["high"] - few["low"])
    assert together["high"] - together["low"] > 0.35


def test_a_single_sentence_has_no_interval():
    assert make_figure([Measured("a", 0.2), Measured("a", 0.4)], seed=0) == {
        "mean": pytest.approx(0.3), "low": None, "high": None, "n": 2, "sentences": 1,
    }


def test_nothing_measured_is_none():
    assert make_figure([], seed=0) is None
    assert make_figure([Measured("a", 0, 0)], seed=0) is None


def test_every_figure_has_its_name_and_no_other_does():
    figures = make_figures({"stop_rate": [Measured("a", 1.0), Measured("b", 0.0)]}, seed=0)
    assert tuple(figures) == FIGURES and figures["stop_rate"]["mean"] == 0.5
    assert [name for name, figure in figures.items() if figure] == ["stop_rate"]
    with pytest.raises(ValueError, match="stop_rat$"):
        make_figures({"stop_rat": []}, seed=0)


def test_the_headline_holds_means_of_what_was_measured():
    figures = make_figures({"stop_rate": [Measured("a", 1.0)], "too_long_rate": [Measured("a", 1.0)]}, seed=0)
    assert take_headline(figures) == {"stop_rate": 1.0}
    assert set(HEADLINE) <= set(FIGURES)
