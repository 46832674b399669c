"""The tables beside this module: tab-separated files that a linguist edits without touching code.

A line `#` or one that starts with `# ` is a comment; the first other line names the columns. A field may be written
U+XXXX for a character that cannot be seen, (space) for a space and (drop) for nothing.
"""

from functools import cache
from pathlib import Path

from stages.core.errors import UserError

FOLDER = Path(__file__).parent / "tables"
SPECIAL = {"(space)": " ", "(drop)": ""}

Row = dict[str, str]


@cache
def read_table(name: str) -> tuple[Row, ...]:
    """Rows of `tables/<name>.tsv`, each a mapping of column to field, fields decoded.

    Raises:
        UserError: no such table, not UTF-8, or a row with another number of fields than the columns.
    """
    path = FOLDER / f"{name}.tsv"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read this table: {error}") from None
    columns: list[str] = []
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line == "#" or line.startswith("# "):
            continue
        fields = line.split("\t")
        if not columns:
            columns = fields
        elif len(fields) != len(columns):
            rule = f"must have {len(columns)} fields ({', '.join(columns)})"
            raise UserError(f"{path}:{number}: {rule}, got {len(fields)}")
        else:
            rows.append(dict(zip(columns, map(decode_field, fields), strict=True)))
    return tuple(rows)


def decode_field(field: str) -> str:
    """The text that a field stands for."""
    if field.startswith("U+"):
        return chr(int(field[2:], 16))
    return SPECIAL.get(field, field)


def read_mapping(name: str, key: str, value: str) -> dict[str, str]:
    """Two columns of a table as a mapping; of rows with the same key the last one counts."""
    return {row[key]: row[value] for row in read_table(name)}
