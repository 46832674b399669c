"""The one line a log point that a person reads."""

SHORT = {
    "text_cross_entropy": "text", "code_cross_entropy": "code", "replay_divergence": "kl", "learning_rate": "lr",
    "gradient_norm": "norm", "validation_code_cross_entropy": "validation code", "validation_code_top1": "top-1",
    "validation_base_code_cross_entropy": "base languages code", "validation_base_code_top1": "top-1",
}


def print_progress(figures: dict[str, float], timings: dict[str, float], steps_per_epoch: int,
                   total_steps: int) -> None:
    """Print step, epoch, losses, rate, gradient norm, speed, use of the device, memory and time left."""
    step = int(figures["step"])
    parts = [f"step {step:>6}/{total_steps}",
             f"epoch {step / steps_per_epoch:.2f}/{total_steps / steps_per_epoch:.3g}"]
    parts += [f"{SHORT.get(name, name)} {value:.4g}" for name, value in figures.items()
              if name not in ("step", "tokens_seen")]
    if timings:
        minutes, seconds = divmod(int(timings["eta_seconds"]), 60)
        parts.append(f"{timings['tokens_per_second']:,.0f} tokens/s")
        parts += [f"MFU {100 * timings['mfu']:.1f} %"] if "mfu" in timings else []
        parts += [f"{timings['memory_gib']:.2f} GiB"] if "memory_gib" in timings else []
        parts.append(f"ETA {minutes}:{seconds:02d}")
    print("  ".join(parts), flush=True)
