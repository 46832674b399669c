"""Params of `export_model`."""

from pydantic import Field

from stages.core.params.strict import StrictModel


class Config(StrictModel):
    """What is handed out."""

    phase: str = Field(min_length=1, description="the phase whose weights are exported")
