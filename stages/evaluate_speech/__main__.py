"""One checkpoint on held-out text: prediction of codes, sampled speech, what is left of the base's languages.

data/checkpoints/<phase>, data/features, data/corpus, data/vocabulary, base -> data/evaluation/<phase>/
    metrics.json             figures with 95 % intervals; null where unmeasured
    samples/*.wav            the same sentences for every phase
    samples/samples.jsonl    text, what was expected and heard, files
"""

import sys
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import output_folder, read_jsonl, write_json, write_jsonl
from stages.core.audio.files import write_audio
from stages.core.errors import UserError
from stages.core.model.adapter import SpeechAdapter, load_adapter
from stages.core.model.checkpoint import load_phase
from stages.core.model.sampling import SamplingSettings
from stages.core.model.settings import BaseSettings, read_settings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.command import stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section
from stages.core.tracking.mlflow_runs import stage_run
from stages.core.training.features import FeatureSet
from stages.evaluate_speech.config import Config
from stages.evaluate_speech.cross_entropy import Prediction, predict_codes, ratio_of, rows_of, swap_texts
from stages.evaluate_speech.figures import mean_figure, ratio_figure
from stages.evaluate_speech.judge import Judge, similarity
from stages.evaluate_speech.listen import Sample, choose_rows, listen, sample_rows, spread

CORPUS, FEATURES, CHECKPOINTS = Path("data/corpus"), Path("data/features"), Path("data/checkpoints")
OUTPUT = Path("data/evaluation")
Figures = dict[str, dict[str, float] | None]


def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("evaluate_speech", __doc__)
    parser.add_argument("--phase", required=True, help="a phase, or `base` for step 0")
    name = parser.parse_args(argv).phase
    config, base = load_section(Config, "evaluate_speech"), Path(load_section(BaseConfig, "base").path)
    settings = read_settings(base)
    stage = "evaluate_speech_base" if name == "base" else f"evaluate_speech@{name}"
    with stage_run(stage, config.model_dump()) as run:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = load_phase(CHECKPOINTS / name, settings.gpt).to(device).eval()
        test = FeatureSet(FEATURES, lambda row: row.role == "target" and row.split == "test")
        if len(test) == 0:
            raise UserError(f"{FEATURES}: no test utterance of the target language")
        metrics = measure_prediction(model, test, config.seed)
        judge, adapter = load_judge(base, settings), load_adapter(base, settings)
        samples = speak_and_listen(model, test, settings, config, judge, adapter)
        metrics |= measure_samples(samples, judge, config.seed)
        with output_folder(OUTPUT / name / "samples") as folder:
            shown = spread(samples, config.shown_utterances)
            write_samples(folder, shown, adapter.sample_rate_hz)
        write_json(OUTPUT / name / "metrics.json", metrics)
        run.log_metrics({key: value["mean"] for key, value in metrics.items() if value}, step=0)
        run.log_artifact(OUTPUT / name / "samples", "samples")
    for key, value in metrics.items():
        print(f"{key:<32}{'unmeasured' if value is None else value['mean']}")
    return 0


def load_judge(base: Path, settings: BaseSettings) -> Judge:
    """The base's recogniser.

    Raises:
        UserError: the base brings none.
    """
    if settings.miniature is None:
        raise UserError(f"{base / 'config.yaml'}: names no recogniser, so sampled speech cannot be judged")
    return Judge(base, settings.miniature)


def measure_prediction(model: UnifiedVoice, test: FeatureSet, seed: int) -> Figures:
    """Cross-entropy (nats a code) and top-1 on the target and on the base's languages."""
    rows = rows_of(test)
    right, swapped = predict_codes(model, rows), predict_codes(model, swap_texts(rows))
    heard = FeatureSet(FEATURES, lambda row: row.role == "base" and row.split == "train").languages()
    replayed, unreplayed = (predict_codes(model, rows_of(base_rows(heard, among))) for among in (True, False))
    forgotten = replayed + unreplayed

    def cross_entropy(predictions: list[Prediction]) -> dict[str, float] | None:
        return ratio_figure(ratio_of(predictions, lambda one: one.cross_entropy_sum), seed)

    return {
        "code_cross_entropy": cross_entropy(right),
        "code_top1": ratio_figure(ratio_of(right, lambda one: one.hits), seed),
        "swapped_text_cross_entropy": cross_entropy(swapped),
        "base_language_cross_entropy": cross_entropy(forgotten),
        "base_language_top1": ratio_figure(ratio_of(forgotten, lambda one: one.hits), seed),
        "replayed_language_cross_entropy": cross_entropy(replayed),
        "unreplayed_language_cross_entropy": cross_entropy(unreplayed),
    }


def base_rows(heard: set[str], among: bool) -> FeatureSet:
    """Test rows of the base's languages: those that training may replay, or the others."""
    return FeatureSet(
        FEATURES, lambda row: row.role == "base" and row.split == "test" and (row.language in heard) == among
    )


def speak_and_listen(
    model: UnifiedVoice, test: FeatureSet, settings: BaseSettings, config: Config, judge: Judge, adapter: SpeechAdapter
) -> list[Sample]:
    """Sample, decode and judge a fixed set of held-out utterances."""
    indices = choose_rows(test, config.sampled_utterances_max)
    rows = [test.row(index) for index in indices]
    sampling = SamplingSettings(config.temperature, config.top_p, config.top_k, config.repetition_penalty,
                                settings.gpt.max_mel_tokens, config.seed)
    drawn = sample_rows(model, rows, sampling, config.codes_per_text_token_max)
    manifest = {line["id"]: line for line in read_jsonl(CORPUS / "manifest.jsonl")}
    return listen(test, indices, rows, drawn, manifest, CORPUS, adapter, judge, config.phone_voice)


def measure_samples(samples: list[Sample], judge: Judge, seed: int) -> Figures:
    """Phone errors of sampled, reference and coded speech; clean stops; likeness to the prompt's voice."""
    population = torch.stack([judge.portrait(one.reference) for one in samples]).mean(dim=0)
    voices = [similarity(judge.portrait(one.audio), judge.portrait(one.prompt), population)
              for one in samples if judge.is_audible(one.audio)]

    def errors(heard: str) -> dict[str, float] | None:
        return ratio_figure([(getattr(one, heard).errors, len(one.expected)) for one in samples], seed)

    return {
        "phone_error_rate": errors("heard"),
        "codes_phone_error_rate": errors("heard_coded"),
        "reference_phone_error_rate": errors("heard_reference"),
        "stop_rate": mean_figure([float(one.stopped) for one in samples], seed),
        "speaker_similarity": mean_figure(voices, seed),
    }


def write_samples(folder: Path, samples: list[Sample], sample_rate_hz: int) -> None:
    """Write audio and what was heard."""
    lines: list[dict[str, Any]] = []
    for number, one in enumerate(samples):
        write_audio(folder / f"{number:02d}.wav", one.audio, sample_rate_hz)
        lines.append({
            "file": f"{number:02d}.wav", "id": one.line["id"], "text": one.line["text_normalised"],
            "speaker": one.line["speaker"], "phones_expected": " ".join(one.expected),
            "phones_heard": " ".join(one.heard.phones), "phone_errors": one.heard.errors,
            "phones": len(one.expected), "stopped": one.stopped,
            "duration_seconds": round(len(one.audio) / sample_rate_hz, 3),
            "reference": one.line["audio"], "prompt": one.prompt_line["audio"],
        })
    write_jsonl(folder / "samples.jsonl", lines)


if __name__ == "__main__":
    sys.exit(main())
