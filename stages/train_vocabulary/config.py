"""Params of `train_vocabulary`."""

from typing import Literal

from pydantic import Field

from stages.core.params.strict import StrictModel


class Config(StrictModel):
    """New pieces for the base's tokenizer, and their rows in the model."""

    pieces: int = Field(ge=1, le=100_000, description="new pieces, the letters of the script included")
    character_coverage_min: float = Field(gt=0, le=1, description="least share of known characters, else an error")
    initialisation: Literal["romanised", "mean"] = Field(
        description="new rows: mean of the base rows of the piece's Latin letters, or of all base rows"
    )
