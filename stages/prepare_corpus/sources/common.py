"""What all readers of recorded speech share: their common params, safe paths, and rows that are told why they fail."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stages.core.errors import UserError, one_line
from stages.core.params.strict import StrictModel
from stages.prepare_corpus.sources.fields import LanguageCode, Role, SourceName
from stages.prepare_corpus.utterance import Embedded, Recording, Utterance

FILE_NAME_BYTES_MAX = 255
DVC_CACHE = ".dvc/cache"
"""Where DVC keeps what it links into the corpus, with cache.type symlink."""
SHOWN_CHARACTERS = 100
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Controls, line separators and what turns the direction of writing: a console that shows them shows something else."""

UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def _stays_below(path: str) -> str:
    if path.startswith("/") or ".." in Path(path).parts:
        raise ValueError("must be a relative path without '..'")
    return path


RelativePath = Annotated[str, Field(min_length=1), AfterValidator(_stays_below)]


class RecordedSource(StrictModel):
    """A corpus of recordings in a folder."""

    kind: str
    name: SourceName
    role: Role
    language: LanguageCode
    path: Annotated[str, Field(pattern=r"^data/recordings/."), AfterValidator(_stays_below)] = Field(
        description="the corpus' folder"
    )
    allow_absolute_paths: bool = Field(
        default=False, description="take audio by absolute paths too; DVC does not see when such a file changes"
    )


class NamedColumnsSource(RecordedSource):
    """A corpus whose rows have columns with names."""

    audio_column: str = Field(min_length=1, description="the audio: a file inside path, or what a parquet file embeds")
    text_column: str = Field(min_length=1, description="what is said")
    speaker_column: str | None = Field(default=None, min_length=1, description="who says it")
    speaker: str | None = Field(default=None, min_length=1, description="or the one speaker of the corpus")

    @model_validator(mode="after")
    def speaker_is_told_in_one_way(self) -> Self:
        if (self.speaker is None) == (self.speaker_column is None):
            raise ValueError("give either speaker or speaker_column")
        return self


class BadRow(Exception):
    """Why a row of a corpus cannot be used: the kind of fault, a colon, what was found."""


def locate(source: RecordedSource, written: str) -> Path:
    """The file that a row names, which need not exist.

    Raises:
        BadRow: the path leaves the corpus' folder, or is absolute without leave.
    """
    check_characters("audio path", written)
    shown = written[:SHOWN_CHARACTERS]
    if any(len(part.encode()) > FILE_NAME_BYTES_MAX for part in written.split("/")):
        raise BadRow(f"audio path with a name longer than {FILE_NAME_BYTES_MAX} bytes: {shown}")
    if os.path.isabs(written):
        if not source.allow_absolute_paths:
            raise BadRow(f"absolute path without allow_absolute_paths: {shown}")
        return Path(written)
    folder = os.path.normpath(source.path)
    path = os.path.normpath(os.path.join(folder, written))
    if not path.startswith(f"{folder}/"):
        raise BadRow(f"path out of the corpus: {shown}")
    if _leads_over_link(path, folder) and not any(
            Path(os.path.realpath(path)).is_relative_to(os.path.realpath(home)) for home in (folder, DVC_CACHE)):
        raise BadRow(f"symbolic link out of the corpus: {shown}")
    return Path(path)


def _leads_over_link(path: str, folder: str) -> bool:
    while path != folder:
        if os.path.islink(path):
            return True
        path = os.path.dirname(path)
    return False


def check_characters(field: str, value: str) -> None:
    """Refuse what a file or a file name cannot hold.

    Raises:
        BadRow: a NUL, or half of a surrogate pair.
    """
    if not value.strip():
        raise BadRow(f"no {field}")
    if "\0" in value:
        raise BadRow(f"{field} that no file can hold: a NUL in it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow(f"{field} that no file can hold: half a surrogate pair in it") from None


def check_name(field: str, value: str) -> None:
    """Refuse what later stages could not print as it stands.

    Raises:
        BadRow: a control character, or one that turns the direction of writing; or the value cannot be stored.
    """
    check_characters(field, value)
    if found := UNSHOWN.search(value):
        raise BadRow(f"{field} with a character that no console shows: U+{ord(found[0]):04X}")


def recorded(
    source: RecordedSource, where: str, *, audio: str, text: str, speaker: str, identifier: str | None = None,
    language: str = "", start_seconds: float = 0.0, end_seconds: float | None = None,
) -> Utterance:
    """An utterance in an audio file of a source; its id is the file's path without suffix unless another is given.

    Raises:
        BadRow: a field is empty or cannot be stored, or the path is not allowed.
    """
    speech = Recording(locate(source, audio), start_seconds, end_seconds)
    return described(source, where, speech=speech, text=text, speaker=speaker, language=language,
                     identifier=os.path.splitext(audio)[0] if identifier is None else identifier)


def described(
    source: RecordedSource, where: str, *, speech: Recording | Embedded, text: str, speaker: str, identifier: str,
    language: str = "",
) -> Utterance:
    """An utterance whose fields can be stored.

    Raises:
        BadRow: a field is empty or cannot be stored.
    """
    identifier, speaker = identifier.strip(), speaker.strip()
    check_name("id", identifier)
    check_characters("text", text)
    check_name("speaker", speaker)
    return Utterance(id=identifier, text=text, language=language or source.language, speaker=speaker, speech=speech,
                     where=where)


def listed_file(source: RecordedSource, name: str) -> Path:
    """A file that a source stands on, such as its table; it need not exist.

    Raises:
        BadRow: it leads out of the corpus' folder, or is a pipe or a device.
    """
    path = locate(source, name)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BadRow("must be a file, and no pipe or device")
    return path


def text_file_problems(source: RecordedSource, *names: str) -> list[str]:
    """Why files of a source cannot be read as text at all, one line each."""
    return [f"{Path(source.path, name)}: {problem}" for name in names if (problem := _text_problem(source, name))]


def _text_problem(source: RecordedSource, name: str) -> str:
    try:
        with open(listed_file(source, name), "rb") as file:
            start = file.read(2)
    except BadRow as error:
        return str(error)
    except OSError as error:
        return f"a source of kind {source.kind} needs this file: {error.strerror}"
    if not start:
        return "is empty"
    return "must be UTF-8 (got UTF-16); save it as UTF-8" if start in UTF16_BOMS else ""


def refuse(problems: Sequence[str]) -> None:
    """Stop if there are problems.

    Raises:
        UserError: names them all.
    """
    if problems:
        raise UserError("\n".join(map(one_line, problems)))
