"""What a schedule leaves behind, as bytes to compare: everything but how long it took and how much memory."""

import hashlib
import json
import re
from pathlib import Path

SOURCES = ("data/base", "data/text", "data/recordings")
COST_OF_ONE_RUN = ("resumed", "tokens", "seconds", "tokens_per_second", "peak_memory_gib", "training_memory_gib")
TELLS_COST = re.compile(rb"\d (seconds|minutes|hours)<|GiB")
PAGE = "reports/index.html"


def outputs(folder: Path) -> dict[str, str]:
    """Hash of every file of the schedule's outputs, by its path.

    Two kinds of file tell a run's cost, which no two runs share: of data/costs the measured fields are left out, of the
    page the lines that show them.
    """
    files = [path for name in ("data", "reports") for path in sorted((folder / name).rglob("*")) if path.is_file()]
    named = {path.relative_to(folder).as_posix(): path for path in files if path.name != ".gitignore"}
    return {name: hashlib.sha256(content(name, path)).hexdigest()
            for name, path in named.items() if not name.startswith(SOURCES)}


def content(name: str, path: Path) -> bytes:
    """The bytes that count."""
    if name.startswith("data/costs/"):
        cost = json.loads(path.read_text())
        return json.dumps({field: value for field, value in cost.items() if field not in COST_OF_ONE_RUN}).encode()
    if name == PAGE:
        return b"".join(line for line in path.read_bytes().splitlines(True) if not TELLS_COST.search(line))
    return path.read_bytes()
