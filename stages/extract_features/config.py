"""Params of `extract_features`."""

from pydantic import Field

from stages.core.params.strict import StrictModel


class Config(StrictModel):
    """Speech and text to what the model reads."""

    prompt_seconds_max: float = Field(gt=0, le=15, description="a prompt is cut to this, seconds")
    batch_seconds: float = Field(gt=0, description="most audio of one forward pass, padding counted, seconds")
    shard_utterances: int = Field(ge=1, description="utterances a shard; a killed run loses at most one shard")
