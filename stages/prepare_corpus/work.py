"""Utterances to audio on disk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from stages.core.audio.espeak import synthesise
from stages.core.audio.files import resample, write_audio
from stages.prepare_corpus.utterance import Synthesis, Utterance


@dataclass(frozen=True)
class Job:
    """One utterance to make: its manifest row so far, its speech, and where to put it."""

    row: dict[str, Any]
    speech: Synthesis
    sample_rate_hz: int
    path: Path


def plan_job(utterance: Utterance, source: str, role: str, sample_rate_hz: int, folder: Path) -> Job:
    assert isinstance(utterance.speech, Synthesis)
    row = {
        "id": utterance.id, "audio": f"audio/{utterance.id}.flac", "text": utterance.text,
        "text_normalised": utterance.text_normalised, "language": utterance.language, "role": role, "source": source,
        "speaker": utterance.speaker, "split": utterance.split,
    }
    return Job(row, utterance.speech, sample_rate_hz, folder / row["audio"])


def speak_all(jobs: Sequence[Job], workers: int) -> Iterator[dict[str, Any]]:
    """Speak jobs in parallel; rows come in the order of the jobs, with `duration_seconds`."""
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=torch.set_num_threads,
                             initargs=(1,)) as pool:
        yield from pool.map(speak, jobs, chunksize=32)


def speak(job: Job) -> dict[str, Any]:
    """Speak one job to its file."""
    samples, rate_hz = synthesise(job.speech.text, job.speech.voice, job.speech.speaker)
    audio = resample(samples, rate_hz, job.sample_rate_hz)
    write_audio(job.path, audio, job.sample_rate_hz)
    return {**job.row, "duration_seconds": round(len(audio) / job.sample_rate_hz, 4)}
