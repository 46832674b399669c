"""Spans of a source to utterances on disk."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from stages.core.audio.espeak import synthesise
from stages.core.audio.files import resample, write_audio
from stages.core.params.shared import SpeakerConfig, SplitsConfig
from stages.core.text.latin import clean_latin
from stages.core.text.spans import Span, read_spans, shuffle_words
from stages.prepare_corpus.config import Config, SourceConfig


@dataclass(frozen=True)
class Job:
    """One utterance to speak: its manifest row so far, and how."""

    row: dict[str, Any]
    voice: str
    speaker: SpeakerConfig
    sample_rate_hz: int
    path: Path


def plan_source(
    source: SourceConfig, config: Config, normalise: Callable[[str], str], splits: SplitsConfig, folder: Path
) -> tuple[list[Job], list[dict[str, str]]]:
    """Jobs of a source, and the rows that its texts cannot give, with their reasons."""
    reader = normalise if source.role == "target" else clean_latin
    jobs, rejected = [], []
    for code, language in source.languages.items():
        spans = read_spans(Path(language.text), reader, source.words_per_utterance_max, splits)
        rejected += [{"source": language.text, "text": span.text, "reason": span.rejected}
                     for span in spans if span.rejected]
        usable = unique([span for span in spans if not span.rejected and span.split in source.splits])
        wanted = thin_training(usable, source.training_spans_max)
        jobs += [_job(code, language.voice, source.role, index, span, speaker, config, folder)
                 for speaker in source.speakers
                 for index, span in enumerate([*wanted, *shuffled_spans(wanted, source, speaker, splits.seed)])]
    return jobs, rejected


def thin_training(spans: list[Span], most: int) -> list[Span]:
    """At most `most` training spans, evenly spread over the text; 0 keeps all. Held-out spans stay."""
    training = [span for span in spans if span.split == "train"]
    if not most or len(training) <= most:
        return spans
    kept = {training[place * len(training) // most].text_normalised for place in range(most)}
    return [span for span in spans if span.split != "train" or span.text_normalised in kept]


def shuffled_spans(spans: list[Span], source: SourceConfig, speaker: SpeakerConfig, seed: int) -> list[Span]:
    """The training words in random order, differently for each speaker and reading."""
    texts = [text for reading in range(source.shuffled_readings)
             for text in shuffle_words(spans, source.words_per_utterance_max, f"{seed} {speaker.variant} {reading}")]
    return [Span(text, text, "train") for text in texts]


def unique(spans: list[Span]) -> list[Span]:
    """Each normalised text once."""
    return list({span.text_normalised: span for span in spans}.values())


def _job(
    language: str, voice: str, role: str, index: int, span: Span, speaker: SpeakerConfig, config: Config, folder: Path
) -> Job:
    name = f"{language}-{speaker.variant}"
    identifier = f"{name}-{index:05d}"
    row = {
        "id": identifier, "audio": f"audio/{identifier}.flac", "text": span.text,
        "text_normalised": span.text_normalised, "language": language, "role": role,
        "speaker": name, "split": span.split,
    }
    return Job(row, voice, speaker, config.sample_rate_hz, folder / row["audio"])


def speak_all(jobs: list[Job], workers: int) -> Iterator[dict[str, Any]]:
    """Speak jobs in parallel; rows come in the order of the jobs, with `duration_seconds`."""
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=torch.set_num_threads,
                             initargs=(1,)) as pool:
        yield from pool.map(speak, jobs, chunksize=32)


def speak(job: Job) -> dict[str, Any]:
    """Speak one job to its file."""
    samples, rate_hz = synthesise(job.row["text_normalised"], job.voice, job.speaker)
    audio = resample(samples, rate_hz, job.sample_rate_hz)
    write_audio(job.path, audio, job.sample_rate_hz)
    return {**job.row, "duration_seconds": round(len(audio) / job.sample_rate_hz, 4)}
