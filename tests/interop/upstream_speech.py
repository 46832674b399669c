"""Upstream's own way from audio to features and codes, on the weights of a base's folder.

Its inference module imports much that these tests do without, so its two methods that matter here are taken from the
installed source and run as they are. The folder stands for the hub.
"""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import safetensors.torch
import torch
import yaml
from torch import Tensor, nn
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertModel

from tests.interop.upstream import PACKAGE, import_package

INFERENCE = "infer_v2.py"


def build_codec(section: dict[str, int]) -> nn.Module:
    """Upstream's RepCodec, initialised as upstream does."""
    import_package()
    return import_module(f"{PACKAGE}.utils.maskgct_utils").build_semantic_codec(SimpleNamespace(**section))


class UpstreamSpeech:
    """The speech encoders of upstream's inference class."""

    def __init__(self, base: Path):
        self.config = yaml.safe_load((base / "config.yaml").read_text())
        import_package()
        models = import_module(f"{PACKAGE}.utils.maskgct_utils")
        whole = Wav2Vec2BertModel.from_pretrained(base / "w2v-bert-2.0")
        with mock.patch.object(models.Wav2Vec2BertModel, "from_pretrained", return_value=whole):
            self.semantic_model, self.semantic_mean, self.semantic_std = models.build_semantic_model(
                base / self.config["w2v_stat"]
            )
        self.codec = build_codec(self.config["semantic_codec"])
        safetensors.torch.load_model(self.codec, base / "semantic_codec/model.safetensors")
        self.extract_features = SeamlessM4TFeatureExtractor(padding_value=1)  # as its public preprocessor_config.json

    @torch.no_grad()
    def features(self, audio: Tensor) -> Tensor:
        """Mono audio [S] at 16 kHz to features [1, T, F]."""
        inputs = self.extract_features(audio[None], sampling_rate=16000, return_tensors="pt")
        return inference_method("get_emb")(self, inputs["input_features"], inputs["attention_mask"])

    @torch.no_grad()
    def codes(self, features: Tensor) -> Tensor:
        """Features [1, T, F] to codes [T]."""
        return self.codec.quantize(features)[0][0]

    def cut(self, audio: Tensor, rate: int) -> Tensor:
        """What is left of a prompt [S] of a file of this rate."""
        reader = SimpleNamespace(load=lambda path, sr=None: (audio.numpy(), rate))
        return inference_method("_load_and_cut_audio", librosa=reader)(self, "voice.wav", 15, sr=rate)[0][0]


def inference_method(name: str, **imported: Any) -> Any:
    """A method of upstream's inference class as a function, without its module's imports."""
    package = find_spec(PACKAGE).submodule_search_locations[0]
    tree = ast.parse((Path(package) / INFERENCE).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    names: dict[str, Any] = {"torch": torch, **imported}
    exec(compile(ast.Module([found], []), INFERENCE, "exec"), names)
    return names[name]
