"""What a schedule leaves behind, as bytes to compare."""

import hashlib
from pathlib import Path

SOURCES = ("data/base", "data/text", "data/recordings")


def outputs(folder: Path) -> dict[str, str]:
    """Hash of every file of the schedule's outputs, by its path."""
    files = [path for name in ("data", "reports") for path in sorted((folder / name).rglob("*")) if path.is_file()]
    named = {path.relative_to(folder).as_posix(): path for path in files if path.name != ".gitignore"}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in named.items() if not name.startswith(SOURCES)}
