"""Sampled codes to audio, and what the judge hears in it, in the reference, and in the reference's own codes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stages.core.audio.files import read_audio
from stages.core.model.speech import SpeakingAdapter
from stages.evaluate_speech.cross_entropy import Sentence
from stages.evaluate_speech.draw import Drawn
from stages.evaluate_speech.figures import Measured, Values
from stages.evaluate_speech.judge import Judge, hear_safely
from stages.evaluate_speech.words import Comparison, Words

Line = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """A held-out utterance of the corpus.

    Attributes:
        line, prompt_line: its manifest row and its prompt's.
        audio, prompt: [S] each, at `sample_rate_hz`.
        coded: the audio through codes and back [S], what a perfect model would give; None where it is not asked for.
    """

    sentence: Sentence
    line: Line
    prompt_line: Line
    audio: Tensor
    prompt: Tensor
    coded: Tensor | None
    sample_rate_hz: int


@dataclass(frozen=True)
class Sample:
    """A reading spoken by the model: audio [S]."""

    reading: Reading
    drawn: Drawn
    audio: Tensor


@dataclass(frozen=True)
class Heard:
    """What the judge wrote of some audio, beside what the text would be."""

    sentence: Sentence
    expected: Words
    written: Words
    comparison: Comparison


@dataclass(frozen=True)
class Hearing:
    """All that the judge heard; each reading once, each sample in its order."""

    samples: list[Heard]
    references: list[Heard]
    coded: list[Heard]


def speak(drawn: Sequence[Drawn], manifest: dict[str, Line], corpus: Path, adapter: SpeakingAdapter,
          with_coded: bool = True) -> list[Sample]:
    """Decode what was sampled, each in its prompt's voice."""
    readings: dict[str, Reading] = {}
    for one in drawn:
        if one.utterance.id not in readings:
            readings[one.utterance.id] = read_corpus(one, manifest, corpus, adapter, with_coded)
    return [Sample(reading, one, adapter.decode(one.codes, reading.prompt))
            for one in drawn for reading in [readings[one.utterance.id]]]


def read_corpus(one: Drawn, manifest: dict[str, Line], corpus: Path, adapter: SpeakingAdapter,
                with_coded: bool) -> Reading:
    """The corpus' side of a drawn utterance."""
    line, prompt_line = manifest[one.utterance.id], manifest[one.utterance.prompt]
    audio, prompt = (read_audio(corpus / read["audio"], adapter.sample_rate_hz) for read in (line, prompt_line))
    coded = adapter.decode(one.row.codes, prompt) if with_coded else None
    return Reading(one.sentence, line, prompt_line, audio, prompt, coded, adapter.sample_rate_hz)


def readings_of(samples: Iterable[Sample]) -> list[Reading]:
    """Each reading once."""
    return list({sample.reading.line["id"]: sample.reading for sample in samples}.values())


def hear(samples: Sequence[Sample], judge: Judge, voice_of: Callable[[Line], str]) -> Hearing:
    """Let the judge write everything down; `voice_of` gives the espeak-ng language of a manifest row."""
    readings = readings_of(samples)
    texts = {one.line["id"]: judge.expect(one.line["text_normalised"], voice_of(one.line)) for one in readings}

    def write(reading: Reading, audio: Tensor) -> Heard:
        expected, written = texts[reading.line["id"]], hear_safely(judge, audio, reading.sample_rate_hz)
        return Heard(reading.sentence, expected, written, judge.compare(expected, written))

    return Hearing(
        [write(sample.reading, sample.audio) for sample in samples],
        [write(reading, reading.audio) for reading in readings],
        [write(reading, reading.coded) for reading in readings if reading.coded is not None],
    )


def measure_errors(heard: Sequence[Heard], judge: Judge, prefix: str) -> Values:
    """The judge's error rates, as figures with a prefix."""
    amounts = {name: [Measured(one.sentence, *error_of(one.comparison, name)) for one in heard]
               for name in judge.figures}
    return {f"{prefix}{name}": values for name, values in amounts.items()}


def error_of(comparison: Comparison, figure: str) -> tuple[int, int]:
    """Errors, and of how many."""
    if figure == "word_error_rate":
        return comparison.word_errors or 0, comparison.words
    return comparison.symbol_errors, comparison.symbols


def measure_faults(heard: Sequence[Heard], prefix: str) -> Values:
    """Words left out and words said again, as figures with a prefix."""
    return {
        f"{prefix}skipped_word_rate": [
            Measured(one.sentence, one.comparison.skipped, one.comparison.words) for one in heard
        ],
        f"{prefix}repeated_word_rate": [
            Measured(one.sentence, one.comparison.repeated, one.comparison.repeatable) for one in heard
        ],
    }
