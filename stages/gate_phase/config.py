"""Params of `gate_phase`: a gate for each phase that has one."""

import difflib
from typing import Literal, Self

from pydantic import Field, RootModel, field_validator, model_validator

from stages.core.artifacts.figures import FIGURES
from stages.core.params.strict import StrictModel

VALIDATION_FIGURES = ("validation_code_cross_entropy", "validation_code_top1", "validation_base_code_cross_entropy",
                      "validation_base_code_top1")
RISES = ("rise_over_base_max", "rise_over_previous_max")


class Limit(StrictModel):
    """What the mean of a figure must keep to, in the figure's own unit."""

    max: float | None = Field(default=None, description="at most this")
    min: float | None = Field(default=None, description="at least this")
    rise_over_base_max: float | None = Field(default=None, description="at most so far above the untouched base's")
    rise_over_previous_max: float | None = Field(default=None, description="at most so far above that of `previous`")

    @model_validator(mode="after")
    def limits_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"must hold at least one of {', '.join(type(self).model_fields)}")
        return self


class Gate(StrictModel):
    """What a phase's result must keep to before anything takes it."""

    previous: str = Field(min_length=1, description="the checkpoint before it, `base` or that of a phase: told beside "
                          "its figures, handed on in its place by fall_back")
    on_failure: Literal["stop", "fall_back"] = Field(description="end the schedule, or hand `previous` on")
    limits: dict[str, Limit] = Field(min_length=1, description="by figure")

    @field_validator("limits")
    @classmethod
    def figures_are_known(cls, limits: dict[str, Limit]) -> dict[str, Limit]:
        """Figures of the evaluation, or of the phase's own validation, which knows no other checkpoint's."""
        known = (*FIGURES, *VALIDATION_FIGURES)
        for name, limit in limits.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ValueError(f"{name}: no figure of docs/evaluation.md" + (f"; near: {near[0]}" if near else ""))
            if name in VALIDATION_FIGURES and limit.model_fields_set & set(RISES):
                raise ValueError(f"{name}: takes max and min only")
        return limits


class Config(RootModel[dict[str, Gate]]):
    """Phase -> its gate; phases without one cost nothing."""
