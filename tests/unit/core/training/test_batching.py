import torch

from stages.core.training.batching import length_bucketed


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
