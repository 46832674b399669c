"""Which rows stand in which optimiser step: every target row once an epoch, a share of base-language rows between them.

The plan is a function of seed and epoch alone, so a resumed run, or one on other machines, meets the same batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stages.core.training.features import Utterance

POOL_BATCHES = 16


@dataclass(frozen=True)
class EpochPlan:
    """The batches of every epoch.

    Attributes:
        utterances: target rows, and rows of role `base` for replay.
        batch_utterances: rows an optimiser step, over all processes.
        replay_share: share of the rows of an epoch that are replay.
        seed: of the order.
    """

    utterances: Sequence[Utterance]
    batch_utterances: int
    replay_share: float
    seed: int

    def batches(self, epoch: int) -> list[list[int]]:
        """Row indices of each batch of an epoch; the number of batches is the same in every epoch."""
        targets = [index for index, row in enumerate(self.utterances) if row.role == "target"]
        replay = [index for index, row in enumerate(self.utterances) if row.role == "base"]
        wanted = round(len(targets) * self.replay_share / (1 - self.replay_share)) if replay else 0
        chosen = targets + self._replay_rows(replay, epoch * wanted, wanted)
        lengths = [self.utterances[index].text_tokens + self.utterances[index].code_tokens for index in chosen]
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        return [[chosen[place] for place in batch]
                for batch in length_bucketed(lengths, self.batch_utterances, generator)]

    def steps_to(self, tokens: int, epochs: int) -> int:
        """Steps in which so many supervised tokens are met, the last one whole; all steps if the epochs hold less."""
        steps = 0
        for epoch in range(epochs):
            for batch in self.batches(epoch):
                if tokens <= 0:
                    return steps
                rows = (self.utterances[index] for index in batch)
                tokens -= sum(row.text_tokens + 1 + row.code_tokens + 1 for row in rows)
                steps += 1
        return steps

    def _replay_rows(self, rows: list[int], start: int, count: int) -> list[int]:
        """Rows start..start + count of an endless series of shuffles, so that all come equally often over epochs."""
        picked: list[int] = []
        while len(picked) < count:
            turn, place = divmod(start + len(picked), len(rows))
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.seed * 7_919 + turn))
            picked += [rows[index] for index in order[place : place + count - len(picked)].tolist()]
        return picked


def length_bucketed(lengths: Sequence[int], batch_utterances: int, generator: torch.Generator) -> list[list[int]]:
    """Batches of similar lengths in random order, every row once.

    Rows are shuffled, cut into pools of 16 batches, sorted by length inside a pool; the batches are shuffled.
    """
    order = torch.randperm(len(lengths), generator=generator).tolist()
    pool = POOL_BATCHES * batch_utterances
    batches = []
    for start in range(0, len(order), pool):
        ranked = sorted(order[start : start + pool], key=lambda index: lengths[index])
        batches += [ranked[at : at + batch_utterances] for at in range(0, len(ranked), batch_utterances)]
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
