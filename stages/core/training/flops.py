"""Model FLOPs utilisation (Chowdhery et al., 2022): FLOPs the maths needs, over what the device can do."""

from collections.abc import Sequence

import torch

from stages.core.model.settings import GptSettings

FRAME_TOKENS = 5  # two speed tokens, start and stop of the text, start of the codes
PEAK_BFLOAT16_FLOPS = {  # dense, from the vendors' data sheets
    "H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12, "A10": 125e12,
    "RTX 4090": 165e12, "RTX 3090": 71e12,
}


def peak_flops(device: torch.device) -> float | None:
    """bfloat16 peak of a known GPU; None for others and for the CPU."""
    return peak_flops_of(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def peak_flops_of(gpu: str) -> float | None:
    """bfloat16 peak of the GPU of a name, as the driver or a data sheet writes it; None for unknown ones."""
    return next((peak for known, peak in PEAK_BFLOAT16_FLOPS.items() if known in gpu), None)


def work_of(settings: GptSettings, rows: Sequence[tuple[int, int]], weights_trained: bool) -> tuple[int, float]:
    """Supervised tokens of rows, and FLOPs of forward and backward.

    Each weight costs 2 a position forward, 2 for the gradient of its input and, where the weights themselves are
    trained, 2 for theirs; adapters are left out as small. Causal attention costs half of 4 T D a position and pass.

    Args:
        rows: tokens of the text and codes of each, without start or stop. Their supervised positions, a stop each more,
            are the only ones that meet a head; padding is left out.
    """
    dim, passes = settings.model_dim, 3 if weights_trained else 2
    positions = [settings.condition_num_latent + FRAME_TOKENS + text + codes for text, codes in rows]
    text_tokens, code_tokens = sum(text + 1 for text, _ in rows), sum(codes + 1 for _, codes in rows)
    blocks = settings.layers * 12 * dim**2 * 2 * sum(positions) * passes
    classes = text_tokens * (settings.number_text_tokens + 1) + code_tokens * settings.number_mel_codes
    heads = classes * dim * 2 * passes
    attention = settings.layers * 2 * dim * sum(length**2 for length in positions) * 3
    return text_tokens + code_tokens, blocks + heads + attention
