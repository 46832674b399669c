"""Params of `finetune` (shared by all phases) and of one phase in `phases`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from stages.core.params.strict import SEED_MAX, StrictModel

Metric = Literal["validation_code_cross_entropy", "validation_code_top1", "validation_base_code_cross_entropy"]
HIGHER_IS_BETTER = ("validation_code_top1",)


class LoraConfig(StrictModel):
    """PEFT LoRA (Hu et al., 2021)."""

    rank: int = Field(ge=1, description="rank of the update")
    alpha: int = Field(ge=1, description="scale is alpha / rank")
    dropout: float = Field(ge=0, lt=1)
    targets: list[str] = Field(min_length=1, description="GPT modules, as globs over module names")


class Phase(StrictModel):
    """One phase of the schedule."""

    start_from: str = Field(min_length=1, description="`base`, a phase, or <phase>_gated: what is taken")
    approach: Literal["lora", "full"] = Field(description="adapters and new rows only, or every trainable parameter")
    epochs: int = Field(ge=1, le=10_000, description="passes over the training split")
    batch_utterances: int = Field(ge=1, description="utterances a step, over all processes, replay included")
    learning_rate: float = Field(gt=0, le=0.1, description="peak")
    warmup_steps: int = Field(ge=0, description="steps of linear rise; cut to half of a shorter run")
    weight_decay: float = Field(ge=0, le=1, description="on matrices only")
    dropout: float = Field(ge=0, lt=1, description="inside the GPT blocks")
    clip_norm: float = Field(gt=0, description="largest gradient norm")
    replay_share: float = Field(ge=0, le=0.9, description="share of an epoch's utterances in the base's languages")
    replay_kl_weight: float = Field(ge=0, description="of the KL divergence from the base on their codes")
    lora: LoraConfig | None = Field(default=None, description="required by approach lora, forbidden by full")

    @model_validator(mode="after")
    def lora_where_needed(self) -> Self:
        if (self.approach == "lora") != (self.lora is not None):
            raise ValueError(f"section `lora` must be {'given' if self.lora is None else 'absent'} "
                             f"when approach is {self.approach}")
        return self

    @model_validator(mode="after")
    def divergence_needs_replay(self) -> Self:
        if self.replay_kl_weight > 0 and self.replay_share == 0:
            raise ValueError("replay_kl_weight must be 0 when replay_share is 0: it is measured on replayed utterances")
        return self


class Config(StrictModel):
    """What all phases share."""

    seed: int = Field(ge=0, le=SEED_MAX, description="of shuffling, prompts and dropout")
    text_loss_weight: float = Field(ge=0, description="of the text cross-entropy")
    code_loss_weight: float = Field(gt=0, description="of the code cross-entropy")
    log_every_steps: int = Field(ge=1)
    validate_every_steps: int = Field(ge=0, description="besides step 0 and each epoch's end; 0 for no more than those")
    validation_utterances_max: int = Field(ge=1, description="of each role, evenly chosen")
    selection_metric: Metric = Field(description="what decides which weights of a phase are best")
    hand_on: Literal["best", "last"] = Field(description="weights that a phase writes")
    patience_validations: int = Field(ge=0, description="end a phase after so many without a better one; 0 never does")
    gradient_norm_max: float = Field(gt=0, description="a step with a larger norm, or none, is skipped and counted")
    skipped_steps_max: int = Field(ge=0, description="more skipped steps than this end the phase with an error")
