"""Sampled codes to audio, and what the judge hears in it, in the reference, and in the reference's own codes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stages.core.artifacts.files import below
from stages.core.audio.files import read_audio
from stages.core.model.speech import SpeakingAdapter
from stages.evaluate_speech.cross_entropy import Sentence
from stages.evaluate_speech.draw import Drawn
from stages.evaluate_speech.figures import Measured, Values
from stages.evaluate_speech.judge import Judge, hear_safely
from stages.evaluate_speech.words import Comparison, Words

Line = dict[str, Any]
JUDGES_RATE_HZ = 16_000


@dataclass(frozen=True)
class Reading:
    """A held-out utterance of the corpus.

    Attributes:
        line, prompt_line: its manifest row and its prompt's.
        audio, prompt: [S] each, at `sample_rate_hz`.
        codes: of the audio [M].
    """

    sentence: Sentence
    line: Line
    prompt_line: Line
    audio: Tensor
    prompt: Tensor
    codes: Tensor
    sample_rate_hz: int


@dataclass(frozen=True)
class Sample:
    """A reading spoken by the model: audio [S]."""

    reading: Reading
    drawn: Drawn
    audio: Tensor


@dataclass(frozen=True)
class Speech:
    """What is there to listen to.

    Attributes:
        samples: of the model; none where the base cannot speak by itself.
        readings: of the corpus, each once.
        coded: the readings' own codes as audio [S], what a perfect model would give; of all readings or of none.
    """

    samples: list[Sample]
    readings: list[Reading]
    coded: list[Tensor]


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


def speak(
    drawn: Sequence[Drawn], manifest: dict[str, Line], corpus: Path, adapter: SpeakingAdapter | None, with_coded: bool
) -> Speech:
    """The corpus' side of what was drawn, and what the adapter makes of the codes; without one no samples."""
    rate_hz = adapter.sample_rate_hz if adapter else JUDGES_RATE_HZ
    readings = read_corpus(drawn, manifest, corpus, rate_hz)
    if adapter is None:
        return Speech([], list(readings.values()), [])
    samples = [Sample(reading, one, adapter.decode(one.codes, reading.prompt))
               for one in drawn for reading in [readings[one.utterance.id]]]
    coded = [adapter.decode(one.codes, one.prompt) for one in readings.values()] if with_coded else []
    return Speech(samples, list(readings.values()), coded)


def read_corpus(
    drawn: Sequence[Drawn], manifest: dict[str, Line], corpus: Path, sample_rate_hz: int
) -> dict[str, Reading]:
    """The drawn utterances by id, each once."""
    readings: dict[str, Reading] = {}
    for one in drawn:
        name, line, prompt_line = one.utterance.id, manifest[one.utterance.id], manifest[one.utterance.prompt]
        if name not in readings:
            audio, prompt = (read_audio(below(corpus, read["audio"]), sample_rate_hz) for read in (line, prompt_line))
            readings[name] = Reading(one.sentence, line, prompt_line, audio, prompt, one.row.codes, sample_rate_hz)
    return readings


def hear(speech: Speech, judge: Judge, voice_of: Callable[[Line], str]) -> Hearing:
    """Let the judge write everything down; `voice_of` gives the espeak-ng language of a manifest row."""
    texts = {one.line["id"]: judge.expect(one.line["text_normalised"], voice_of(one.line)) for one in speech.readings}

    def write(reading: Reading, audio: Tensor) -> Heard:
        expected, written = texts[reading.line["id"]], hear_safely(judge, audio, reading.sample_rate_hz)
        return Heard(reading.sentence, expected, written, judge.compare(expected, written))

    return Hearing(
        [write(sample.reading, sample.audio) for sample in speech.samples],
        [write(reading, reading.audio) for reading in speech.readings],
        [write(reading, audio) for reading, audio in zip(speech.readings, speech.coded, strict=False)],
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
