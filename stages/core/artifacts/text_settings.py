"""How the text behind a folder was read: a fingerprint in its summary.json, handed on from stage to stage."""

from pathlib import Path

from stages.core.artifacts.files import read_json
from stages.core.errors import UserError

SUMMARY, KEY = "summary.json", "text_settings"


def read_with(folder: Path) -> str:
    """The fingerprint of the text front end that a corpus, or what was made from it, was read with.

    Raises:
        UserError: the folder does not tell.
    """
    path = folder / SUMMARY
    found = read_json(path).get(KEY)
    if not isinstance(found, str):
        raise UserError(f"{path}: lacks {KEY}, how its text was read; run the stage that makes {folder} again")
    return found


def require_same_text(model: Path, *rows: Path) -> None:
    """Compare the text that a checkpoint learned with the text that it is to meet.

    Raises:
        UserError: they were read by different settings, tables or versions of the front end.
    """
    for folder in rows:
        if (learned := read_with(model)) != (met := read_with(folder)):
            raise UserError(f"{model / SUMMARY}: learned text that was read with settings {learned[:12]}, the text in "
                            f"{folder} was read with {met[:12]}; run the stages from prepare_corpus again")
