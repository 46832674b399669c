"""Every kind of source: the union of their params, and the reader of each."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import Field

from stages.core.params.shared import SplitsConfig
from stages.prepare_corpus.sources import common_voice, espeak, fleurs, jsonl, kaldi, ljspeech, parquet, spreadsheet
from stages.prepare_corpus.utterance import Rejected, Utterance

Source = Annotated[
    espeak.EspeakSource | kaldi.KaldiSource | fleurs.FleursSource | common_voice.CommonVoiceSource
    | ljspeech.LjspeechSource | spreadsheet.SpreadsheetSource | parquet.ParquetSource | jsonl.JsonlSource,
    Field(discriminator="kind"),
]
RECORDED: dict[str, Callable[[Any], Iterator[Utterance | Rejected]]] = {
    "kaldi": kaldi.read, "fleurs": fleurs.read, "common_voice": common_voice.read, "ljspeech": ljspeech.read,
    "spreadsheet": spreadsheet.read, "parquet": parquet.read, "jsonl": jsonl.read,
}


def read_source(
    source: Source, normalise: Callable[[str], str], splits: SplitsConfig
) -> Iterator[Utterance | Rejected]:
    """Rows of one source.

    Raises:
        UserError: the source as a whole cannot be read.
    """
    if isinstance(source, espeak.EspeakSource):
        return espeak.read(source, normalise, splits)
    return RECORDED[source.kind](source)
