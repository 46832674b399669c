"""A project folder that can speak without a schedule: an export, its phase's checkpoint, a held-out recording."""

from pathlib import Path

import yaml

from stages.core.artifacts.files import write_json, write_jsonl
from stages.core.params.strict import parse_section
from stages.core.text.config import TextConfig, settings_hash
from tests.served_export import VOICE, write_prompt
from tests.tiny_export import make_export
from tests.tiny_project import tiny_params

PHASE = "lora"
ROW = {"id": "1", "role": "target", "split": "test", "speaker": VOICE, "duration_seconds": 3.0, "audio": "1.flac"}


def make_spoken_project(folder: Path, base: Path | None = None) -> Path:
    """Write params.yaml and data/ into `folder`; the base is of random weights where none is given."""
    params, data = tiny_params(), folder / "data"
    params["base"]["path"] = str(base or "data/base")
    params["evaluate_speech"]["codes_per_text_token_max"] = 6.0
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    for path in (data / "checkpoints", data / "corpus"):
        path.mkdir(parents=True)
    make_export(data, base)
    checkpoint = (data / "phase").rename(data / "checkpoints" / PHASE)
    read_with = settings_hash(parse_section(TextConfig, params["text"], "params.yaml"))
    for path in (checkpoint, data / "corpus"):
        write_json(path / "summary.json", {"text_settings": read_with})
    write_jsonl(data / "corpus/manifest.jsonl", [ROW])
    write_prompt(data / "corpus" / str(ROW["audio"]))
    return folder
