"""Normalise lines: `python -m stages.core.text < raw.txt > normalised.txt`

stdin   one text a line, UTF-8
stdout  one normalised text a line; with --json one object a line: line, text, normalised, and with --explain changes
stderr  one line for each text that cannot be normalised: its line number and the reason
status  0, or 1 when a line was refused, or 2 when the settings are wrong
"""

import argparse
import json
import os
import sys
from pathlib import Path

from stages.core.errors import UserError, one_line, printable
from stages.core.params.strict import PARAMS_FILE, load_section
from stages.core.text.config import TextConfig, standard_config
from stages.core.text.normalise import Normaliser, TextError


def main(argv: list[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    arguments = parse_arguments(argv)
    try:
        normaliser = Normaliser(load_config(arguments.params))
        return normalise_lines(normaliser, arguments.explain, arguments.json)
    except UserError as error:
        print(printable(error), file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stages.core.text", description="Normalise Amharic text by lines.")
    parser.add_argument("--explain", action="store_true", help="show which rule changed what")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line")
    whence = "params file whose section `text` to use; without it params.yaml if there is one, else the standard policy"
    parser.add_argument("--params", type=Path, help=whence)
    return parser.parse_args(argv)


def load_config(params: Path | None) -> TextConfig:
    """The settings of the given file, of params.yaml here, or the standard ones."""
    if params or PARAMS_FILE.exists():
        return load_section(TextConfig, "text", params or PARAMS_FILE)
    return standard_config()


def normalise_lines(normaliser: Normaliser, explain: bool, as_json: bool) -> int:
    """Normalise stdin to stdout, one line at a time; 1 when a line was refused, else 0."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    status = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
            normalised = normaliser.normalise(text)
        except UnicodeDecodeError as error:
            refuse(number, f"not UTF-8: byte {line[error.start]:#04x} at position {error.start + 1}")
            status = 1
        except TextError as error:
            refuse(number, error.reason)
            status = 1
        else:
            changes = normaliser.explain(text) if explain else None
            print(format_json(number, text, normalised, changes) if as_json else format_plain(normalised, changes))
    sys.stdout.flush()
    return status


def refuse(number: int, reason: str) -> None:
    print(f"line {number}: {one_line(reason)}", file=sys.stderr)


def format_json(number: int, text: str, normalised: str, changes: list[tuple[str, str, str]] | None) -> str:
    row: dict[str, object] = {"line": number, "text": text, "normalised": normalised}
    if changes is not None:
        row["changes"] = [dict(zip(("rule", "before", "after"), change, strict=True)) for change in changes]
    return json.dumps(row, ensure_ascii=False)


def format_plain(normalised: str, changes: list[tuple[str, str, str]] | None) -> str:
    """The normalised text, then an indented line for each change: the rule and the words that it changed."""
    lines = [normalised]
    for rule, before, after in changes or []:
        old, new = changed_part(before, after)
        lines.append(f"  {rule}: {old!r} -> {new!r}")
    return "\n".join(lines)


def changed_part(before: str, after: str) -> tuple[str, str]:
    """Both texts without the words that they share at the start and at the end."""
    old, new = before.split(" "), after.split(" ")
    while len(old) > 1 and len(new) > 1 and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return " ".join(old), " ".join(new)


if __name__ == "__main__":
    sys.exit(main())
