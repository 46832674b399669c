"""w2v-BERT 2.0 (Barrault et al., 2023) up to the layer that the released base listens to.

Shapes: B rows, T frames at 50 Hz, F features.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

from stages.core.artifacts.foreign import foreign_file, read_model_config
from stages.core.errors import UserError
from stages.core.model.checkpoint import build_exactly, read_tensors

LAYERS = 17
SAMPLE_RATE_HZ = 16000
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
LAYER = "encoder.layers."
NO_CONFIG = "not the config of w2v-BERT 2.0"
BEYOND = ("masked_spec_embed", "adapter.", "intermediate_ffn.")
ONLY_HIDDEN_STATES = {"num_hidden_layers": LAYERS, "add_adapter": False, "use_intermediate_ffn_before_adapter": False,
                      "apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}


class W2vBert(nn.Module):
    """Audio to the hidden states after the 17th layer; later layers are neither read nor computed."""

    def __init__(self, model: Wav2Vec2BertModel):
        super().__init__()
        self.model = model
        # the public preprocessor_config.json differs from these defaults in the value of padding, which is masked
        self.filters = SeamlessM4TFeatureExtractor()

    def forward(self, audio: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Mono audio, each [S] at 16 kHz, to states [B, T, F] and lengths [B].

        An odd number of 10 ms frames leaves half a frame at the end; as in upstream it is masked in attention and kept
        in the output.
        """
        device = self.model.feature_projection.projection.weight.device
        analysed = [self.filters(one.cpu().numpy(), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt") for one in audio]
        lengths = torch.tensor([one["input_features"].shape[1] for one in analysed], device=device)
        features = pad_sequence([one["input_features"][0] for one in analysed], batch_first=True).float()
        mask = pad_sequence([one["attention_mask"][0] for one in analysed], batch_first=True)
        states = self.model(input_features=features.to(device), attention_mask=mask.to(device)).last_hidden_state
        return states, lengths


def load_w2v_bert(folder: Path) -> W2vBert:
    """Read config.json and the needed part of model.safetensors.

    Raises:
        UserError: a file is missing or damaged, the model has fewer layers, or keys do not fit; all at once.
    """
    config = read_config(folder / CONFIG_FILE)
    tensors = read_tensors(folder / WEIGHTS_FILE, is_needed)
    with foreign_file(folder / CONFIG_FILE, NO_CONFIG):
        model = build_exactly(lambda: Wav2Vec2BertModel(config), tensors, str(folder / WEIGHTS_FILE))
    return W2vBert(model).eval().requires_grad_(False)


def is_needed(name: str) -> bool:
    """Whether a key of the public weights takes part in the 17th hidden state."""
    if name.startswith(LAYER):
        return int(name.removeprefix(LAYER).split(".")[0]) < LAYERS
    return not name.startswith(BEYOND)


def read_config(path: Path) -> Wav2Vec2BertConfig:
    """The settings of the first 17 layers.

    Raises:
        UserError: no file, no JSON, fewer layers, or values that no such model has.
    """
    with foreign_file(path, NO_CONFIG):
        content = read_model_config(path)
        layers = int(content["num_hidden_layers"])
        config = Wav2Vec2BertConfig.from_dict(content | ONLY_HIDDEN_STATES)
    if layers < LAYERS:
        raise UserError(f"{path}: num_hidden_layers must be at least {LAYERS} (got {layers})")
    return config
