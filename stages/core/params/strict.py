"""Typed params: unknown keys, wrong types and values out of range are errors, all reported at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stages.core.errors import ParamsError, UserError

PARAMS_FILE = Path("params.yaml")
CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
"""User and password of a URL."""


class StrictModel(BaseModel):
    """Base of every params section: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Section = TypeVar("Section", bound=BaseModel)


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Parse a YAML params file into a mapping.

    Raises:
        UserError: the file is missing, is no YAML, or holds no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold sections, got {type(content).__name__}")
    return content


def parse_section(model: type[Section], content: Mapping[str, Any], source: str, prefix: str = "") -> Section:
    """Validate one mapping against its model.

    Raises:
        ParamsError: lists every violated rule as "field: rule (got value)".
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ParamsError(source, describe(error, prefix)) from None


def describe(error: ValidationError, prefix: str = "") -> list[str]:
    """One line a violated rule: dotted field, rule, value."""
    lines = []
    for item in error.errors():
        field = ".".join(str(part) for part in ((prefix,) if prefix else ()) + tuple(item["loc"]))
        rule = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            rule = "unknown key"
        untold = item["type"] == "missing" or isinstance(item["input"], dict | list)
        value = "" if untold else f" (got {item['input']!r})"
        lines.append(CREDENTIALS.sub("***@", f"{field}: {rule}{value}" if field else rule))
    return lines


def load_section(model: type[Section], name: str, path: Path = PARAMS_FILE) -> Section:
    """Read one top-level section of the params file as its typed model."""
    content = read_params(path)
    if name not in content:
        raise ParamsError(str(path), [f"{name}: missing section"])
    return parse_section(model, content[name], str(path), name)
