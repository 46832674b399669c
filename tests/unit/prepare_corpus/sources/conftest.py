from importlib import import_module

import pytest

from stages.core.params.strict import parse_section
from stages.prepare_corpus.utterance import Rejected

MODELS = {
    "kaldi": "KaldiSource", "fleurs": "FleursSource", "common_voice": "CommonVoiceSource", "ljspeech": "LjspeechSource",
    "spreadsheet": "SpreadsheetSource", "jsonl": "JsonlSource", "parquet": "ParquetSource",
}


@pytest.fixture
def adapter():
    """Gives the module of a kind, and its params as their model."""
    def load(params):
        module = import_module(f"stages.prepare_corpus.sources.{params['kind']}")
        return module, parse_section(getattr(module, MODELS[params["kind"]]), params, "params.yaml")
    return load


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty corpus folder, in a project that is the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/recordings/home"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def read(adapter):
    """Gives the ids and texts of the utterances in the folder, and place and reason of what is rejected."""
    def run(kind, **params):
        module, source = adapter({"kind": kind, "name": "home", "role": "target", "language": "am",
                                  "path": "data/recordings/home", **params})
        rows = list(module.read(source))
        rejected = [(row.where, row.reason) for row in rows if isinstance(row, Rejected)]
        return [row for row in rows if not isinstance(row, Rejected)], rejected
    return run
