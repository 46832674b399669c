"""Every leaf of a params file, and another value for each."""

from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
OTHER_BASE = "data/other_base"
REWIRED = {  # what must name something that is there
    ("base", "path"): OTHER_BASE,
    ("phases", "full", "start_from"): "base",
    ("phases", "polish", "start_from"): "lora",
    ("export_model", "phase"): "full",
}
# Nothing but the base may come before the first phase.
NO_OTHER = {("phases", "lora", "start_from"), ("gate_phase", "lora", "previous")}


def leaves(content: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value that is no mapping and no list, and of empty ones; lists by element."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    inner = [leaf for key, value in entries for leaf in leaves(value, (*path, key))]
    yield from inner or [path]


def set_other(content: Any, path: Path) -> None:
    """Put another value in the place of a leaf."""
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = REWIRED.get(path) or other(content[path[-1]])


def other(value: Any) -> Any:
    """A value of the same type that is not the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}_other"
    return [1] if isinstance(value, list) else {"other": 1} if isinstance(value, dict) else value + 1
