"""The one line a log point that a person reads."""


def print_progress(figures: dict[str, float], timings: dict[str, float]) -> None:
    """Print step, losses, rate, speed and time left."""
    parts = [f"step {int(figures['step']):>5}", f"tokens {int(figures['tokens_seen']):>9,}"]
    parts += [f"{name} {value:.4g}" for name, value in figures.items() if name not in ("step", "tokens_seen")]
    if timings:
        minutes, seconds = divmod(int(timings["eta_seconds"]), 60)
        parts += [f"{timings['tokens_per_second']:,.0f} tokens/s", f"ETA {minutes}:{seconds:02d}"]
    print("  ".join(parts), flush=True)
