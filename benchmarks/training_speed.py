"""Training speed by layout of the batch: supervised tokens a second, in one process, layouts in turn (A B C A B C ...).

Same weights, optimiser (the product's AdamW), clip at 1 and dtype for all: float32 on a CPU, bfloat16 autocast on CUDA.
A step is: collate, forward, backward, clip, update; rows lie in memory already. Supervised tokens are text and codes
with one stop each; padding never counts.

From a pool of 16 batches, which is what the product sorts by length at a time, cut both at random and by length, each
layout takes `turns` batches that are evenly spaced by width, so that a part of the pool stands for all of it. Each
batch is stepped REPEATS times, layouts in turn, and its fastest step counts: what else runs on a machine only slows it.
On a CPU one thread is used: two that share it with anything else wait for each other, which would be measured instead.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.device import Machine
from benchmarks.layouts import BUCKETED, HALF, LAYOUTS, PADDED, PUBLISHED, Layout
from benchmarks.lengths import draw_rows, supervised_tokens
from benchmarks.shapes import SHAPES, Shape
from stages.core.model.unified_voice import SPEED_TOKENS, UnifiedVoice
from stages.core.training.batching import Row
from stages.core.training.optimiser import build_optimiser
from stages.core.training.plan import POOL_BATCHES, length_bucketed

LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-5, 0.01, 1.0
ROWS_FOR_PADDING, REPEATS = 4096, 3
ROW_BY_ROW, DENSE, NESTED = "packed, row by row", "packed, dense mask", "packed, nested tensors"
FLEX, VARLEN = "packed, flex_attention", "packed, varlen flash"


@dataclass(frozen=True)
class Race:
    """One comparison.

    Attributes:
        shape: a name of benchmarks.shapes.
        batch_utterances: rows a step.
        turns: batches that each layout takes.
        layouts: names of benchmarks.layouts.
    """

    shape: str
    batch_utterances: int
    turns: int
    layouts: tuple[str, ...]


CPU_RACES = (
    Race("miniature", 8, 8, (PADDED, BUCKETED, ROW_BY_ROW, PUBLISHED, DENSE, NESTED, FLEX, HALF)),
    Race("miniature", 16, 8, (PADDED, BUCKETED, ROW_BY_ROW, PUBLISHED)),
    Race("medium", 8, 2, (PADDED, BUCKETED, ROW_BY_ROW, PUBLISHED, HALF)),
)
CUDA_RACES = tuple(
    Race("released", batch, 16, (PADDED, BUCKETED, ROW_BY_ROW, PUBLISHED, DENSE, NESTED, FLEX, VARLEN))
    for batch in (8, 16)
)


def measure(machine: Machine, races: Sequence[Race] | None = None, shapes: dict[str, Any] = SHAPES) -> dict[str, Any]:
    """All races of a device, and how much of each layout is padding."""
    chosen = races or (CUDA_RACES if machine.is_cuda else CPU_RACES)
    with nullcontext() if machine.is_cuda else one_thread():
        measured = [run_race(machine, race, shapes[race.shape]()) for race in chosen]
    return {
        "races": measured, "threads": 1 if not machine.is_cuda else torch.get_num_threads(),
        "padding": [padding_of(shapes[chosen[-1].shape](), batch) for batch in (4, 8, 16)],
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in a single thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_race(machine: Machine, race: Race, shape: Shape) -> dict[str, Any]:
    """Tokens a second of each layout, and how many times the padded layout's that is."""
    torch.manual_seed(0)
    runner = Runner(machine, shape)
    rows = draw_rows(shape, POOL_BATCHES * race.batch_utterances, seed=0)
    batches = {bucketed: evenly_spaced(cut(rows, race.batch_utterances, bucketed), race.turns)
               for bucketed in (False, True)}
    unavailable: dict[str, str] = {}
    turns: dict[str, list[Turn]] = {}
    for name in race.layouts:
        problem = runner.warm_up(LAYOUTS[name], batches[LAYOUTS[name].bucketed])
        if problem:
            unavailable[name] = problem
    able = [name for name in race.layouts if name not in unavailable]
    for turn in range(race.turns):
        taken = {name: batches[LAYOUTS[name].bucketed][turn] for name in able}
        seconds = [{name: runner.step(LAYOUTS[name], batch) for name, batch in taken.items()} for _ in range(REPEATS)]
        for name, batch in taken.items():
            fastest = min(one[name] for one in seconds)
            turns.setdefault(name, []).append(Turn(len(batch), supervised_tokens(batch), fastest))
    return {
        "shape": race.shape, "batch_utterances": race.batch_utterances, "turns": race.turns,
        "layouts": {name: _figures(turns[name], turns.get(PADDED)) for name in turns}, "unavailable": unavailable,
    }


class Turn(NamedTuple):
    """One batch: what it held, and how long its fastest step took."""

    utterances: int
    tokens: int
    seconds: float


def _figures(own: list[Turn], padded: list[Turn] | None) -> dict[str, Any]:
    """Speed over all turns; and its ratio to the padded layout's, if that ran: over all turns, and turn by turn."""
    def speed(turns: list[Turn]) -> float:
        return sum(turn.tokens for turn in turns) / sum(turn.seconds for turn in turns)

    rate = sum(turn.utterances for turn in own) / sum(turn.seconds for turn in own)
    figures: dict[str, Any] = {"tokens_per_second": round(speed(own), 1), "utterances_per_second": round(rate, 1)}
    if padded is None:
        return figures
    ratios = [speed([one]) / speed([other]) for one, other in zip(own, padded, strict=True)]
    by_turn = {"least": round(min(ratios), 2), "median": round(median(ratios), 2), "most": round(max(ratios), 2)}
    return {**figures, "times_padded": round(speed(own) / speed(padded), 2), "times_padded_by_turn": by_turn}


class Runner:
    """One model and optimiser, stepped under any layout."""

    def __init__(self, machine: Machine, shape: Shape):
        self.machine = machine
        self.model = UnifiedVoice(shape.settings).to(machine.device).train()
        self.parameters = dict(self.model.named_parameters())
        self.optimiser = build_optimiser(self.parameters, WEIGHT_DECAY)
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE

    def warm_up(self, layout: Layout, batches: Sequence[Sequence[Row]]) -> str | None:
        """Run the shortest and the longest batch once; the reason if this device cannot."""
        try:
            for batch in (batches[0], batches[-1]) if self.machine.is_cuda else batches[:1]:
                self.step(layout, batch)
        except (RuntimeError, ValueError) as error:
            return " ".join(str(error).split())[:120]
        return None

    def step(self, layout: Layout, batch: Sequence[Row]) -> float:
        """One optimiser step; its seconds."""
        half = layout.half or self.machine.is_cuda
        autocast = torch.autocast(self.machine.device.type, torch.bfloat16) if half else nullcontext()
        with layout.setting(self.model):
            self.machine.synchronise()
            started = time.perf_counter()
            with autocast:
                loss = layout.loss_of(self.model, batch, self.machine.device)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters.values(), CLIP_NORM)
            self.optimiser.step()
            self.machine.synchronise()
            return time.perf_counter() - started


def cut(rows: Sequence[Row], batch_utterances: int, bucketed: bool) -> list[list[Row]]:
    """Batches of some rows, by similar lengths or as they come, narrowest first."""
    lengths = [len(row.text) + len(row.codes) for row in rows]
    if bucketed:
        places = length_bucketed(lengths, batch_utterances, torch.Generator().manual_seed(0))
    else:
        places = [list(range(at, at + batch_utterances)) for at in range(0, len(rows), batch_utterances)]
    return [[rows[place] for place in batch]
            for batch in sorted(places, key=lambda batch: max(lengths[place] for place in batch))]


def evenly_spaced(batches: list[list[Row]], count: int) -> list[list[Row]]:
    """`count` of them, each from the middle of its share."""
    return [batches[int((turn + 0.5) * len(batches) / count)] for turn in range(count)]


def padding_of(shape: Shape, batch_utterances: int) -> dict[str, Any]:
    """Positions that the GPT computes for each position of a packed row, over many random rows."""
    rows = draw_rows(shape, ROWS_FOR_PADDING, seed=1)
    prefix = shape.settings.condition_num_latent + SPEED_TOKENS

    def contiguous(batch: list[Row]) -> int:
        return len(batch) * max(prefix + len(row.text) + 3 + len(row.codes) for row in batch)

    def padded(batch: list[Row]) -> int:
        longest_text, longest_codes = (max(map(len, column)) for column in
                                       ([row.text for row in batch], [row.codes for row in batch]))
        return len(batch) * (prefix + longest_text + longest_codes + 4)

    real = sum(contiguous([row]) for row in rows)
    random, bucketed = cut(rows, batch_utterances, False), cut(rows, batch_utterances, True)
    return {"shape": shape.name, "batch_utterances": batch_utterances,
            PADDED: round(sum(map(padded, random)) / real, 2),
            BUCKETED: round(sum(map(contiguous, bucketed)) / real, 2)}
