"""Files that appear whole or not at all."""

import csv
import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from stages.core.artifacts.foreign import foreign_file
from stages.core.errors import FULL_DISK, UserError

FileStates = dict[Path, tuple[int, int] | None]
_checks: list[Callable[[], None]] = []


@contextmanager
def checked_before_placing(check: Callable[[], None]) -> Iterator[None]:
    """Within the block no `output_folder` takes its place unless the check, called when all is written, passes."""
    _checks.append(check)
    try:
        yield
    finally:
        _checks.remove(check)


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Give a scratch folder that takes the place of `path` when the block ends well.

    When the block raises, the scratch folder is removed and `path` is left as it was.

    Raises:
        UserError: the system refuses a write, or a read within the block.
    """
    scratch = path.with_name(f".{path.name}.partial")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        yield scratch
        for check in _checks:
            check()
        put_in_place(scratch, path)
    except OSError as error:
        raise UserError(refusal(error, path, scratch)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def put_in_place(scratch: Path, path: Path) -> None:
    """Give a folder another's name; the old one steps aside whole before it is removed."""
    old = path.with_name(f".{path.name}.old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if not os.path.lexists(path):
        os.replace(scratch, path)
        return
    if path.is_symlink() or not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(path))
    os.replace(path, old)
    try:
        os.replace(scratch, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def refusal(error: OSError, *written: Path) -> str:
    """Say what the system refused: a write, where the disk is full or the file lies in one of these folders."""
    names = [name for name in (error.filename, error.filename2) if name is not None]
    reason = error.strerror or error
    if error.errno in FULL_DISK or not names:
        return f"{names[-1] if names else written[0]}: cannot write: {reason}"
    file = Path(os.path.abspath(str(names[0])))
    folders = [Path(os.path.abspath(folder)) for folder in written]
    is_write = any(file.is_relative_to(folder) or folder.is_relative_to(file) for folder in folders)
    return f"{names[0]}: cannot write: {reason}" if is_write else f"{names[0]}: {reason}"


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Give a UTF-8 text file that appears under its name, durably, when the block ends well."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically and durably."""
    with whole_file(path) as file:
        file.write(text)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, keys in the order given."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        UserError: the file is missing or is no JSON.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    with foreign_file(path, "not valid JSON"):
        return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line; Unicode's other line ends are part of a text."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with whole_file(path) as file:
        file.writelines(json_line(row) for row in rows)


def json_line(row: dict[str, Any]) -> str:
    """One line of a JSONL file."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as CSV under a header; None and what a row lacks are empty cells.

    Args:
        columns: in their order; those of the rows as they are met, where none are named.
    """
    table = io.StringIO()
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of CSV under a header.

    Raises:
        UserError: the file is missing.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def below(folder: Path, name: str) -> Path:
    """The file of a folder that a list names, which need not exist.

    Raises:
        UserError: the name leads out of the folder.
    """
    if os.path.isabs(name) or ".." in name.split("/"):
        raise UserError(f"{folder}: a file that it lists must lie in it (got {name[:200]!r})")
    return folder / name


def file_states(roots: Iterable[Path]) -> FileStates:
    """Bytes and time of change, in nanoseconds, of every file; folders are walked. None for what is not there."""
    states: FileStates = {}
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            state = path.stat() if path.exists() else None
            if state is None or not path.is_dir():
                states[path] = state and (state.st_size, state.st_mtime_ns)
    return states


def require_unchanged(before: FileStates, now: FileStates) -> None:
    """Refuse to keep what was made while the files changed that it was made from.

    Raises:
        UserError: a file is another, is gone, or was added.
    """
    for path in before.keys() | now.keys():
        if before.get(path) != now.get(path):
            raise UserError(f"{path}: changed while it was being read, so nothing made since then is kept; run again")


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, at no cost where the file system has hard links between both places."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
