"""The parts of the miniature, one after the other, into one checkpoint directory."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from stages.build_base.config import Config
from stages.build_base.pretrain import Example, ExampleSet, pretrain
from stages.build_base.recogniser import phone_error_rate, train_recogniser
from stages.build_base.speech import Utterance, speak_language, speak_more
from stages.core.artifacts.files import output_folder, write_json
from stages.core.audio.codebook import Codebook, stack_frames, train_codebook, voice_average
from stages.core.audio.mel import MelAnalysis
from stages.core.model.adapter import MiniatureAdapter, smooth_steps
from stages.core.model.recogniser import Recogniser
from stages.core.model.settings import MiniatureSettings, parse_settings
from stages.core.params.shared import SplitsConfig
from stages.core.text.config import TextConfig
from stages.core.text.latin import clean_latin
from stages.core.text.normalise import Normaliser
from stages.core.text.tokenizer import Tokenizer
from stages.core.training.resume import fingerprint

ANALYSIS = {"sample_rate_hz": 16000, "fft_samples": 512, "window_samples": 400, "hop_samples": 160,
            "mel_channels": 80, "frames_per_feature": 2}
FILES = {"codebook": "codebook.safetensors", "feature_statistics": "feature_statistics.safetensors",
         "recogniser": "recogniser.safetensors"}


def build(config: Config, splits: SplitsConfig, text: TextConfig, output: Path) -> dict[str, float]:
    """Make a base in `output`; returns its metrics."""
    analysis = MiniatureSettings(
        **ANALYSIS, **FILES, frames_per_code=config.codebook.frames_per_code,
        code_time_terms=config.codebook.time_terms, code_mel_terms=config.codebook.mel_terms,
    )
    mel = MelAnalysis(analysis.mel)
    old = [row for name, language in config.languages.items()
           for row in speak_language(name, language, config.readings_per_span, clean_latin, config, splits, mel)]
    new = speak_language("new", config.new_language, config.readings_per_new_span, Normaliser(text).normalise,
                         config, splits, mel)
    print(f"speech: {_hours(old, mel):.2f} h of {len(config.languages)} languages, {_hours(new, mel):.2f} h new")
    with output_folder(output) as folder:
        codebook = _make_codebook([row for row in old + new if row.split == "train"], config, analysis)
        save_file({"centroids": codebook.centroids}, folder / analysis.codebook)
        statistics = _feature_statistics(old, analysis.frames_per_feature)
        save_file(statistics, folder / analysis.feature_statistics)
        judge = train_recogniser(new + old, codebook, analysis.mel_channels, config.recogniser, config.seed)
        _save_judge(judge, folder / analysis.recogniser)
        _train_tokenizer(sorted({row.text for row in old if row.split == "train"}), config.pieces, folder)
        content = _write_config(folder, config, analysis, statistics)
        metrics = _judge_metrics(judge, codebook, mel, [row for row in new if row.split == "test"])
        old += [row for name, language in config.languages.items()
                for row in speak_more(name, language, clean_latin, config, splits, mel)]
        metrics |= _pretrain(old, content, folder, config, MiniatureAdapter(analysis, codebook.centroids, statistics))
        metrics["hours"] = _hours(old, mel)
        write_json(folder / "metrics.json", {name: round(value, 4) for name, value in metrics.items()})
    return metrics


def _hours(rows: Sequence[Utterance], mel: MelAnalysis) -> float:
    return sum(len(row.log_mel) for row in rows) / mel.settings.frame_rate_hz / 3600


def _make_codebook(rows: Sequence[Utterance], config: Config, analysis: MiniatureSettings) -> Codebook:
    frames, projection = config.codebook.frames_per_code, analysis.code_projection
    points = torch.cat([stack_frames(row.log_mel - voice_average(row.log_mel), frames) for row in rows])
    drawn = torch.randperm(len(points), generator=torch.Generator().manual_seed(config.seed))
    points = points[drawn[: config.codebook.frames_max]]
    centroids = train_codebook(
        points, projection, config.codebook.centroids, config.codebook.iterations, config.seed
    )
    return Codebook(centroids, frames, projection)


def _feature_statistics(rows: Sequence[Utterance], frames: int) -> dict[str, Tensor]:
    stacked = torch.cat([stack_frames(row.log_mel, frames) for row in rows])
    return {"mean": stacked.mean(dim=0), "std": stacked.std(dim=0)}


def _save_judge(judge: Recogniser, path: Path) -> None:
    tensors = {name: value.half() for name, value in judge.state_dict().items()}
    save_file(tensors, path, metadata={"phones": json.dumps(judge.phones, ensure_ascii=False)})


def _train_tokenizer(texts: Sequence[str], pieces: int, folder: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.upper() for text in texts), model_prefix=str(folder / "bpe"), vocab_size=pieces,
        model_type="bpe", character_coverage=1.0, bos_id=0, eos_id=1, unk_id=2, pad_id=-1, minloglevel=2,
        normalization_rule_name="nfkc",
    )
    (folder / "bpe.vocab").unlink()


def _write_config(folder: Path, config: Config, analysis: MiniatureSettings, statistics: dict[str, Tensor]) -> Any:
    codes = config.codebook.centroids
    encoders = ("condition_module", "emo_condition_module")
    gpt = config.model.model_dump() | {
        "number_text_tokens": len(Tokenizer(folder / "bpe.model")), "number_mel_codes": codes + 2,
        "start_mel_token": codes, "stop_mel_token": codes + 1, "start_text_token": 0, "stop_text_token": 1,
        "condition_type": "conformer_perceiver", "feature_dim": len(statistics["mean"]),
    }
    for name in encoders:
        gpt[name]["input_layer"] = "conv2d2"
    content = {"dataset": {"bpe_model": "bpe.model"}, "gpt": gpt, "gpt_checkpoint": "gpt.safetensors",
               "miniature": analysis.model_dump()}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return content


def _judge_metrics(
    judge: Recogniser, codebook: Codebook, mel: MelAnalysis, rows: Sequence[Utterance]
) -> dict[str, float]:
    """The judge's error on natural held-out speech, on speech through the codes, and on another row's text."""
    coded = [mel.analyse(mel.synthesise(smooth_steps(codebook.decode(codebook.quantise(row.log_mel),
                                                                     voice_average(row.log_mel))))) for row in rows]
    return {
        "recogniser_phone_error_rate": phone_error_rate(judge, [(row.phones, row.log_mel) for row in rows]),
        "codes_phone_error_rate": phone_error_rate(judge, [(r.phones, c) for r, c in zip(rows, coded, strict=True)]),
        "mismatched_phone_error_rate": phone_error_rate(
            judge, [(rows[index - len(rows) // 2].phones, row.log_mel) for index, row in enumerate(rows)]),
    }


def _pretrain(rows: Sequence[Utterance], content: Any, folder: Path, config: Config,
              adapter: MiniatureAdapter) -> dict[str, float]:
    settings = parse_settings(content, "config.yaml").gpt
    tokenizer = Tokenizer(folder / "bpe.model")
    feature_rate_hz = adapter.mel.settings.frame_rate_hz / adapter.settings.frames_per_feature
    frames = int(config.pretraining.prompt_seconds_max * feature_rate_hz)

    def examples(split: str) -> ExampleSet:
        return ExampleSet([
            Example(row.speaker, torch.tensor(tokenizer.encode(row.text)), adapter.codebook.quantise(row.log_mel),
                    adapter.features(row.log_mel)[:frames].half())
            for row in rows if row.split == split and len(row.log_mel) // adapter.settings.frames_per_code
            <= settings.max_mel_tokens
        ], frames)

    files = [folder / name for name in ("bpe.model", "codebook.safetensors")]
    resume = Path(".resume/build_base") / fingerprint([config.model_dump(), content], files)
    tensors, figures = pretrain(examples("train"), examples("test"), settings, config.pretraining, config.seed, resume)
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, folder / "gpt.safetensors")
    return {"base_language_cross_entropy": figures["validation_code_cross_entropy"],
            "base_language_top1": figures["validation_code_top1"],
            "parameters": float(sum(value.numel() for value in tensors.values()))}
