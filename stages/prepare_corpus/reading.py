"""All sources as rows with names that are unique in the corpus, cut into shards."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from stages.core.params.shared import SplitsConfig
from stages.core.text.config import TextConfig
from stages.core.text.latin import clean_latin
from stages.core.text.normalise import Normaliser
from stages.prepare_corpus.sources.every import Source, read_source
from stages.prepare_corpus.utterance import Rejected, Synthesis, Utterance

Row = Utterance | Rejected
SHARD_ROWS_MAX = 512
SHARD_ROWS_USUAL = 128


@lru_cache(maxsize=2)
def text_reader(role: str, text: TextConfig) -> Callable[[str], str]:
    """What turns written text into what the model reads: the front end, or for the base's languages a plain one."""
    return Normaliser(text).normalise if role == "target" else clean_latin


def read_rows(source: Source, text: TextConfig, splits: SplitsConfig) -> Iterator[Row]:
    """Rows of a source, ids and speakers prefixed by its name; the second of two equal ids is rejected.

    What espeak-ng says keeps its names: they start with a language, which is no source's name.

    Raises:
        UserError: the source as a whole cannot be read.
    """
    seen: set[int] = set()
    for row in read_source(source, text_reader(source.role, text), splits):
        if isinstance(row, Utterance):
            if (known := fingerprint(row.id)) in seen:
                row = Rejected(row.where, row.text, f"duplicate id: {row.id}")
            elif not isinstance(row.speech, Synthesis):
                row = replace(row, id=f"{source.name}-{row.id}", speaker=f"{source.name}-{row.speaker}")
            seen.add(known)
        yield row


def cut_shards(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Runs of consecutive rows. Most end where a row's own id says so: a row more or less moves no other boundary."""
    held: list[Row] = []
    for row in rows:
        held.append(row)
        closes = isinstance(row, Utterance) and fingerprint(row.id) % SHARD_ROWS_USUAL == 0
        if closes or len(held) == SHARD_ROWS_MAX:
            yield held
            held = []
    if held:
        yield held


def fingerprint(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
