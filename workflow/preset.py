"""Put a preset into params.yaml, after it has passed every check.

python -m workflow.preset NAME         presets/NAME.yaml takes the place of params.yaml
python -m workflow.preset FILE.yaml    the values of an overlay file change those of params.yaml; the rest stays
"""

import sys
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import whole_file, write_text
from stages.core.errors import ParamsError, UserError
from stages.core.params.command import run_command
from stages.core.params.strict import PARAMS_FILE, read_params
from stages.schema import check_params, params_problems

PRESETS = Path("presets")


def main(argv: list[str] | None = None) -> int:
    """Apply the preset or overlay that the command line names."""
    return run_command(lambda: take(sys.argv[1:] if argv is None else argv))


def take(arguments: list[str]) -> int:
    """Apply the only argument, and say so.

    Raises:
        UserError: there is none, or another number of them, or it cannot be applied.
    """
    if len(arguments) != 1:
        raise UserError(f"name one preset ({known_presets()}) or one overlay file: make preset NAME=...")
    apply(arguments[0])
    print(f"{PARAMS_FILE}: now holds {arguments[0]}")
    return 0


def apply(name: str) -> None:
    """Write params.yaml.

    Raises:
        UserError: there is no such preset, or params.yaml would not pass; it is then left as it was.
    """
    preset = PRESETS / f"{name}.yaml"
    if preset.is_file():
        check_params(preset)
        write_text(PARAMS_FILE, preset.read_text(encoding="utf-8"))
    elif Path(name).is_file():
        overlay(Path(name))
    else:
        raise UserError(f"NAME: must be a preset ({known_presets()}) or an overlay file (got {name!r})")


def known_presets() -> str:
    """List the names of the presets."""
    return ", ".join(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def overlay(path: Path) -> None:
    """Change single values of params.yaml and keep its comments."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    read_params()  # as ruamel would quote what it cannot read
    content = yaml.load(PARAMS_FILE.read_text(encoding="utf-8"))
    merge(content, read_params(path))
    problems = params_problems(content)
    if problems:
        raise ParamsError(f"{PARAMS_FILE} with {path}", problems)
    with whole_file(PARAMS_FILE) as file:
        yaml.dump(content, file)


def merge(content: Any, changes: dict[str, Any]) -> None:
    """Change a nested mapping in place; mappings are merged, all else is replaced."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            merge(content[key], value)
        else:
            content[key] = value


if __name__ == "__main__":
    sys.exit(main())
