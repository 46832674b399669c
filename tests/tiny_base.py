"""A miniature base with random weights, in the layout of the shipped one, made in a second."""

import json
from pathlib import Path

import sentencepiece
import torch
import yaml
from safetensors.torch import save_file

from stages.core.model.conditioning import Conditioner
from stages.core.model.recogniser import Recogniser
from stages.core.model.settings import parse_settings
from stages.core.model.unified_voice import UnifiedVoice

LATIN = [
    "ALL HUMAN BEINGS ARE BORN FREE AND EQUAL IN DIGNITY AND RIGHTS.",
    "THEY ARE ENDOWED WITH REASON AND CONSCIENCE, AND SHOULD ACT TOWARDS ONE ANOTHER IN A SPIRIT OF BROTHERHOOD.",
    "QUICK JUMPING FOXES VEX THE LAZY DOG'S KEEPER? YES! FIX IT - NOW.",
]
ENCODER = {"output_size": 8, "linear_units": 16, "attention_heads": 2, "num_blocks": 1, "input_layer": "conv2d2",
           "perceiver_mult": 2}
PHONES = ["a", "b", "d", "e", "h", "i", "j", "k", "l", "m", "n", "o", "r", "s", "t", "u", "w", "z", "ə", "ɨ", "ʃ", "β"]


def make_base(folder: Path, seed: int = 0) -> Path:
    """Write the base's files into `folder`."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    make_tokenizer(folder / "bpe.model", 60)
    content = {
        "dataset": {"bpe_model": "bpe.model"}, "gpt_checkpoint": "gpt.safetensors",
        "gpt": {
            "model_dim": 16, "layers": 2, "heads": 2, "max_mel_tokens": 300, "max_text_tokens": 200,
            "number_text_tokens": 60, "number_mel_codes": 34, "start_mel_token": 32, "stop_mel_token": 33,
            "start_text_token": 0, "stop_text_token": 1, "condition_type": "conformer_perceiver",
            "condition_num_latent": 3, "feature_dim": 160, "emotion_dim": 12, "perceiver_head_dim": 4,
            "condition_module": ENCODER, "emo_condition_module": ENCODER,
        },
        "miniature": {
            "sample_rate_hz": 16000, "fft_samples": 512, "window_samples": 400, "hop_samples": 160, "mel_channels": 80,
            "frames_per_feature": 2, "frames_per_code": 4, "code_time_terms": 3,
            "code_mel_terms": 24, "codebook": "codebook.safetensors",
            "feature_statistics": "feature_statistics.safetensors", "recogniser": "recogniser.safetensors",
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    settings = parse_settings(content, "config.yaml").gpt
    tensors = {**UnifiedVoice(settings).state_dict(), **Conditioner(settings).state_dict()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "gpt.safetensors")
    save_file({"centroids": torch.randn(32, 320)}, folder / "codebook.safetensors")
    save_file({"mean": torch.full((160,), -2.0), "std": torch.full((160,), 3.0)},
              folder / "feature_statistics.safetensors")
    save_file(Recogniser(PHONES, 80, 12).state_dict(), folder / "recogniser.safetensors",
              metadata={"phones": json.dumps(PHONES)})
    return folder


def make_tokenizer(path: Path, pieces: int) -> None:
    """Train the base's tokenizer on a few lines."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LATIN), model_prefix=str(path.with_suffix("")), vocab_size=pieces, model_type="bpe",
        bos_id=0, eos_id=1, unk_id=2, minloglevel=2,
    )
    path.with_suffix(".vocab").unlink()
