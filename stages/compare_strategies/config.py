"""Params of `compare_strategies`."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from stages.core.params.phases import PHASE_NAME
from stages.core.params.strict import SEED_MAX, StrictModel

DECIDED_BY_THE_COMPARISON = ("start_from", "epochs")


class StrategyPhase(StrictModel):
    """One phase of a strategy: a phase of the schedule, with what differs."""

    like: str = Field(min_length=1, description="phase of section `phases` whose settings it takes")
    tokens_share: float = Field(gt=0, le=1, description="of the tokens that the run sees")
    changes: dict[str, Any] = Field(default_factory=dict, description="settings of the phase that differ")

    @model_validator(mode="after")
    def leaves_length_and_start(self) -> Self:
        for name in DECIDED_BY_THE_COMPARISON:
            if name in self.changes:
                raise ValueError(f"changes must not hold {name}: order and tokens_share decide it")
        return self


class CorporaConfig(StrictModel):
    """Two sizes of the training corpus; the small one lies in the large one."""

    small: float = Field(gt=0, lt=1, description="share of the training texts, 0..1")
    large: float = Field(gt=0, le=1, description="share of the training texts, 0..1")

    @model_validator(mode="after")
    def small_is_smaller(self) -> Self:
        if self.small >= self.large:
            raise ValueError(f"small must be less than large (got {self.small:g} and {self.large:g})")
        return self


class Config(StrictModel):
    """Which strategies are compared, on what, how long."""

    tokens: int = Field(ge=1, description="supervised tokens that every run sees, over all of its phases")
    seeds: list[Annotated[int, Field(ge=0, le=SEED_MAX)]] = Field(
        min_length=1, description="one run of every strategy and corpus")
    corpora: CorporaConfig
    rate_factors: list[Annotated[float, Field(gt=0)]] = Field(
        description="on every learning rate: one more run of every strategy each, first seed, large corpus")
    compared: list[str] = Field(min_length=1, description="strategies that are run")
    reference: str = Field(min_length=1, description="strategy that quality is relative to")
    strategies: dict[str, Annotated[list[StrategyPhase], Field(min_length=1)]]

    @field_validator("rate_factors", mode="before")
    @classmethod
    def factors_are_written_as_fractions(cls, factors: Any) -> Any:
        """DVC names a run by the value as it stands in the file."""
        for factor in factors if isinstance(factors, list) else []:
            if isinstance(factor, int):
                raise ValueError(f"each must have a decimal point (got {factor})")
        return factors

    @model_validator(mode="after")
    def no_run_twice(self) -> Self:
        for name in ("seeds", "rate_factors", "compared"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name}: each only once (got {getattr(self, name)})")
        if 1.0 in self.rate_factors:
            raise ValueError("rate_factors: must not hold 1, which every strategy is run with")
        return self

    @model_validator(mode="after")
    def strategies_are_known(self) -> Self:
        for name in self.compared:
            if name not in self.strategies:
                raise ValueError(f"compared: must be of {', '.join(self.strategies)} (got {name!r})")
        if self.reference not in self.compared:
            raise ValueError(f"reference: must be of {', '.join(self.compared)} (got {self.reference!r})")
        return self

    @model_validator(mode="after")
    def shares_make_a_whole(self) -> Self:
        for name, phases in self.strategies.items():
            if not PHASE_NAME.fullmatch(name):
                raise ValueError(f"strategies: a name must match ^{PHASE_NAME.pattern}$ (got {name!r})")
            whole = sum(phase.tokens_share for phase in phases)
            if abs(whole - 1) > 1e-6:
                raise ValueError(f"strategies.{name}: tokens_share must sum to 1 (got {whole:g})")
        return self


def resolve_phases(
    strategy: list[StrategyPhase], phases: Mapping[str, Mapping[str, Any]], rate_factor: float = 1.0
) -> dict[str, dict[str, Any]]:
    """The phases that a strategy runs, chained from `base`, as a section `phases`; `epochs` is left to the caller.

    Raises:
        KeyError: `like` names no phase.
    """
    resolved: dict[str, dict[str, Any]] = {}
    for phase in strategy:
        start = next(reversed(resolved), "base")
        name = phase.like if phase.like not in resolved else f"{phase.like}_{len(resolved) + 1}"
        settings = {**phases[phase.like], **phase.changes, "start_from": start}
        resolved[name] = {**settings, "learning_rate": settings["learning_rate"] * rate_factor}
    return resolved
