"""Typed params: unknown keys, wrong types and values out of range are errors, all reported at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.core.errors import ParamsError, UserError
from stages.core.params.plain_yaml import read_yaml

PARAMS_FILE = Path("params.yaml")
SEED_MAX = 2**31 - 1
"""Largest seed: the generators are seeded with what is reckoned from it, within 64 bits."""
CREDENTIALS = re.compile(r"(?s)(?<=://)(?!/).*@|^[^:/]+:(?!/).*@")
"""User and password of a URL: up to the last @, since a password may hold any sign; a path after :/// holds none."""
QUERY = re.compile(r"(?s)(?<=://)([^?#]*[?#]).*")
"""A URL's query and fragment, where a token may stand."""

UNTOLD = ("extra_forbidden", "missing", "model_type", "model_attributes_type", "dict_type")
"""Kinds of error in which the value is not at fault, or is not of a field."""


class StrictModel(BaseModel):
    """Base of every params section: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Section = TypeVar("Section", bound=BaseModel)


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Parse a YAML params file into a mapping.

    Raises:
        UserError: the file is missing, is no YAML, or holds no mapping.
    """
    content = read_yaml(path)
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
    """One line a violated rule: dotted field, rule, value.

    What stands under an unknown key, or where a section belongs, is not told: it may be a secret.
    """
    lines = []
    for item in error.errors():
        field = ".".join(str(part) for part in ((prefix,) if prefix else ()) + tuple(item["loc"]))
        unknown = item["type"] == "extra_forbidden"
        rule = "unknown key" if unknown else without_secrets(item["msg"].removeprefix("Value error, "))
        untold = item["type"] in UNTOLD or isinstance(item["input"], dict | list)
        value = "" if untold else f" (got {without_secrets(item['input'])!r})"
        lines.append(f"{field}: {rule}{value}" if field else rule)
    return lines


def without_secrets(value: Any) -> Any:
    """A text without the user, password, query and fragment of a URL in it; anything else as it is."""
    return QUERY.sub(r"\1***", CREDENTIALS.sub("***@", value)) if isinstance(value, str) else value


def load_section(model: type[Section], name: str, path: Path = PARAMS_FILE) -> Section:
    """Read one top-level section of the params file as its typed model."""
    content = read_params(path)
    if name not in content:
        raise ParamsError(str(path), [f"{name}: missing section"])
    return parse_section(model, content[name], str(path), name)
