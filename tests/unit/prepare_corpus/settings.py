"""Settings of audio and gates for tests, without a whole params file."""

from types import SimpleNamespace
from typing import Any

STANDARD: dict[str, Any] = {
    "sample_rate_hz": 16_000, "duration_seconds_min": 0.5, "duration_seconds_max": 12.0, "loudness": "none",
    "loudness_target_db": -23.0, "trim_silence": False, "trim_below_db": 40.0, "trim_pad_seconds": 0.1,
    "clipped_share_max": 0.01, "silence_share_max": 0.5, "latin_share_max": 0.5,
}


def settings(**changed: Any) -> Any:
    return SimpleNamespace(**STANDARD | changed)
