"""The shipped base with rows for Amharic and no training, as an export with a voice of its own: it does speak."""

from pathlib import Path

import torch
import yaml

from stages.core.artifacts.files import write_text
from stages.core.audio.espeak import synthesise
from stages.core.audio.files import write_audio
from stages.core.params.shared import SpeakerConfig
from stages.core.speaking.config import load_speaking_config
from stages.core.tracking.mlflow_runs import stage_run
from stages.export_model.contents import SUMS, checksums, place
from stages.export_model.registered import register_export
from tests.tiny_export import make_export
from tests.tiny_project import ROOT, tiny_params

NAME, VOICE = "spoken", "am-m2"
SPEAKER = SpeakerConfig(variant="m2", pitch=45, pitch_range=50, rate_words_per_minute=150)


def make_served_export(folder: Path) -> Path:
    """Write `folder`/export and `folder`/params.yaml; returns the former."""
    params = tiny_params()
    params["tracking"]["uri"] = f"sqlite:///{folder / 'mlflow.db'}"
    params["evaluate_speech"]["codes_per_text_token_max"] = 6.0
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    export = make_export(folder, ROOT / "data/base")
    write_prompt(place(export, f"voices/{VOICE}.flac"))
    write_text(export / SUMS, checksums(export))
    return export


def write_prompt(path: Path) -> None:
    """Write three seconds of Amharic speech."""
    samples, rate_hz = synthesise("የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።", "am", SPEAKER)
    write_audio(path, torch.from_numpy(samples), rate_hz)


def register(folder: Path, export: Path) -> str:
    """Register an export as export_model does, from `folder`; gives its version."""
    with stage_run("export_model", {}) as run:
        return register_export(run, export, NAME, load_speaking_config({}))
