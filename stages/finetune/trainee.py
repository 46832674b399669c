"""The model of a phase: which of its parameters are trained, and what becomes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.lora import add_lora, is_text_table, merge
from stages.core.training.parallel import zero_first_rows
from stages.finetune.config import Phase

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass
class Trainee:
    """The model of a phase, its adapter where it is LoRA, and how many text rows it then leaves as they are."""

    model: UnifiedVoice
    adapter: "PeftModel | None"
    frozen_rows: int = 0

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def keep_frozen_rows(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Take the gradient from the base's rows of the text tables among the trained parameters.

        Without decay, AdamW leaves a row that never had a gradient as it is, to the byte.
        """
        if self.frozen_rows:
            for name, value in parameters.items():
                if is_text_table(name) and value.grad is not None:
                    zero_first_rows(value.grad, self.frozen_rows)

    def counts(self) -> dict[str, float]:
        """Parameters that change and parameters in all, counted; a frozen row of a text table does not change."""
        plain = {name: value for name, value in self.model.named_parameters() if "original_module" not in name}
        total = sum(value.numel() for name, value in plain.items() if "lora_" not in name)
        trained = sum(
            value.numel() * (len(value) - self.frozen_rows) // len(value) if is_text_table(name) else value.numel()
            for name, value in self.parameters().items()
        )
        return {"trained": trained, "total": total, "trained_percent": round(100 * trained / total, 3)}

    def merged(self) -> dict[str, Tensor]:
        """The phase's weights under the model's own names."""
        return merge(self.adapter) if self.adapter else dict(self.model.state_dict())


def prepare_model(model: UnifiedVoice, phase: Phase, base_rows: int) -> Trainee:
    """Choose what is trained: adapters and the text rows from `base_rows` on, or everything."""
    if phase.lora is None:
        return Trainee(model, None)
    lora = phase.lora
    return Trainee(model, add_lora(model, lora.rank, lora.alpha, lora.dropout, lora.targets), base_rows)
