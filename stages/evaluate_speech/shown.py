"""The samples that are kept as audio, for the report and for ears: some that stand for all, and the worst."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import write_jsonl
from stages.core.audio.files import write_audio
from stages.evaluate_speech.config import Config
from stages.evaluate_speech.cross_entropy import Sentence
from stages.evaluate_speech.draw import spread
from stages.evaluate_speech.listen import Heard, Hearing, Sample
from stages.evaluate_speech.words import Words

Judged = tuple[Sample, Heard | None]


def write_samples(folder: Path, samples: list[Sample], hearing: Hearing | None, config: Config) -> None:
    """Write samples.jsonl of the first draw, the same readings for every phase, and worst.jsonl of all draws.

    Both are empty where there is nothing to show.
    """
    heard: Sequence[Heard | None] = hearing.samples if hearing else [None] * len(samples)
    judged = list(zip(samples, heard, strict=True))
    first = [(sample, one) for sample, one in judged if sample.drawn.draw == 0]
    write_list(folder, "samples.jsonl", "", spread(first, config.shown_utterances))
    write_list(folder, "worst.jsonl", "worst-", worst_of(judged, config.worst_utterances))


def write_list(folder: Path, name: str, prefix: str, judged: Sequence[Judged]) -> None:
    """Write a list, and the audio of its lines as <prefix><number>.wav."""
    lines = []
    for number, (sample, one) in enumerate(judged):
        file = f"{prefix}{number:02d}.wav"
        write_audio(folder / file, sample.audio, sample.reading.sample_rate_hz)
        lines.append({"file": file} | describe(sample) | describe_heard(one))
    write_jsonl(folder / name, lines)


def worst_of(judged: Sequence[Judged], most: int) -> list[Judged]:
    """The samples with the most errors for their length, one of a sentence, the worst first; none without a judge."""
    heard = [(sample, one) for sample, one in judged if one is not None]
    worst: dict[Sentence, Judged] = {}
    for sample, one in sorted(heard, key=lambda pair: -error_share(pair[1])):
        worst.setdefault(one.sentence, (sample, one))
    return list(worst.values())[:most]


def error_share(one: Heard) -> float:
    """Errors over the text's length."""
    return one.comparison.symbol_errors / max(one.comparison.symbols, 1)


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
