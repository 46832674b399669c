"""Rows to audio on disk, shard by shard, on all cores."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor

from stages.core.artifacts.files import refusal
from stages.core.artifacts.progress import Progress
from stages.core.audio import espeak, files
from stages.core.errors import UserError
from stages.core.text import latin
from stages.core.text.config import TextConfig, settings_hash
from stages.prepare_corpus import audio as speech_audio
from stages.prepare_corpus import embedded, gates, levels, loudness
from stages.prepare_corpus.audio import Unusable, condition, decode
from stages.prepare_corpus.config import Config
from stages.prepare_corpus.gates import audio_problem, recording_problem, text_problem
from stages.prepare_corpus.reading import Row, text_reader
from stages.prepare_corpus.shards import Made, Shard, ShardStore, audio_file, audio_hash
from stages.prepare_corpus.utterance import Rejected, Synthesis, Utterance

CODE = (speech_audio, embedded, gates, levels, loudness, espeak, files, latin)
DECIDED_LATER = {"sources", "characters_per_second_deviations_max"}


@dataclass(frozen=True)
class Recipe:
    """What decides, besides a row itself, what becomes of it."""

    config: Config
    text: TextConfig

    def fingerprint(self) -> str:
        """Hash of settings and code."""
        settings = self.config.model_dump_json(exclude=DECIDED_LATER) + settings_hash(self.text)
        code = [Path(str(module.__file__)) for module in CODE] + [Path(__file__)]
        return hashlib.sha256(settings.encode() + b"".join(path.read_bytes() for path in code)).hexdigest()


def shard_key(rows: Sequence[Row], role: str, recipe_fingerprint: str) -> str:
    """Hash of recipe and rows, and of size and time of change of the files that hold their speech."""
    digest = hashlib.sha256(f"{recipe_fingerprint} {role}".encode())
    states: dict[Path, str] = {}
    for row in rows:
        if isinstance(row, Rejected):
            digest.update(repr(row.reason).encode("utf-8", "replace"))
            continue
        digest.update(repr((row.text, row.text_normalised, row.speech)).encode("utf-8", "replace"))
        if not isinstance(row.speech, Synthesis):
            path = row.speech.path
            digest.update((states[path] if path in states else states.setdefault(path, file_state(path))).encode())
    return digest.hexdigest()[:24]


def file_state(path: Path) -> str:
    """Size and time of change of a file, or that there is none."""
    try:
        state = path.stat()
    except OSError:
        return "missing"
    return f"{state.st_size} {state.st_mtime_ns}"


def make_shards(shards: Sequence[Shard], store: ShardStore, recipe: Recipe, processes: int) -> None:
    """Make the shards that are not there yet, or no longer as they were made, telling how far it is.

    Raises:
        UserError: the system refuses a write or a read, or a process died.
    """
    progress = Progress("utterances", sum(shard.rows for shard in shards))
    store.drop_damaged(shards)
    missing = list({shard.key: shard for shard in shards if not store.is_made(shard)}.values())
    progress.skip(progress.total - sum(shard.rows for shard in missing))
    if progress.done:
        print(f"{store.root}: goes on; {progress.done} of {progress.total} rows are there", flush=True)
    began, hours = monotonic(), 0.0
    try:
        with worker_pool(processes) as pool:
            working = {pool.submit(make_shard, shard, store, recipe): shard for shard in missing}
            for future in as_completed(working):
                hours += future.result() / 3600
                rate = hours / (monotonic() - began)
                progress.advance(working[future].rows, f"{hours:.2f} h of audio, {rate:.4f} h/s")
    except OSError as error:
        raise UserError(f"{refusal(error, store.root)}; finished shards are kept and the next start goes on from "
                        "there") from error
    except BrokenProcessPool:
        raise UserError(f"a process died while it made one of {sum(not store.is_made(shard) for shard in missing)} "
                        "shards, for want of memory or by a broken file; the next start goes on from there") from None


@contextmanager
def worker_pool(processes: int) -> Iterator[Executor]:
    """Processes that end with this one, however it ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(processes, mp_context=context, initializer=start_worker) as pool:
        try:
            yield pool
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def start_worker() -> None:
    """One thread of its own; deaf to Ctrl-C, which the parent hears; gone when the parent is."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Wait until the parent process is gone, even by SIGKILL, and exit."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def make_shard(shard: Shard, store: ShardStore, recipe: Recipe) -> float:
    """Make a shard; returns seconds of audio."""
    with store.making(shard) as (folder, made):
        for index, row in enumerate(store.rows(shard)):
            made.append(make_row(row, shard.role, recipe, audio_file(folder, index)))
    return sum(one.duration_seconds for one in made)


def make_row(row: Row, role: str, recipe: Recipe, path: Path) -> Made:
    """Read the text of one row, and write its audio; or say why not."""
    if isinstance(row, Rejected):
        return Made(row.reason)
    try:
        normalised = row.text_normalised or read_text(row.text, role, recipe)
        audio = read_audio(row, recipe.config)
    except Unusable as error:
        return Made(error.reason)
    content = files.encode_flac(audio, recipe.config.sample_rate_hz)
    path.write_bytes(content)
    return Made("", normalised, round(len(audio) / recipe.config.sample_rate_hz, 4), audio_hash(content))


def read_text(text: str, role: str, recipe: Recipe) -> str:
    """The text as the model reads it.

    Raises:
        Unusable: it cannot be read, or is not of its language.
    """
    try:
        normalised = text_reader(role, recipe.text)(text)
    except UserError as error:
        raise Unusable(str(error)) from None
    if not normalised:
        raise Unusable("nothing to speak")
    if role == "target" and (problem := text_problem(text, normalised, recipe.config)):
        raise Unusable(problem)
    return normalised


def read_audio(row: Utterance, config: Config) -> Tensor:
    """Audio [S] of a row, as the corpus is to have it.

    Raises:
        Unusable: there is none, or none that is good enough.
    """
    if isinstance(row.speech, Synthesis):
        samples, rate_hz = espeak.synthesise(row.speech.text, row.speech.voice, row.speech.speaker)
        recorded = torch.from_numpy(samples)
    else:
        recorded, rate_hz = decode(row.speech)
    if problem := recording_problem(recorded, rate_hz, config):
        raise Unusable(problem)
    audio = condition(recorded, rate_hz, config)
    if problem := audio_problem(audio, config):
        raise Unusable(problem)
    return audio
