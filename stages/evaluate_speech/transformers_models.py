"""A speech model that the user brings: a folder as transformers writes it. Nothing is fetched, no code of it is run.

Shapes: S samples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.core.artifacts.foreign import foreign_file, read_model_config
from stages.core.audio.files import resample
from stages.core.errors import UserError

ONLY_FOR_TRAINING = ("masked_spec_embed", "objective.weight")


@dataclass(frozen=True)
class SpeechModel:
    """A model with what prepares its input; `tokenizer` is None where it writes no text."""

    model: Any
    extractor: Any
    tokenizer: Any

    @torch.inference_mode()
    def run(self, audio: Tensor, sample_rate_hz: int) -> Any:
        """The model's outputs for audio [S], alone in its batch: what stands beside it changes nothing."""
        rate = self.extractor.sampling_rate
        samples = resample(audio, sample_rate_hz, rate).cpu().numpy()
        inputs = self.extractor(samples, sampling_rate=rate, return_tensors="pt")
        return self.model(**inputs.to(self.model.device))


def load_speech_model(folder: Path, kind: str, device: torch.device, has_tokenizer: bool) -> SpeechModel:
    """Load a folder.

    Args:
        kind: name of the automatic class, such as AutoModelForCTC.

    Raises:
        UserError: the folder is missing, or holds no such model.
    """
    import transformers

    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no folder of a transformers model: config.json is missing")
    given = {"local_files_only": True, "trust_remote_code": False}
    with foreign_file(folder, f"cannot be loaded as {kind}"):
        content = read_model_config(folder / "config.json")
        config = transformers.CONFIG_MAPPING[content.pop("model_type")].from_dict(content)
        model, report = getattr(transformers, kind).from_pretrained(
            folder, config=config, output_loading_info=True, **given)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **given)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **given) if has_tokenizer else None
    if missing := sorted(name for name in report["missing_keys"] if not name.endswith(ONLY_FOR_TRAINING)):
        raise UserError(f"{folder}: weights for {kind} are missing: {', '.join(missing[:3])}; is it of another task?")
    return SpeechModel(model.to(device).eval(), extractor, tokenizer)
