"""Params of `report`."""

from typing import Any

from pydantic import Field, RootModel

from stages.core.params.strict import StrictModel


class Config(StrictModel):
    """What the page shows, and what it must say about where its figures come from."""

    sentences: int = Field(ge=1, le=100, description="held-out sentences with audio, spread over those evaluated")
    spectrogram_sentence: int = Field(ge=0, description="which of the evaluated sentences is drawn, from 0")
    speech: str = Field(min_length=1, description="what the corpus' speech is; said on the page")
    judge: str = Field(min_length=1, description="what wrote down the phones that were heard; said on the page")
    caution: str = Field(min_length=1, description="what the figures do not show; said on the page")


class Gates(RootModel[dict[str, dict[str, Any]]]):
    """Phases that have a gate: the page tells what was decided on them, and on no others."""
