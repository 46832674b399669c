import torch

from stages.core.training.features import Utterance
from stages.core.training.plan import EpochPlan, length_bucketed


def test_every_row_comes_once_and_batches_hold_similar_lengths():
    lengths = torch.randint(10, 300, (500,), generator=torch.Generator().manual_seed(0)).tolist()
    batches = length_bucketed(lengths, 8, torch.Generator().manual_seed(1))
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert padded < 1.15 * sum(lengths)


def test_the_order_is_the_generators():
    lengths = list(range(100))
    first, same, other = (length_bucketed(lengths, 8, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert first == same != other


def utterances(targets, replays):
    return [Utterance(f"{role}{index}", "s", "am", role, "train", "shard", index, "p", 5, 20 + index % 9)
            for role, count in (("target", targets), ("base", replays)) for index in range(count)]


def test_every_target_row_comes_once_an_epoch_and_replay_has_its_share():
    rows = utterances(90, 30)
    plan = EpochPlan(rows, 8, 0.1, 3)
    for epoch in range(4):
        met = [rows[index] for batch in plan.batches(epoch) for index in batch]
        assert sorted(row.id for row in met if row.role == "target") == sorted(row.id for row in rows[:90])
        assert sum(row.role == "base" for row in met) == 10
    assert len({len(plan.batches(epoch)) for epoch in range(4)}) == 1


def test_replay_rows_come_equally_often_over_epochs():
    rows = utterances(90, 30)
    plan = EpochPlan(rows, 8, 0.1, 3)
    met = [rows[index].id for epoch in range(6) for batch in plan.batches(epoch) for index in batch]
    assert {met.count(row.id) for row in rows if row.role == "base"} == {2}


def test_fewer_replay_rows_than_their_share_are_met_again():
    rows = utterances(30, 4)
    met = [index for batch in EpochPlan(rows, 8, 0.25, 3).batches(0) for index in batch]
    assert sum(index >= 30 for index in met) == 10


def test_steps_to_a_number_of_tokens_end_with_the_step_that_reaches_it():
    rows = utterances(40, 5)
    plan = EpochPlan(rows, 8, 0.1, 3)
    met = [sum(rows[index].text_tokens + rows[index].code_tokens + 2 for index in batch)
           for epoch in range(3) for batch in plan.batches(epoch)]
    for steps in (1, 4, len(met)):
        assert plan.steps_to(sum(met[:steps]), 3) == steps
        assert plan.steps_to(sum(met[:steps]) - 1, 3) == steps
    assert plan.steps_to(sum(met) + 1, 3) == len(met)
