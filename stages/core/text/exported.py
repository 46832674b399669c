"""The text settings that a model was trained with, in a file beside its weights: text must be read alike at its use."""

from pathlib import Path
from typing import Any

from stages.core.artifacts.files import read_json, write_json
from stages.core.artifacts.foreign import foreign_file
from stages.core.errors import UserError
from stages.core.params.strict import parse_section
from stages.core.text.config import TextConfig, settings_hash

FILE = "text_settings.json"


def write_text_settings(folder: Path, config: TextConfig) -> None:
    """Write `text_settings.json`: the settings, and the fingerprint of settings, tables and front end."""
    write_json(folder / FILE, {"text_settings": settings_hash(config), "text": config.model_dump()})


def read_text_settings(folder: Path) -> TextConfig:
    """The settings beside a model.

    Raises:
        UserError: the file is missing, or this front end would read text otherwise than the model's did.
        ParamsError: a setting is unknown or wrong.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"{path}: missing; text can only be read for a folder that export_model wrote")
    content: dict[str, Any] = read_json(path)
    with foreign_file(path, "not the text settings of an export"):
        read, trained = content.get("text", {}), content.get("text_settings")
    config = parse_section(TextConfig, read, str(path), "text")
    if (own := settings_hash(config)) != trained:
        raise UserError(
            f"{path}: the model was trained on text read otherwise (fingerprint {trained}, here "
            f"{own}): its tables or its front end have changed; speak with the version that made it, or train again"
        )
    return config
