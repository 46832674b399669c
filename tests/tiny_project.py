"""A project folder with a tiny base, a short text and a short schedule: every stage does its real work in seconds."""

from pathlib import Path
from typing import Any

import yaml

from tests.tiny_base import make_base

ROOT = Path(__file__).parents[1]
WORDS = ["ማንም", "ሁሉም", "አንድ", "ብዙ", "ልጅ", "እናት", "አባት", "ወንድም", "እህት", "ጓደኛ", "መምህር", "ተማሪ", "ሀኪም", "ገበሬ"]
ENGLISH = "Everyone has the right to life. No one shall be held in slavery. All are equal before the law. Rest is too."


def make_project(folder: Path) -> dict[str, Any]:
    """Write base, texts and params.yaml into `folder`; returns the params.

    The store's path is absolute: a process opens one store a URI, and a relative one in the folder of who came first.
    """
    make_base(folder / "data/base")
    (folder / "data/text").mkdir()
    (folder / "data/text/amh.txt").write_text("\n".join(f"{word} ሰው በመብትም እኩል ነው።" for word in WORDS))
    (folder / "data/text/eng.txt").write_text(ENGLISH)
    params = tiny_params()
    params["tracking"]["uri"] = f"sqlite:///{folder}/mlflow.db"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
    return params


def tiny_params() -> dict[str, Any]:
    """The miniature preset, cut down."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["splits"] = {"seed": 1, "validation_share": 0.2, "test_share": 0.25, "test_speakers_share": 0.0}
    target, english, *_ = params["prepare_corpus"]["sources"]
    target["speakers"] = target["speakers"][:2]
    english["languages"] = {"en": {"voice": "en", "text": "data/text/eng.txt"}}
    params["prepare_corpus"]["sources"] = [target, english]
    for phase in params["phases"].values():
        phase |= {"epochs": 1, "batch_utterances": 4}
    params["evaluate_speech"] |= {
        "sentences_max": 2, "speakers_max": 2, "draws": 2, "base_sentences_max": 1, "shown_utterances": 2,
        "emotion_sentences_max": 1, "codes_per_text_token_max": 1.0,
    }
    return params
