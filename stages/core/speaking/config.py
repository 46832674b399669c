"""How speech is drawn, joined and prompted: params that evaluation, speaking and the served model share."""

from pathlib import Path
from typing import Any

from pydantic import Field

from stages.core.params.strict import PARAMS_FILE, SEED_MAX, StrictModel, parse_section, read_params


class SamplingConfig(StrictModel):
    """How codes are drawn; part of the params section `evaluate_speech`."""

    temperature: float = Field(ge=0, le=2, description="0 takes the most likely code")
    top_p: float = Field(gt=0, le=1, description="nucleus")
    top_k: int = Field(ge=0, description="0 keeps all")
    repetition_penalty: float = Field(ge=1, le=20)
    codes_per_text_token_max: float = Field(gt=0, description="a sample is cut at this length, codes a text token")
    seed: int = Field(ge=0, le=SEED_MAX, description="of the draw and of the intervals")


class SpeakConfig(StrictModel):
    """The params section `speak`: how an exported model speaks long texts. No stage's result depends on it."""

    words_max: int = Field(ge=1, description="words; a longer sentence is cut at clause marks, then between words")
    pause_seconds: float = Field(ge=0, le=10, description="silence between sentences, half of it inside one")


class PromptConfig(StrictModel):
    """How much of a recording is the prompt; part of the params section `extract_features`."""

    prompt_seconds_max: float = Field(gt=0, description="of a longer recording the start is taken")


class SpeakingConfig(SamplingConfig, SpeakConfig, PromptConfig):
    """Everything that a model needs beside its folder in order to speak."""


def load_speaking_config(named: dict[str, Any], path: Path = PARAMS_FILE) -> SpeakingConfig:
    """The settings of a params file, those that are named put in their place.

    Raises:
        ParamsError: one is out of its range; the message names its section.
    """
    params, values = read_params(path), {}
    parts: dict[str, type[StrictModel]] = {
        "evaluate_speech": SamplingConfig, "speak": SpeakConfig, "extract_features": PromptConfig,
    }
    for section, model in parts.items():
        own = {name: named.get(name, params[section][name]) for name in model.model_fields}
        values.update(parse_section(model, own, "settings of speech", section).model_dump())
    return SpeakingConfig(**values)
