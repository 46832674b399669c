"""What one process computes in one optimiser step: its micro-batches, and the token counts of the whole global batch.

Loss sums divided by the global counts give the same gradient however a batch is cut and over however many processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.data import DataLoader, Dataset

from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import Batch
from stages.core.training.batching import Row, collate
from stages.core.training.features import FeatureSet
from stages.core.training.objective import Teaching


@dataclass(frozen=True)
class Part:
    """One micro-batch.

    Attributes:
        batch: its rows.
        teaching: its replay rows for the teacher; None where there are none or nobody teaches.
    """

    batch: Batch
    teaching: Teaching | None

    def to(self, device: torch.device) -> "Part":
        taught = self.teaching
        moved = Teaching(taught.rows.to(device), taught.at.to(device, non_blocking=True)) if taught else None
        return Part(self.batch.to(device), moved)

    def pin_memory(self) -> "Part":
        taught = self.teaching
        return Part(self.batch.pin_memory(),
                    Teaching(taught.rows.pin_memory(), taught.at.pin_memory()) if taught else None)


@dataclass(frozen=True)
class StepData:
    """One optimiser step.

    Attributes:
        utterances: ids of the global batch.
        parts: micro-batches of this process; equally many on every process.
        text_tokens, code_tokens: supervised tokens of the global batch.
        replay_code_tokens: those of the codes that belong to replay rows.
    """

    utterances: list[str]
    parts: list[Part]
    text_tokens: int
    code_tokens: int
    replay_code_tokens: int

    def pin_memory(self) -> "StepData":
        return replace(self, parts=[part.pin_memory() for part in self.parts])


@dataclass(frozen=True)
class StepPlan(Dataset[StepData]):
    """The steps of one epoch, read when asked for.

    Attributes:
        batches: row indices of each global batch.
        seed: decides, with the utterance, which prompt it gets.
        rank, processes: which process this is, of how many.
        micro_batch_utterances: most rows of one forward pass; 0 for no limit.
        taught: whether a teacher will look at the replay rows.
    """

    rows: FeatureSet
    settings: GptSettings
    batches: list[list[int]]
    seed: str
    rank: int
    processes: int
    micro_batch_utterances: int
    taught: bool

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: int) -> StepData:
        indices = self.batches[place]
        utterances = [self.rows.utterances[index] for index in indices]
        cuts = cut_evenly(len(indices), self.rank, self.processes, self.micro_batch_utterances)
        parts = [self._part([indices[at] for at in cut]) if cut else self._idle_part(indices[0]) for cut in cuts]
        return StepData(
            [row.id for row in utterances], parts,
            sum(row.text_tokens + 1 for row in utterances), sum(row.code_tokens + 1 for row in utterances),
            sum(row.code_tokens + 1 for row in utterances if row.role == "base"),
        )

    def _part(self, indices: Sequence[int]) -> Part:
        rows = [self.rows.row_with_random_prompt(index, self.seed) for index in indices]
        return Part(collate(rows, self.settings), teaching_of(rows, self.settings) if self.taught else None)

    def _idle_part(self, index: int) -> Part:
        """A row without supervision: what a process computes while others finish a batch too small to share."""
        batch = self._part([index]).batch
        none = batch.text_at[:0]
        return Part(replace(batch, text_at=none, text_targets=none, code_at=none, code_targets=none), None)


def teaching_of(rows: Sequence[Row], settings: GptSettings) -> Teaching | None:
    """The replay rows of a micro-batch, and where their codes are supervised in it."""
    replayed = [row for row in rows if row.replay]
    if not replayed:
        return None
    mask = torch.cat([torch.full((len(row.codes) + 1,), row.replay) for row in rows])
    return Teaching(collate(replayed, settings), mask.nonzero()[:, 0])


def cut_evenly(rows: int, rank: int, processes: int, most: int) -> list[range]:
    """Places of the micro-batches of one process, in equal number on every process; some may be empty.

    Args:
        rows: of the global batch.
        most: rows a micro-batch may hold; 0 for no limit.
    """
    largest_share = -(-rows // processes)
    count = -(-largest_share // most) if most else 1
    own = range(rank, rows, processes)
    return [own[part::count] for part in range(count)]


def read_ahead(plan: StepPlan, first: int, workers: int, pin: bool) -> Iterator[StepData]:
    """The steps from `first` on, prepared by worker processes while the device computes; 0 workers: in this process."""
    loader: DataLoader[StepData] = DataLoader(
        plan, batch_size=None, sampler=range(first, len(plan)), num_workers=workers, pin_memory=pin,
        worker_init_fn=_use_one_thread,
    )
    yield from loader


def _use_one_thread(worker: int) -> None:
    torch.set_num_threads(1)
