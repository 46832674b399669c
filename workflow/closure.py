"""Which source files a stage runs, and the `deps:` that name exactly those in dvc.yaml.

python -m workflow.closure            print each stage's code deps
python -m workflow.closure --write    put them into dvc.yaml and compare/dvc.yaml

The walk is over import statements, those inside functions too, and on into stages that a stage starts as commands. The
runner and the schema import every stage and are no part of any: they decide whether a stage may start, never what it
computes.
"""

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

from stages.core.artifacts.code import PACKAGE, ROOT, import_closure
from stages.core.artifacts.files import whole_file
from stages.undisturbed import PIPELINES

CORE = Path(PACKAGE, "core")
GENERATED = ("__pycache__", ".gitignore")


def content_files(folder: Path, root: Path) -> set[Path]:
    """Give the files below a folder that are source or data of the source, empty and generated ones aside."""
    files = (path for path in (root / folder).rglob("*") if path.is_file() and path.stat().st_size)
    return {path.relative_to(root) for path in files if not set(path.parts) & set(GENERATED)}


def data_beside(file: Path, root: Path) -> set[Path]:
    """Give the data files that a module reads from its own folder: those it names, or whose folder it names."""
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found: set[Path] = set()
    for entry in (root / file).parent.iterdir():
        if entry.name in GENERATED or not any(entry.name in text for text in texts):
            continue
        if entry.is_dir() and not any(entry.rglob("*.py")):
            found |= content_files(entry.relative_to(root), root)
        elif entry.is_file() and entry.suffix != ".py":
            found.add(entry.relative_to(root))
    return found


def code_deps(entry: str, root: Path = ROOT) -> list[str]:
    """Give the shortest list of files and folders that covers an entry's import closure, its data and no other code.

    Args:
        entry: a stage, whose folder then counts as a whole, or one part of it, such as compare_strategies.plan.
    """
    stage, _, part = entry.partition(".")
    files = import_closure(f"{PACKAGE}.{stage}.{part or '__main__'}", root)
    folders = set() if part else {Path(PACKAGE, stage)}
    for started in sorted(started_stages(files, root)):
        files |= import_closure(f"{PACKAGE}.{started}.__main__", root)
        folders.add(Path(PACKAGE, started))
    files = {file for file in files if not folders & set(file.parents)}
    for file in sorted(files):
        if CORE in file.parents:
            files |= data_beside(file, root)
    return sorted([*(folder.as_posix() for folder in folders), *covering_paths(files, root)])


def started_stages(files: Iterable[Path], root: Path) -> set[str]:
    """Give the stages that files start as commands: those whose package a string in them names in full."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
            named = node.value.split(".") if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
            if len(named) == 2 and named[0] == PACKAGE and (root / PACKAGE / named[1] / "__main__.py").is_file():
                found.add(named[1])
    return found


def entry_of(command: str, root: Path = ROOT) -> str:
    """Give the entry that a stage's command starts: `python -m stages STAGE [PART | options]`."""
    stage, *rest = command.split()[3:]
    part = rest[0] if rest else ""
    return f"{stage}.{part}" if (root / PACKAGE / stage / f"{part}.py").is_file() else stage


def covering_paths(files: set[Path], root: Path) -> set[str]:
    """Name a folder of core where all of its content is wanted, and single files elsewhere."""
    paths = set()
    for file in files:
        rooms = [room for room in reversed(file.parents) if CORE in room.parents]
        whole = next((room for room in rooms if content_files(room, root) <= files), None)
        paths.add((whole or file).as_posix())
    return paths


def is_code(dep: str) -> bool:
    """Tell a dep on source code from one on data."""
    return Path(dep).parts[0] == PACKAGE


def write_deps(path: Path = ROOT / "dvc.yaml") -> list[str]:
    """Bring the code deps of every stage in dvc.yaml up to date; give the names of those that changed."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    content = yaml.load(path.read_text(encoding="utf-8"))
    root = path.parent if path.parent.name != "compare" else path.parent.parent
    changed = []
    for name, stage in content["stages"].items():
        definition = stage.get("do", stage)
        deps = definition["deps"]
        wanted = [dep for dep in deps if not is_code(dep)] + code_deps(entry_of(definition["cmd"], root), root)
        if list(deps) != wanted:
            changed.append(name)
            deps[:] = wanted
    if changed:
        with whole_file(path) as file:
            yaml.dump(content, file)
    return changed


def main() -> int:
    """Print the deps, or write them."""
    from stages.schema import STAGES

    if "--write" in sys.argv[1:]:
        for name in PIPELINES:
            print(f"{name}: updated " + (", ".join(write_deps(ROOT / name)) or "nothing"))
        return 0
    for stage in STAGES:
        print("\n    - ".join([f"{stage}:", *code_deps(stage)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
