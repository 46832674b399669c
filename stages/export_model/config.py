"""Params of `export_model`."""

from typing import Literal

from pydantic import Field

from stages.core.params.strict import StrictModel


class Config(StrictModel):
    """What is handed out."""

    phase: str = Field(min_length=1, description="a phase, or <phase>_gated: whose weights are exported")
    untouched: Literal["copy", "link"] = Field(
        description="the base's files that training does not change: copies, or hard links, which take no space"
    )
    voices_max: int = Field(
        ge=0, le=100, description="held-out recordings that go along as prompts, one a speaker; people must agree to it"
    )
    registered_as: str = Field(
        pattern=r"^[A-Za-z0-9_.-]*$", description="name in MLflow's registry, a version for each export; '' for none"
    )
