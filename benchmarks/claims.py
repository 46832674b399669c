"""Claims that circulate about LoRA and this model, and this project's goals, each against what was measured.

The bounds are those of compare_strategies, which answers the same claims for trainings on its own corpora.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.layouts import BUCKETED, PADDED, PUBLISHED
from benchmarks.markdown import UNMEASURED, table
from benchmarks.results_folder import Result, is_gpu, load
from stages.compare_strategies.claims import (
    COVERAGE_MIN,
    FULL_GB,
    LORA_GB,
    MEMORY_CUT_MIN,
    SPEED_TIMES_MIN,
    TRAINED_SHARE_MAX,
)
from stages.finetune.throughput import KEPT

SPEED_GOAL = 2.0
MIB_PER_GB = 1e9 / 2**20
Row = tuple[str, str, str, str, str]


def claims_table(folder: Path) -> str:
    """Claim, figure, on what, how, verdict."""
    rules = (_memory_claim, _speed_claim, _gigabytes_claim, _share_claim, _coverage_claim)
    rows = [row for rule in rules for row in rule(folder)]
    return table(("claim", "measured", "on", "how", "verdict"), rows)


def _shares(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """LoRA's share of full's memory and time, all else as by default, with where it was measured."""
    for result in load(folder, "training_memory"):
        for group in result["approaches"]:
            yield (f"{group['shape']}, batch {group['batch_utterances']}, {result['machine']['device']}",
                   next(share for share in group["lora_share_of_full"] if share["variant"] == KEPT))


def _verdict(holds: bool) -> str:
    return "supported" if holds else "not supported"


def _with_released(rows: list[Row], claim: str) -> list[Row]:
    """The rows, and one that says so where the released shape is missing."""
    if any("released" in where for _, _, where, _, _ in rows):
        return rows
    return [*rows, (claim, UNMEASURED, "released, GPU", "the same", UNMEASURED)]


def _memory_claim(folder: Path) -> list[Row]:
    claim = "LoRA cuts memory by 60-80 %"
    rows = [(claim, _cut(1 - share["peak_mib"]), where, "peak of a step from an empty process, equal batch",
             _verdict(1 - share["peak_mib"] >= MEMORY_CUT_MIN)) for where, share in _shares(folder)]
    return _with_released(rows, claim)


def _cut(share: float) -> str:
    return f"by {share:.0%}" if share >= 0 else f"raises it by {-share:.0%}"


def _speed_claim(folder: Path) -> list[Row]:
    claim = "LoRA is 3-5 times faster"
    rows = [(claim, f"{1 / share['step_seconds']:.2f} times", where, "median step on the same rows",
             _verdict(1 / share["step_seconds"] >= SPEED_TIMES_MIN)) for where, share in _shares(folder)]
    return _with_released(rows, claim)


def _gigabytes_claim(folder: Path) -> list[Row]:
    claim = "8-12 GB against 24-32 GB"
    rows: list[Row] = []
    for batch, cases in _released(folder):
        lora, full = (cases[approach, KEPT]["peak_mib"] / MIB_PER_GB for approach in ("lora", "full"))
        rows.append((claim, f"{lora:.1f} GB against {full:.1f} GB", f"released, batch {batch}", "peak of a step",
                     _verdict(LORA_GB[0] <= lora <= LORA_GB[1] and FULL_GB[0] <= full <= FULL_GB[1])))
    return rows or [(claim, UNMEASURED, "released, GPU", "peak of a step", UNMEASURED)]


def _share_claim(folder: Path) -> list[Row]:
    claim = "LoRA at rank 16 trains 0.1 %"
    return [
        (claim, f"{result['lora_trains']:,} of {result['model_parameters']:,}: {result['lora_percent_of_model']} %; "
         f"{result['lora_and_new_rows_percent_of_model']} % with {result['new_pieces']:,} new pieces' rows",
         "released, four targets", "counted", _verdict(result["lora_percent_of_model"] < 100 * TRAINED_SHARE_MAX))
        for result in load(folder, "trainable_share")[:1]
    ] or [(claim, UNMEASURED, "released", "counted", UNMEASURED)]


def _coverage_claim(folder: Path) -> list[Row]:
    claim = "the vocabulary covers 99.9 % of characters"
    for result in load(folder, "vocabulary_coverage"):
        coverage = result["held_out_character_coverage"]
        if coverage is not None:
            return [(claim, f"{coverage:.2%} of held-out sentences", f"miniature, {result['new_pieces']} new pieces",
                     "train_vocabulary", _verdict(coverage >= COVERAGE_MIN))]
    return [(claim, UNMEASURED, "-", "train_vocabulary, after `make run`", UNMEASURED)]


def goals_table(folder: Path) -> str:
    """Goal, figure, where, whether it is met."""
    rows = [*_speed_goals(folder), *_released_goals(folder)]
    return table(("goal", "measured", "on", "met"), rows)


def _speed_goals(folder: Path) -> Iterator[tuple[str, ...]]:
    results = load(folder, "training_speed")
    for result in results:
        for race in result["races"]:
            where = f"{race['shape']}, batch {race['batch_utterances']}, {result['machine']['device']}"
            speeds = {name: figures["tokens_per_second"] for name, figures in race["layouts"].items()}
            for goal, other in (("twice the padded layout's tokens/s, all else equal", PADDED),
                                ("the same against the trainers as published", PUBLISHED)):
                if {BUCKETED, other} <= speeds.keys():
                    ratio = speeds[BUCKETED] / speeds[other]
                    yield goal, f"{ratio:.2f} times", where, _met(ratio >= SPEED_GOAL)
            packed = [speed for name, speed in speeds.items() if name.startswith("packed")]
            if packed and BUCKETED in speeds:
                ratio = speeds[BUCKETED] / max(packed)
                yield "as fast as the fastest packed layout, to 5 %", f"{ratio:.2f} times", where, _met(ratio >= 0.95)
    if not any(map(is_gpu, results)):
        yield "twice the padded layout's tokens/s", UNMEASURED, "released, GPU", UNMEASURED


def _released_goals(folder: Path) -> Iterator[tuple[str, ...]]:
    """MFU and memory of the released shape."""
    goals: list[tuple[str, int, str, str, Callable[[float], bool]]] = [
        ("MFU of LoRA, 45 % or more", 4, "lora", "utilisation", lambda share: share >= 0.45),
        ("MFU of full, 50 % or more", 8, "full", "utilisation", lambda share: share >= 0.50),
        ("peak of LoRA at batch 4, 8 GB or less", 4, "lora", "peak_mib", lambda mib: mib <= 8 * MIB_PER_GB),
        ("peak of full at batch 8, 24 GB or less", 8, "full", "peak_mib", lambda mib: mib <= 24 * MIB_PER_GB),
    ]
    measured = dict(_released(folder))
    for goal, batch, approach, figure, holds in goals:
        found = [case[figure] for (name, _), case in measured.get(batch, {}).items() if name == approach]
        values = [value for value in found if value is not None]
        if not values:
            yield goal, UNMEASURED, "released, GPU", UNMEASURED
            continue
        best = max(values) if figure == "utilisation" else min(values)
        said = f"{best:.1%}" if figure == "utilisation" else f"{best / MIB_PER_GB:.1f} GB"
        yield goal, said, f"released, batch {batch}, the best variant", _met(holds(best))


def _released(folder: Path) -> Iterator[tuple[int, dict[tuple[str, str], Result]]]:
    """Cases of the released shape by batch, then by approach and variant."""
    for result in load(folder, "training_memory"):
        for group in result["approaches"]:
            if group["shape"] == "released":
                yield (group["batch_utterances"],
                       {(case["approach"], case["variant"]): case for case in group["cases"]})


def _met(holds: bool) -> str:
    return "yes" if holds else "no"
