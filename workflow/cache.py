"""Looks whether DVC's cache holds what it says, and takes out what does not.

DVC trusts a file of its cache that is read-only: one that was damaged would be checked out as a result without a word,
and where outputs are hard links it is damaged in them too. What is taken out here, DVC pulls again or makes again.

python -m workflow.cache    read every file of the cache; `make verify`

Snakemake's start does the same for files that changed since the last look, which costs no reading of the others. Damage
that leaves a file's times alone, a failing disk's, is found by reading only.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import write_text

LOOKED = Path(".pipeline/cache.looked")
MARGIN_NANOSECONDS = 5_000_000_000  # between clocks of this machine and of a file server


def drop_damaged(repo: Any, read_all: bool = False) -> list[Path]:
    """Remove every file of the local cache whose content is not what its name says; give their paths.

    Links to it in the outputs get a new time, so that DVC looks at them too.

    Args:
        repo: DVC's.
        read_all: read each, instead of those that changed since the last look.
    """
    began, cache = time.time_ns(), repo.cache.local
    damaged = [path for path in cached_files(Path(cache.path), 0 if read_all else last_look())
               if not is_sound(cache, path, None if read_all else cache.state)]
    for path in damaged:
        print(f"{path}: damaged; taken out of the cache", file=sys.stderr)
        os.utime(path)
        path.unlink()
    LOOKED.parent.mkdir(exist_ok=True)
    write_text(LOOKED, str(began))
    return damaged


def last_look() -> int:
    """When the cache was last looked at, in nanoseconds since the epoch; 0 is never, or by a clock that is set back."""
    try:
        looked = int(LOOKED.read_text())
    except (FileNotFoundError, ValueError):
        return 0
    return looked - MARGIN_NANOSECONDS if looked <= time.time_ns() else 0


def cached_files(folder: Path, since: int) -> Iterator[Path]:
    """Give the files of a cache whose content, mode or links changed since a moment, in nanoseconds since the epoch."""
    for room in folder.glob("[0-9a-f][0-9a-f]"):
        for entry in os.scandir(room):
            if entry.is_file() and entry.stat().st_ctime_ns >= since and is_name(entry.name):
                yield room / entry.name


def is_name(name: str) -> bool:
    """Tell a cached file from one that DVC is writing."""
    return len(name.removesuffix(".dir")) == 30 and set(name.removesuffix(".dir")) <= set("0123456789abcdef")


def is_sound(cache: Any, path: Path, state: Any) -> bool:
    """Hash a file as DVC does; with DVC's state one that did not change since it was hashed is not read again."""
    from dvc_data.hashfile.hash import hash_file

    _, found = hash_file(str(path.absolute()), cache.fs, cache.hash_name, state)
    return bool(str(found.value).removesuffix(".dir") == f"{path.parent.name}{path.name}".removesuffix(".dir"))


def main() -> int:
    """Read the whole cache."""
    from dvc.repo import Repo

    damaged = drop_damaged(Repo("."), read_all=True)
    print(f"{len(damaged)} damaged; `make run` pulls or makes them again" if damaged else "the cache is whole")
    return 1 if damaged else 0


if __name__ == "__main__":
    sys.exit(main())
