"""Every kind of source: the union of their params, and the adapter of each."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Protocol

from pydantic import Field

from stages.core.params.shared import SplitsConfig
from stages.prepare_corpus.sources import common_voice, espeak, fleurs, jsonl, kaldi, ljspeech, parquet, spreadsheet
from stages.prepare_corpus.sources.common import refuse
from stages.prepare_corpus.utterance import Rejected, Utterance

Source = Annotated[
    espeak.EspeakSource | kaldi.KaldiSource | fleurs.FleursSource | common_voice.CommonVoiceSource
    | ljspeech.LjspeechSource | spreadsheet.SpreadsheetSource | parquet.ParquetSource | jsonl.JsonlSource,
    Field(discriminator="kind"),
]


class Adapter(Protocol):
    """The file of a kind of recorded corpora."""

    def problems(self, source: Any, /) -> list[str]: ...
    def read(self, source: Any, /) -> Iterator[Utterance | Rejected]: ...


RECORDED: dict[str, Adapter] = {
    "kaldi": kaldi, "fleurs": fleurs, "common_voice": common_voice, "ljspeech": ljspeech, "spreadsheet": spreadsheet,
    "parquet": parquet, "jsonl": jsonl,
}


def check_sources(sources: Sequence[Source]) -> None:
    """Look before any work whether each recorded source can be read at all.

    Raises:
        UserError: names every file and column that is missing in any of them.
    """
    refuse([problem for source in sources if source.kind in RECORDED
            for problem in RECORDED[source.kind].problems(source)])


def read_source(
    source: Source, normalise: Callable[[str], str], splits: SplitsConfig
) -> Iterator[Utterance | Rejected]:
    """Rows of one source.

    Raises:
        UserError: the source as a whole cannot be read.
    """
    if isinstance(source, espeak.EspeakSource):
        return espeak.read(source, normalise, splits)
    return RECORDED[source.kind].read(source)
