"""Texts that espeak-ng reads aloud: every span by every speaker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from stages.core.params.shared import LanguageConfig, SpeakerConfig, SplitsConfig
from stages.core.params.strict import StrictModel
from stages.core.text.invented import further_readings
from stages.core.text.spans import Span, read_spans
from stages.prepare_corpus.sources.fields import LanguageCode, Role, SourceName
from stages.prepare_corpus.utterance import Rejected, Synthesis, Utterance


class EspeakSource(StrictModel):
    """Texts that espeak-ng reads aloud, each by every speaker."""

    kind: Literal["espeak"]
    name: SourceName
    role: Role
    languages: dict[LanguageCode, LanguageConfig] = Field(min_length=1, description="by ISO 639 code")
    words_per_utterance_max: int = Field(ge=1, le=60, description="longer sentences are cut, words")
    training_spans_max: int = Field(ge=0, description="training spans of each language, evenly chosen; 0 for all")
    shuffled_readings: int = Field(
        ge=0, le=20, description="more readings by every speaker: the training words in random order"
    )
    invented_readings: int = Field(
        ge=0, le=20, description="more readings by every speaker: as many invented words of the same letters"
    )
    splits: list[Literal["train", "validation", "test"]] = Field(min_length=1, description="splits that are spoken")
    speakers: list[SpeakerConfig] = Field(min_length=1)


def read(
    source: EspeakSource, normalise: Callable[[str], str], splits: SplitsConfig
) -> Iterator[Utterance | Rejected]:
    """Utterances of a source, and the spans that cannot be spoken.

    Raises:
        UserError: a text is missing or is not UTF-8.
    """
    for code, language in source.languages.items():
        spans = read_spans(Path(language.text), normalise, source.words_per_utterance_max, splits)
        yield from (Rejected(language.text, span.text, span.rejected) for span in spans if span.rejected)
        usable = unique([span for span in spans if not span.rejected and span.split in source.splits])
        wanted = thin_training(usable, source.training_spans_max)
        for speaker in source.speakers:
            readings = [*wanted, *read_further(wanted, source, f"{splits.seed} {speaker.variant}")]
            for index, span in enumerate(readings):
                yield _utterance(code, language, index, span, speaker)


def thin_training(spans: list[Span], most: int) -> list[Span]:
    """At most `most` training spans, evenly spread over the text; 0 keeps all. Held-out spans stay."""
    training = [span for span in spans if span.split == "train"]
    if not most or len(training) <= most:
        return spans
    kept = {training[place * len(training) // most].text_normalised for place in range(most)}
    return [span for span in spans if span.split != "train" or span.text_normalised in kept]


def read_further(spans: list[Span], source: EspeakSource, seed: str) -> list[Span]:
    """The training words in random order, and invented words, differently for each seed and reading."""
    texts = further_readings(spans, source.words_per_utterance_max, seed, range(source.shuffled_readings),
                             range(source.invented_readings))
    return [Span(text, text, "train") for text in texts]


def unique(spans: list[Span]) -> list[Span]:
    """Each normalised text once."""
    return list({span.text_normalised: span for span in spans}.values())


def _utterance(code: str, language: LanguageConfig, index: int, span: Span, speaker: SpeakerConfig) -> Utterance:
    name = f"{code}-{speaker.variant}"
    return Utterance(f"{name}-{index:05d}", span.text, code, name,
                     Synthesis(span.text_normalised, language.voice, speaker), language.text,
                     span.text_normalised, span.split)
