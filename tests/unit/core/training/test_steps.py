import pytest
import torch

from stages.core.training.features import FeatureSet
from stages.core.training.steps import StepPlan, cut_evenly, read_ahead
from tests.tiny import SETTINGS
from tests.unit.core.training.test_features import make_features


@pytest.mark.parametrize("rows, processes, most", [(16, 1, 0), (16, 2, 3), (5, 4, 1), (3, 4, 2), (1, 3, 0), (17, 3, 4)])
def test_every_row_is_computed_once_and_all_processes_make_equally_many_passes(rows, processes, most):
    cuts = [cut_evenly(rows, rank, processes, most) for rank in range(processes)]
    assert sorted(place for own in cuts for cut in own for place in cut) == list(range(rows))
    assert len({len(own) for own in cuts}) == 1
    assert not most or max(len(cut) for own in cuts for cut in own) <= most


def plan(folder, rank=0, processes=1, micro=0):
    rows = FeatureSet(folder, lambda row: row.split == "train")
    return StepPlan(rows, SETTINGS, [[0, 1, 2, 3, 4], [3, 2]], "1 0", rank, processes, micro, False)


def test_counts_are_those_of_the_global_batch_on_every_process(tmp_path):
    make_features(tmp_path)
    steps = [plan(tmp_path, rank, 2, 1)[0] for rank in range(2)]
    supervised = sum(len(part.batch.code_at) for step in steps for part in step.parts)
    assert steps[0].code_tokens == steps[1].code_tokens == supervised
    assert [len(step.parts) for step in steps] == [3, 3]
    assert steps[0].utterances == steps[1].utterances == ["u0", "u1", "u2", "u3", "u4"]
    assert len(steps[1].parts[2].batch.code_at) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_ahead_changes_nothing(tmp_path, workers):
    make_features(tmp_path)
    steps = list(read_ahead(plan(tmp_path), 0, workers, pin=False))
    assert [step.utterances for step in steps] == [["u0", "u1", "u2", "u3", "u4"], ["u3", "u2"]]
    for step, again in zip(steps, (plan(tmp_path)[0], plan(tmp_path)[1]), strict=True):
        assert torch.equal(step.parts[0].batch.conditioning, again.parts[0].batch.conditioning)
    assert [step.utterances for step in read_ahead(plan(tmp_path), 1, workers, pin=False)] == [["u3", "u2"]]
