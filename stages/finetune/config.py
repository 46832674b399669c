"""Params of `finetune` (shared by all phases) and of one phase in `phases`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from stages.core.params.strict import StrictModel


class LoraConfig(StrictModel):
    """PEFT LoRA (Hu et al., 2021)."""

    rank: int = Field(ge=1, description="rank of the update")
    alpha: int = Field(ge=1, description="scale is alpha / rank")
    dropout: float = Field(ge=0, lt=1)
    targets: list[str] = Field(min_length=1, description="GPT modules, as globs over module names")


class Phase(StrictModel):
    """One phase of the schedule."""

    start_from: str = Field(min_length=1, description="`base`, or the phase whose result this one takes")
    approach: Literal["lora", "full"] = Field(description="adapters and new rows only, or every trainable parameter")
    epochs: int = Field(ge=1, le=10_000, description="passes over the training split")
    batch_utterances: int = Field(ge=1, description="utterances a step")
    learning_rate: float = Field(gt=0, le=0.1, description="peak")
    warmup_steps: int = Field(ge=0, description="steps of linear rise; cut to half of a shorter run")
    weight_decay: float = Field(ge=0, le=1, description="on matrices only")
    dropout: float = Field(ge=0, lt=1, description="inside the GPT blocks")
    clip_norm: float = Field(gt=0, description="largest gradient norm")
    lora: LoraConfig | None = Field(default=None, description="required by approach lora, forbidden by full")

    @model_validator(mode="after")
    def lora_where_needed(self) -> Self:
        if (self.approach == "lora") != (self.lora is not None):
            raise ValueError(f"section `lora` must be {'given' if self.lora is None else 'absent'} "
                             f"when approach is {self.approach}")
        return self


class Config(StrictModel):
    """What all phases share."""

    seed: int = Field(ge=0, description="of shuffling, prompts and dropout")
    text_loss_weight: float = Field(ge=0, description="of the text cross-entropy")
    code_loss_weight: float = Field(gt=0, description="of the code cross-entropy")
    log_every_steps: int = Field(ge=1)
    save_every_seconds: float = Field(gt=0, description="a killed phase loses at most this much work, seconds")
