"""The samples that are kept as audio, for the report and for ears."""

from pathlib import Path
from typing import Any

from stages.core.artifacts.files import write_jsonl
from stages.core.audio.files import write_audio
from stages.evaluate_speech.draw import spread
from stages.evaluate_speech.listen import Heard, Hearing, Sample
from stages.evaluate_speech.words import Words


def write_samples(folder: Path, samples: list[Sample], hearing: Hearing | None, most: int) -> None:
    """Write audio of the first draw, and what was heard; without samples an empty list."""
    heard = hearing.samples if hearing else [None] * len(samples)
    pairs = [(sample, one) for sample, one in zip(samples, heard, strict=True) if sample.drawn.draw == 0]
    lines = []
    for number, (sample, one) in enumerate(spread(pairs, most)):
        name = f"{number:02d}.wav"
        write_audio(folder / name, sample.audio, sample.reading.sample_rate_hz)
        lines.append({"file": name} | describe(sample) | describe_heard(one))
    write_jsonl(folder / "samples.jsonl", lines)


def describe(sample: Sample) -> dict[str, Any]:
    """What was asked for, and how long it became."""
    line, reading = sample.reading.line, sample.reading
    return {
        "id": line["id"], "text": line["text_normalised"], "speaker": line["speaker"],
        "stopped": sample.drawn.stopped, "duration_seconds": round(len(sample.audio) / reading.sample_rate_hz, 3),
        "reference": line["audio"], "prompt": reading.prompt_line["audio"],
    }


def describe_heard(one: Heard | None) -> dict[str, Any]:
    """The judge's writing beside the text; nothing without a judge."""
    if one is None:
        return {}
    symbols = "phones" if one.comparison.word_errors is None else "characters"
    return {"symbols": symbols, "expected": write_words(one.expected, symbols),
            "heard": write_words(one.written, symbols), "errors": one.comparison.symbol_errors,
            "length": one.comparison.symbols}


def write_words(words: Words, symbols: str) -> str:
    """Phones parted by spaces, or words as they are written."""
    inside, between = (" ", " ") if symbols == "phones" else ("", " ")
    return between.join(inside.join(word) for word in words)
