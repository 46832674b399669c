"""Files that others made: a base, a judge, an export. What a read of one raises is a wrong input, and told so."""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.errors import Interrupted, UserError

LARGEST, MOST_LAYERS = 300_000, 1000
"""No number of a model's config.json is above the first, a vocabulary of 262,144; none of layers above the second."""
CODE_FROM_ELSEWHERE = ("attn_implementation", "experts_implementation")
"""Parts of keys by which a config.json makes transformers fetch kernels, which are code."""


@contextmanager
def foreign_file(path: Path, told: str) -> Iterator[None]:
    """Guard the reading of a file, or of a folder, that others made.

    Args:
        told: what is said of it where it cannot be read, such as "not a weights file".

    Raises:
        UserError: whatever the block raises; it names the path.
    """
    try:
        yield
    except (UserError, Interrupted):
        raise
    except pickle.UnpicklingError:
        raise UserError(f"{path}: refused: damaged, or a pickle that holds more than tensors") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        kind = "" if isinstance(error, OSError | ValueError | RuntimeError) else f"{type(error).__name__} "
        raise UserError(f"{path}: {told}: {kind}{reason or 'it ends too early'}") from error


def read_model_config(path: Path) -> dict[str, Any]:
    """The config.json of a model for transformers, without what would make it fetch code.

    Which attention is computed is then the library's choice for the class: SDPA where it can, else eager.

    Raises:
        UserError: the file cannot be read, is no JSON object, holds numbers that no model has, or is of a quantised
            model, whose numbers would need such code.
    """
    with foreign_file(path, "not the config of a model"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("must be a JSON object")
        if "quantization_config" in content:
            raise ValueError("quantization_config: quantised models are not read here")
        check_sizes(content)
        return without_code(content)


def check_sizes(content: Any, key: str = "") -> None:
    """Refuse integers with which a model would not be built in any memory or time."""
    if isinstance(content, dict):
        for name, value in content.items():
            check_sizes(value, name)
    elif isinstance(content, list):
        for value in content:
            check_sizes(value, key)
    elif isinstance(content, int) and content > (most := MOST_LAYERS if "layers" in key else LARGEST):
        raise ValueError(f"{key} must be at most {most} (got {str(content)[:20]})")


def without_code(content: Any) -> Any:
    """A part of a config.json without the keys that name code elsewhere."""
    if isinstance(content, dict):
        return {key: without_code(value) for key, value in content.items()
                if not any(word in key for word in CODE_FROM_ELSEWHERE)}
    return [without_code(value) for value in content] if isinstance(content, list) else content
