"""Params sections that several stages read."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.core.params.strict import CREDENTIALS, QUERY, SEED_MAX, StrictModel

EspeakVoice = Annotated[
    str, Field(pattern=r"^[a-z]{2,3}(-[a-z0-9-]+)?$", description="espeak-ng language code, such as am or en-us")
]
"""A language alone: espeak-ng crashes on some names of variants and files."""


class BaseConfig(StrictModel):
    """The pretrained model that the schedule starts from."""

    path: str = Field(pattern=r"^[\w ./+=@,-]+$",
                      description="folder with config.yaml, weights, bpe.model and statistics; no sign of a shell")


class TrackingConfig(StrictModel):
    """Where runs are recorded. No stage's result depends on it, so it is no DVC param of any stage."""

    uri: str = Field(pattern=r"^(sqlite:///|https?://|file:|databricks|none$)",
                     description="MLflow tracking URI, or none: nothing is recorded")
    experiment: str = Field(min_length=1, description="MLflow experiment that holds the schedule's runs")

    @field_validator("uri")
    @classmethod
    def holds_no_password(cls, uri: str) -> str:
        if CREDENTIALS.search(uri):
            raise ValueError("must hold no user or password, which git would keep: give them to the run as "
                             "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
        if QUERY.search(uri) and not uri.startswith("sqlite:"):
            raise ValueError("must hold no query and no fragment, which git would keep: give a token to the run as "
                             "MLFLOW_TRACKING_TOKEN")
        return uri


class MachineConfig(StrictModel):
    """How this machine trains. Nothing here changes a result beyond rounding, so it is no DVC param of any stage."""

    processes: int = Field(ge=1, le=64, description="processes on this machine, one a GPU")
    parallelism: Literal["ddp", "fsdp"] = Field(description="of several processes: whole copies, or shared weights")
    micro_batch_utterances: int = Field(ge=0, description="most utterances of one forward pass; 0 for no limit")
    precision: Literal["auto", "float32", "bfloat16"] = Field(description="auto: bfloat16 where it is faster here")
    activation_checkpointing: bool = Field(description="compute activations twice instead of keeping them")
    compile: bool = Field(description="torch.compile of the GPT blocks; needs a compiler")
    data_workers: int = Field(ge=0, le=64, description="processes that read ahead; 0 reads in the trainer itself")
    save_every_seconds: float = Field(gt=0, description="a killed phase loses at most this much work, seconds")
    save_every_steps: int = Field(ge=1, description="and at most so many steps")
    keep_states: int = Field(ge=1, description="last states that are kept")


class SplitsConfig(StrictModel):
    """How texts are held out: one rule for the base's pretraining and for the corpus."""

    seed: int = Field(ge=0, le=SEED_MAX,
                      description="a change moves texts between splits; keep it for the life of a project")
    validation_share: float = Field(ge=0, lt=0.5, description="share of the texts, 0..0.5")
    test_share: float = Field(gt=0, lt=0.5, description="share of the texts, 0..0.5")
    test_speakers_share: float = Field(ge=0, lt=1, description="share of recorded speakers that are held out, 0..1")


class LanguageConfig(StrictModel):
    """One language that espeak-ng reads: its voice and its text."""

    voice: EspeakVoice
    text: str = Field(pattern=r"^data/text/[^/.\p{Cc}][^/\p{Cc}]*$",
                      description="UTF-8 text in data/text/, one paragraph a line")


class SpeakerConfig(StrictModel):
    """One espeak-ng speaker."""

    variant: str = Field(pattern=r"^[A-Za-z0-9]+$", description="espeak-ng voice variant, such as f2")
    pitch: int = Field(ge=0, le=99, description="espeak-ng pitch, 0..99")
    pitch_range: int = Field(ge=0, le=99, description="espeak-ng pitch range, 0..99")
    rate_words_per_minute: int = Field(ge=80, le=450, description="speaking rate, words a minute")
