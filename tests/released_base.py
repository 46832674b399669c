"""A released base's folder with random weights: IndexTTS2's file names and config keys at a small shape.

Layout and names follow the public repositories IndexTeam/IndexTTS-2, facebook/w2v-bert-2.0 and amphion/MaskGCT; s2mel,
the matrices and the emotion model are stand-ins, which nothing here reads.

python -m tests.released_base FOLDER    write one that upstream's classes can load, to try the commands of
                                        docs/released-model.md on; 600 MB
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from stages.core.model.conditioning import Conditioner
from stages.core.model.semantic_codec import SemanticCodec
from stages.core.model.settings import CodecSettings, parse_settings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.model.w2v_bert import SAMPLE_RATE_HZ, W2vBert, load_w2v_bert
from tests.tiny_base import make_tokenizer

PIECES, CODES, LAYERS = 60, 64, 18
UPSTREAM_FEATURES = 1024


def make_released_base(folder: Path, features: int = 32, seed: int = 0) -> Path:
    """Write the folder.

    Args:
        features: width of the speech features. Upstream's own classes fix 1024; with that the folder is one that they
            can load, at 540 MB of w2v-BERT.
    """
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    make_tokenizer(folder / "bpe.model", PIECES)
    content = released_config(features)
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    write_gpt(folder, content)
    write_w2v_bert(folder / "w2v-bert-2.0", features)
    torch.save(measure_statistics(load_w2v_bert(folder / "w2v-bert-2.0")), folder / "wav2vec2bert_stats.pt")
    (folder / "semantic_codec").mkdir()
    save_file(codec_tensors(content["semantic_codec"]), folder / "semantic_codec/model.safetensors")
    torch.save({"net": {"cfm": {"weight": torch.zeros(2)}}}, folder / "s2mel.pth")
    torch.save(torch.zeros(8, 192), folder / "feat1.pt")
    torch.save(torch.zeros(8, 48), folder / "feat2.pt")
    (folder / "qwen0.6bemo4-merge").mkdir()
    (folder / "qwen0.6bemo4-merge/config.json").write_text("{}\n")
    return folder


def released_config(features: int) -> dict[str, Any]:
    """The keys of the public config.yaml; `feature_dim` only where it is not upstream's own."""
    encoder = {"linear_units": 40, "num_blocks": 1, "input_layer": "conv2d2", "perceiver_mult": 2}
    gpt = {
        "model_dim": 48, "max_mel_tokens": 600, "max_text_tokens": 200, "heads": 3, "use_mel_codes_as_input": True,
        "mel_length_compression": 1024, "layers": 2, "number_text_tokens": PIECES, "number_mel_codes": CODES + 2,
        "start_mel_token": CODES, "stop_mel_token": CODES + 1, "start_text_token": 0, "stop_text_token": 1,
        "train_solo_embeddings": False, "condition_type": "conformer_perceiver",
        "condition_module": {"output_size": 32, "attention_heads": 4, **encoder},
        "emo_condition_module": {"output_size": 24, "attention_heads": 2, **encoder},
    }
    if features != UPSTREAM_FEATURES:
        gpt["feature_dim"] = features
    return {
        "dataset": {"bpe_model": "bpe.model", "sample_rate": 24000, "squeeze": False}, "gpt": gpt,
        "semantic_codec": {"codebook_size": CODES, "hidden_size": features, "codebook_dim": 4, "vocos_dim": 24,
                           "vocos_intermediate_dim": 48, "vocos_num_layers": 3},
        "s2mel": {"preprocess_params": {"sr": 22050}}, "gpt_checkpoint": "gpt.pth",
        "w2v_stat": "wav2vec2bert_stats.pt", "s2mel_checkpoint": "s2mel.pth", "emo_matrix": "feat2.pt",
        "spk_matrix": "feat1.pt", "emo_num": [1] * 8, "qwen_emo_path": "qwen0.6bemo4-merge/",
        "vocoder": {"type": "bigvgan", "name": "nvidia/bigvgan_v2_22khz_80band_256x"}, "version": 2.0,
    }


def write_gpt(folder: Path, content: dict[str, Any]) -> None:
    """gpt.pth with the tables of positions that upstream stores and the keys that its trainers leave behind."""
    settings = parse_settings(content, "config.yaml").gpt
    voice, conditioner = UnifiedVoice(settings), Conditioner(settings)
    tensors = {**voice.state_dict(), **conditioner.state_dict()}
    for name in ("conditioning_encoder", "emo_conditioning_encoder"):
        tensors[f"{name}.embed.pos_enc.pe"] = getattr(conditioner, name).embed.pos_enc.pe
    torch.save({"model": tensors}, folder / "gpt.pth")


def write_w2v_bert(folder: Path, width: int) -> None:
    """As the hub has it: config.json and one safetensors file, with more layers than are needed."""
    config = Wav2Vec2BertConfig(
        hidden_size=width, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=64,
        conv_depthwise_kernel_size=7, left_max_position_embeddings=16, right_max_position_embeddings=4, layerdrop=0.0,
    )
    with torch.device("meta"):
        model = Wav2Vec2BertModel(config)
    model = model.to_empty(device="cpu")
    spread(model)
    folder.mkdir()
    config.to_json_file(folder / "config.json")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")


@torch.inference_mode()
def measure_statistics(bert: W2vBert) -> dict[str, torch.Tensor]:
    """Mean and variance over noise that swells and fades, so that normalised features differ from frame to frame."""
    seconds = torch.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    states, _ = bert([0.1 * torch.randn_like(seconds) * torch.sin(20 * seconds)])
    return {"mean": states[0].mean(dim=0).clone(), "var": states[0].var(dim=0).clone()}


def swelling_noise(counts: Sequence[int]) -> list[torch.Tensor]:
    """Noise that swells and fades, of several lengths in samples."""
    generator = torch.Generator().manual_seed(1)
    swell = torch.sin(torch.arange(max(counts)) / 700)
    return [0.1 * torch.randn(count, generator=generator) * swell[:count] for count in counts]


def codec_tensors(section: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The codec's weights with the synthesis half that is left unread."""
    settings = CodecSettings(**section)
    codec = SemanticCodec(settings)
    spread(codec)
    own = codec.state_dict()
    way_back = {"weight_g": torch.ones(settings.hidden_size, 1, 1), "bias": torch.zeros(settings.hidden_size),
                "weight_v": torch.randn(settings.hidden_size, settings.codebook_dim, 1)}
    return {**own, **{f"quantizer.quantizers.0.out_project.{name}": value for name, value in way_back.items()},
            **{name.replace("encoder.", "decoder."): value.clone() for name, value in own.items()
               if name.startswith("encoder.")}}


def spread(model: nn.Module) -> None:
    """Weights with which every part changes the output, so that codes differ from frame to frame."""
    for name, parameter in model.named_parameters():
        is_gain = parameter.ndim == 1 and not name.endswith("bias")
        width = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data.normal_(float(is_gain), width**-0.5)


if __name__ == "__main__":
    print(make_released_base(Path(sys.argv[1]), UPSTREAM_FEATURES))
