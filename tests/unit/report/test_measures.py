from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.evaluate_speech.figures import FIGURES
from stages.report.measures import GROUPS, KNOWN, METRICS, Measure, compare, parse_measures, write_interval, write_value

ERROR, TOP1 = KNOWN["phone_error_rate"], KNOWN["code_top1"]


def test_every_form_of_a_figure_is_read():
    content = {"number": 2, "null": None, "whole": {"mean": 1.5, "low": 1, "high": 2, "n": 60}, "mean": {"mean": 0.5}}
    assert parse_measures(content, Path("metrics.json")) == {
        "number": Measure(2), "null": Measure(), "whole": Measure(1.5, 1, 2, 60), "mean": Measure(0.5),
    }


@pytest.mark.parametrize("value", ["high", True, float("nan"), {"low": 1}, {"mean": "1"}, [1]])
def test_figure_of_another_form_is_an_error_that_names_it(value):
    with pytest.raises(UserError, match="metrics.json: code_top1: must be null, a finite number"):
        parse_measures({"code_top1": value}, Path("metrics.json"))


def test_change_follows_the_metrics_own_direction():
    low, high = Measure(0.3, 0.28, 0.32), Measure(0.5, 0.48, 0.52)
    assert compare(high, low, ERROR) == "better"
    assert compare(low, high, ERROR) == "worse"
    assert compare(low, high, TOP1) == "better"
    assert compare(low, low, ERROR) == "same"


def test_change_within_overlapping_intervals_is_unclear():
    assert compare(Measure(0.3, 0.2, 0.4), Measure(0.35, 0.3, 0.45), ERROR) == "unclear"
    assert compare(Measure(0.3), Measure(0.35), ERROR) == "worse"


def test_nothing_is_compared_with_what_was_not_measured():
    assert compare(Measure(0.3), Measure(), ERROR) == "unmeasured"
    assert compare(Measure(0.3), Measure(0.2), KNOWN["swapped_text_cross_entropy"]) == "unmeasured"


def test_figures_are_written_in_their_unit():
    assert write_value(0.312, ERROR) == "31.2\u00a0%"
    assert write_value(1.98, KNOWN["code_cross_entropy"]) == "1.98"
    assert write_value(None, ERROR) == "unmeasured"
    assert write_interval(Measure(0.3, 0.28, 0.32), ERROR) == "28.0–32.0\u00a0%"
    assert write_interval(Measure(0.3), ERROR) == ""


def test_every_figure_of_the_evaluation_has_a_row_with_its_meaning():
    assert set(KNOWN) == set(FIGURES)
    assert all(metric.meaning and metric.group in GROUPS for metric in METRICS)
    assert len({metric.label for metric in METRICS}) == len(METRICS)
