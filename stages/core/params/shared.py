"""Params sections that several stages read."""

from pydantic import Field

from stages.core.params.strict import StrictModel


class BaseConfig(StrictModel):
    """The pretrained model that the schedule starts from."""

    path: str = Field(min_length=1, description="folder with config.yaml, weights, bpe.model and statistics")


class TrackingConfig(StrictModel):
    """Where runs are recorded. No stage's result depends on it, so it is no DVC param of any stage."""

    uri: str = Field(pattern=r"^(sqlite:///|https?://|file:|databricks)", description="MLflow tracking URI")
    experiment: str = Field(min_length=1, description="MLflow experiment that holds the schedule's runs")
