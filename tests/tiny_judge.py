"""A CTC judge and a speaker encoder as transformers writes them: tiny, random, made in a second."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ሠሰላምነው5"]
SMALL = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "conv_dim": (8, 8),
    "conv_kernel": (10, 8), "conv_stride": (5, 8), "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "vocab_size": len(LETTERS), "pad_token_id": 0,
}


def write_tokenizer(folder: Path) -> None:
    """The files of a tokenizer whose letters are LETTERS."""
    folder.mkdir(exist_ok=True)
    (folder / "letters.json").write_text(json.dumps({letter: place for place, letter in enumerate(LETTERS)}))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "letters.json")).save_pretrained(folder)


def write_ctc(folder: Path, model: Any, extractor: Any, says: str) -> Path:
    """Save a model whose every frame says one letter."""
    write_tokenizer(folder)
    with torch.no_grad():
        model.lm_head.bias[LETTERS.index(says)] = 100.0
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def wav2vec2(folder: Path, says: str = "ሰ") -> Path:
    """A model of samples."""
    torch.manual_seed(0)
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000)
    return write_ctc(folder, transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SMALL)), extractor, says)


def w2v_bert(folder: Path, says: str = "ላ") -> Path:
    """A model of filterbanks."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=len(LETTERS),
        feature_projection_input_dim=160, pad_token_id=0,
    )
    extractor = transformers.SeamlessM4TFeatureExtractor()
    return write_ctc(folder, transformers.Wav2Vec2BertForCTC(config), extractor, says)


def x_vectors(folder: Path) -> Path:
    """A speaker encoder."""
    torch.manual_seed(0)
    config = transformers.WavLMConfig(**SMALL, tdnn_dim=(8, 8), tdnn_kernel=(3, 3), tdnn_dilation=(1, 1),
                                      xvector_output_dim=12, num_buckets=8, max_bucket_distance=16)
    transformers.WavLMForXVector(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000).save_pretrained(folder)
    return folder
