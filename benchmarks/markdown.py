"""Markdown tables and the words that stand in them."""

from collections.abc import Iterable, Sequence
from typing import Any

UNMEASURED = "unmeasured"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def of_device(result: dict[str, Any]) -> str:
    """One line on where a result comes from."""
    machine = result["machine"]
    vectors = f", {machine['vectors']}" if "vectors" in machine else ""
    return (f"{machine['device']}{vectors}, {machine['threads']} thread(s), torch {machine['torch']}, "
            f"Python {machine['python']}")
