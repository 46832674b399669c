"""Speech of a corpus from its file to samples, and brought to one rate, extent and loudness.

S samples, mono, float32, full scale is -1..1.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow
import soundfile
import torch
from torch import Tensor

from stages.core.audio.files import mono_blocks, rate_problem, resample
from stages.prepare_corpus.config import Config
from stages.prepare_corpus.embedded import open_column
from stages.prepare_corpus.levels import audible_frames, frame_samples
from stages.prepare_corpus.loudness import bring_to
from stages.prepare_corpus.utterance import Embedded, Recording

LONGEST_SECONDS = 120.0
"""More of one file is never held in memory; longer ones need segments."""

FORGIVEN_SECONDS = 0.1
"""Segments and headers are off by a little; less than this is not missed at a file's end."""

INEXACT_SEEK = ("MP3",)
"""Formats whose frames need earlier ones: after a seek other samples come out than when read through."""

OGG_PAGE, OGG_HEADER_BYTES, OGG_LAST_PAGE, OGG_PAGE_BYTES_MAX = b"OggS", 27, 4, 65_307
SHORT_OF_BYTES = re.compile(r"^\s*data *: (\d+) \(should be (\d+)\)", re.MULTILINE)
UNKNOWN_LENGTH_BYTES = 0x7FFF_0000
"""A stream that does not know its length says this much or more in its header."""


class Unusable(Exception):
    """Speech that cannot be used. `reason` says why: what kind of fault it is, a colon, the figures."""

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(reason)


def decode(speech: Recording | Embedded) -> tuple[Tensor, int]:
    """Samples [S] as recorded, all channels averaged, and their rate in Hz.

    The content says what a file is, not its name. Of a segment only its own samples are read.

    Raises:
        Unusable: missing, unreadable, truncated, empty, too long to be one utterance, of an impossible rate, or with
            samples that are no numbers.
    """
    with ExitStack() as opened:
        opened.enter_context(_silent_libraries())
        try:
            file = opened.enter_context(_open(speech))
            with soundfile.SoundFile(_handle(file), closefd=False) as sound:
                audio, rate_hz = _read_samples(sound, speech), sound.samplerate
        except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
            raise Unusable(f"unreadable audio: {_told(error)}") from None
        if isinstance(speech, Embedded) or speech.end_seconds is None:
            _check_ogg_is_whole(file, len(audio) / rate_hz)
    if len(audio) == 0:
        raise Unusable("empty audio: 0 samples")
    if strange := int((~torch.isfinite(audio)).sum()):
        raise Unusable(f"samples that are no numbers: {strange} of {len(audio)}")
    return audio, rate_hz


@contextmanager
def _open(speech: Recording | Embedded) -> Iterator[BinaryIO]:
    if isinstance(speech, Embedded):
        yield io.BytesIO(_embedded_bytes(speech))
        return
    if not speech.path.is_file():
        raise Unusable(f"missing audio: {speech.path}")
    with open(speech.path, "rb") as file:
        yield file


def _handle(file: BinaryIO) -> int | BinaryIO:
    """What libsndfile reads fastest: a descriptor, which has no name that could mislead, or else the object."""
    return file if isinstance(file, io.BytesIO) else file.fileno()


def _embedded_bytes(speech: Embedded) -> bytes:
    """The bytes of one cell: itself binary, or a struct with `bytes`."""
    try:
        changed_ns = speech.path.stat().st_mtime_ns
        cell = open_column(speech.path, changed_ns, speech.row_group, speech.column).cell(speech.row)
    except (OSError, pyarrow.ArrowException, IndexError) as error:
        open_column.cache_clear()
        raise Unusable(f"unreadable parquet: {_told(error)}") from None
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes) or not content:
        raise Unusable("missing audio: the cell holds no bytes")
    return content


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Keep what decoders print to the process's stderr (mpg123 does) out of the run's log."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _read_samples(sound: soundfile.SoundFile, speech: Recording | Embedded) -> Tensor:
    rate_hz = sound.samplerate
    if problem := rate_problem(rate_hz):
        raise Unusable(problem)
    start, end, named = 0, sound.frames, "header"
    if isinstance(speech, Recording) and (speech.start_seconds or speech.end_seconds is not None):
        start, end = _segment(speech, sound.frames, rate_hz)
        named = "segment"
    else:
        _check_wave_is_whole(sound)
    wanted = end - start
    if wanted > LONGEST_SECONDS * rate_hz:
        raise Unusable(f"too long: {wanted / rate_hz:.1f} s > {LONGEST_SECONDS:g}, give it segments")
    sound.seek(start if sound.format not in INEXACT_SEEK else 0)
    parts = list(mono_blocks(sound, start, end))
    audio = torch.from_numpy(np.concatenate(parts)) if parts else torch.zeros(0)
    if wanted - len(audio) > FORGIVEN_SECONDS * rate_hz:
        raise Unusable(f"truncated: {named} says {wanted / rate_hz:.2f} s, {len(audio) / rate_hz:.2f} s decode")
    return audio


def _segment(speech: Recording, frames: int, rate_hz: int) -> tuple[int, int]:
    """First frame and the one past the last; an end a little beyond the file is the file's."""
    length_seconds = frames / rate_hz
    end_seconds = length_seconds if speech.end_seconds is None else speech.end_seconds
    if not 0 <= speech.start_seconds < end_seconds <= length_seconds + FORGIVEN_SECONDS:
        raise Unusable(f"segment outside its file: {speech.start_seconds:g} to {end_seconds:g} s "
                       f"of {length_seconds:.2f}")
    return round(speech.start_seconds * rate_hz), min(round(end_seconds * rate_hz), frames)


def _check_wave_is_whole(sound: soundfile.SoundFile) -> None:
    """libsndfile reads what is left of a truncated WAV, and tells it in its log only."""
    if (short := SHORT_OF_BYTES.search(sound.extra_info)) is None:
        return
    said, left = int(short[1]), int(short[2])
    seconds = sound.frames / sound.samplerate
    if left < said < UNKNOWN_LENGTH_BYTES and left and (said / left - 1) * seconds > FORGIVEN_SECONDS:
        raise Unusable(f"truncated: header says {seconds * said / left:.2f} s, {seconds:.2f} s decode")


def _check_ogg_is_whole(file: BinaryIO, seconds: float) -> None:
    """An Ogg stream has no length in its header; its last page is marked as such."""
    file.seek(0)
    if file.read(len(OGG_PAGE)) != OGG_PAGE:
        return
    file.seek(-min(OGG_PAGE_BYTES_MAX, file.seek(0, os.SEEK_END)), os.SEEK_END)
    tail = file.read()
    page = tail[tail.rfind(OGG_PAGE) :].ljust(OGG_HEADER_BYTES, b"\0")
    sizes = page[OGG_HEADER_BYTES : OGG_HEADER_BYTES + page[26]]
    if not page[5] & OGG_LAST_PAGE or len(page) < OGG_HEADER_BYTES + page[26] + sum(sizes):
        raise Unusable(f"truncated: the stream breaks off, {seconds:.2f} s decode")


def _told(error: Exception) -> str:
    """The words of a library's error, without its name for the file."""
    words = str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error)
    if "not a regular file" in words:  # of a file that exists: libsndfile's words where mpg123 finds no frame
        return "no frame that can be decoded"
    return " ".join(words.split()).removeprefix("Error : ").rstrip(".")


def condition(audio: Tensor, rate_hz: int, config: Config) -> Tensor:
    """Audio [S] at `config.sample_rate_hz`, without silence at its ends, at the wanted loudness, as the params say.

    Raises:
        Unusable: the two rates have no practicable ratio.
    """
    if problem := rate_problem(rate_hz, config.sample_rate_hz):
        raise Unusable(problem)
    audio = resample(audio, rate_hz, config.sample_rate_hz)
    if config.trim_silence:
        audio = trim(audio, config.sample_rate_hz, config.trim_below_db, config.trim_pad_seconds)
    if config.loudness != "none":
        audio = bring_to(audio, config.sample_rate_hz, config.loudness, config.loudness_target_db)
    return audio


def trim(audio: Tensor, rate_hz: int, below_db: float, pad_seconds: float) -> Tensor:
    """Audio [S] from the first to the last frame of speech, with a pad where the recording has one.

    Speech is what lies at most `below_db` under the loud part; audio without any stays as it is.
    """
    heard = audible_frames(audio, rate_hz, below_db).nonzero().flatten()
    if len(heard) == 0:
        return audio
    size, pad = frame_samples(rate_hz), round(pad_seconds * rate_hz)
    return audio[max(int(heard[0]) * size - pad, 0) : (int(heard[-1]) + 1) * size + pad]
