"""Which source files a module runs, by its import statements, and their hash: a result depends on code as on data."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "stages"


@cache
def code_hash(module: str, root: Path = ROOT) -> str:
    """Hash of the paths and bytes of every project file that a module runs, as they were at the first call.

    Returns:
        64 hexadecimal digits (SHA-256).
    """
    digest = hashlib.sha256()
    for file in sorted(import_closure(module, root)):
        digest.update(f"{file.as_posix()}\0".encode() + hashlib.sha256((root / file).read_bytes()).digest())
    return digest.hexdigest()


def import_closure(module: str, root: Path = ROOT) -> set[Path]:
    """Give every project file that runs when a module is imported; empty `__init__.py` files do not count."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = module_file(name, root)
        if file is None or file in found:
            continue
        found.add(file)
        waiting += imported_modules(file, root)
        waiting += [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
    return {file for file in found if (root / file).read_text(encoding="utf-8").strip()}


def module_file(module: str, root: Path) -> Path | None:
    """Give a module's file relative to the root, or None where there is no such module."""
    path = Path(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if (root / file).is_file():
            return file
    return None


def imported_modules(file: Path, root: Path) -> Iterator[str]:
    """Yield the dotted name of every project module that a file's import statements reach."""
    for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                package = ".".join(file.parts[: len(file.parts) - node.level])
                source = f"{package}.{source}".rstrip(".")
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE:
                yield name
