"""Peak memory and step time of LoRA and of full fine-tuning: activations kept, recomputed, or the blocks compiled.

Each case runs in a process of its own (benchmarks.memory_case). What is measured: see PeakMemory; it starts before the
model is built, so that weights, gradients, optimiser state and activations all count. The peak is that of the widest
batch of a pool of 16 (rows near 15 s), the step time that of its middle batch.

`logits`: the same for the two ways to compute a loss, the public trainers' (all logits of both heads at once) and the
product's (supervised positions, in chunks), as the text vocabulary grows; weights and gradients are taken off.
"""

from typing import Any

from benchmarks.device import Machine, run_in_child
from stages.finetune.throughput import KEPT, RECOMPUTED

CASE_MODULE = "benchmarks.memory_case"
APPROACHES = ("lora", "full")
COMPILED = "blocks compiled"
CPU_VARIANTS, CUDA_VARIANTS = (KEPT, RECOMPUTED), (KEPT, RECOMPUTED, COMPILED)
LOGIT_LAYOUTS = ("padded", "bucketed")
CPU_CASES = (("miniature", 8), ("medium", 4))
CUDA_CASES = (("released", 4), ("released", 8))
VOCABULARIES = (2_000, 60_000)


def measure(
    machine: Machine, cases: tuple[tuple[str, int], ...] | None = None, vocabularies: tuple[int, ...] = VOCABULARIES
) -> dict[str, Any]:
    """All cases of a device.

    Args:
        cases: (shape, utterances a batch).
    """
    chosen = cases or (CUDA_CASES if machine.is_cuda else CPU_CASES)
    variants = CUDA_VARIANTS if machine.is_cuda else CPU_VARIANTS
    return {
        "approaches": [compare_approaches(shape, batch, variants) for shape, batch in chosen],
        "logits": [run_in_child(CASE_MODULE, {"kind": "logits", "layout": layout, "text_tokens": rows})
                   for rows in vocabularies for layout in LOGIT_LAYOUTS],
    }


def compare_approaches(shape: str, batch_utterances: int, variants: tuple[str, ...]) -> dict[str, Any]:
    """LoRA and full in each variant, and LoRA's share of full's memory and time."""
    measured = {
        (approach, variant): run_in_child(CASE_MODULE, {
            "kind": "approach", "shape": shape, "batch_utterances": batch_utterances, "approach": approach,
            "variant": variant})
        for variant in variants for approach in APPROACHES
    }
    return {
        "shape": shape, "batch_utterances": batch_utterances, "cases": list(measured.values()),
        "lora_share_of_full": [
            {"variant": variant, **{
                figure: round(measured["lora", variant][figure] / measured["full", variant][figure], 3)
                for figure in ("peak_mib", "step_seconds")}}
            for variant in variants
        ],
    }
