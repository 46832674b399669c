"""One checkpoint on held-out text: prediction of codes, sampled speech, what is left of the base's languages.

data/checkpoints/<phase>, data/features, data/corpus, data/vocabulary, base -> data/evaluation/<phase>/
    metrics.json             figures with 95 % intervals; null where unmeasured
    samples/*.wav            the same sentences for every phase; none where the base cannot speak by itself
    samples/samples.jsonl    text, what was expected and heard, files
"""

import sys
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import output_folder, read_jsonl, write_json, write_jsonl
from stages.core.artifacts.text_settings import require_same_text
from stages.core.audio.files import write_audio
from stages.core.errors import UserError
from stages.core.model.adapter import load_miniature_adapter
from stages.core.model.checkpoint import load_phase
from stages.core.model.sampling import SamplingSettings
from stages.core.model.settings import BaseSettings, GptSettings, read_settings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.command import stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import PARAMS_FILE, load_section
from stages.core.tracking.mlflow_runs import stage_run
from stages.core.training.features import FeatureSet
from stages.evaluate_speech.config import Config
from stages.evaluate_speech.cross_entropy import Prediction, predict_codes, ratio_of, rows_of, swap_texts
from stages.evaluate_speech.figures import mean_figure, ratio_figure
from stages.evaluate_speech.judge import Judge, similarity
from stages.evaluate_speech.listen import Drawn, Sample, choose_rows, listen, sample_rows, spread

CORPUS, FEATURES, CHECKPOINTS = Path("data/corpus"), Path("data/features"), Path("data/checkpoints")
OUTPUT = Path("data/evaluation")
SPEECH_FIGURES = ("phone_error_rate", "codes_phone_error_rate", "reference_phone_error_rate", "speaker_similarity")
Figures = dict[str, dict[str, float] | None]


def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("evaluate_speech", __doc__)
    parser.add_argument("--phase", required=True, help="a phase, or `base` for step 0")
    parser.add_argument("--config", type=Path, default=PARAMS_FILE, metavar="FILE", help="params file")
    parser.add_argument("--model_path", type=Path, metavar="DIR", help="checkpoint (default: data/checkpoints/<phase>)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to write (default: data/evaluation/<phase>)")
    flags = parser.parse_args(argv)
    name, checkpoint = flags.phase, flags.model_path or CHECKPOINTS / flags.phase
    output = flags.output or OUTPUT / name
    config = load_section(Config, "evaluate_speech", flags.config)
    base = Path(load_section(BaseConfig, "base", flags.config).path)
    settings = read_settings(base)
    require_same_text(checkpoint, FEATURES, CORPUS)
    stage = "evaluate_speech_base" if name == "base" else f"evaluate_speech@{name}"
    with stage_run(stage, config.model_dump(), params_file=flags.config) as run:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = load_phase(checkpoint, settings.gpt).to(device).eval()
        test = FeatureSet(FEATURES, lambda row: row.role == "target" and row.split == "test")
        if len(test) == 0:
            raise UserError(f"{FEATURES}: no test utterance of the target language")
        metrics = measure_prediction(model, test, config.seed)
        drawn = draw_codes(model, test, settings.gpt, config)
        metrics["stop_rate"] = mean_figure([float(one.stopped) for one in drawn], config.seed)
        speech, samples = listen_to(drawn, base, settings, config)
        metrics |= speech
        with output_folder(output / "samples") as folder:
            write_samples(folder, spread(samples, config.shown_utterances))
        write_json(output / "metrics.json", metrics)
        run.log_metrics({key: value["mean"] for key, value in metrics.items() if value}, step=0)
        run.log_artifact(output / "samples", "samples")
    for key, value in metrics.items():
        print(f"{key:<34}{'unmeasured' if value is None else value['mean']}")
    return 0


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


def draw_codes(model: UnifiedVoice, test: FeatureSet, gpt: GptSettings, config: Config) -> list[Drawn]:
    """Sample a fixed set of held-out utterances."""
    indices = choose_rows(test, config.sampled_utterances_max)
    sampling = SamplingSettings(config.temperature, config.top_p, config.top_k, config.repetition_penalty,
                                gpt.max_mel_tokens, config.seed)
    return sample_rows(model, [test.row(index) for index in indices], [test.utterances[index] for index in indices],
                       sampling, config.codes_per_text_token_max)


def listen_to(
    drawn: list[Drawn], base: Path, settings: BaseSettings, config: Config
) -> tuple[Figures, list[Sample]]:
    """Decode and judge what was sampled; figures of speech are unmeasured where the base cannot speak by itself."""
    if settings.miniature is None:
        print(f"{base}: brings no decoder and no judge of its own, so figures of sampled speech are unmeasured")
        return dict.fromkeys(SPEECH_FIGURES), []
    judge, adapter = Judge(base, settings.miniature), load_miniature_adapter(base, settings)
    manifest = {line["id"]: line for line in read_jsonl(CORPUS / "manifest.jsonl")}
    samples = listen(drawn, manifest, CORPUS, adapter, judge, config.phone_voice)
    return measure_samples(samples, judge, config.seed), samples


def measure_samples(samples: list[Sample], judge: Judge, seed: int) -> Figures:
    """Phone errors of sampled, reference and coded speech; likeness to the prompt's voice: `SPEECH_FIGURES`."""
    population = torch.stack([judge.portrait(one.reference) for one in samples]).mean(dim=0)
    voices = [similarity(judge.portrait(one.audio), judge.portrait(one.prompt), population)
              for one in samples if judge.is_audible(one.audio)]

    def errors(heard: str) -> dict[str, float] | None:
        return ratio_figure([(getattr(one, heard).errors, len(one.expected)) for one in samples], seed)

    return {
        "phone_error_rate": errors("heard"),
        "codes_phone_error_rate": errors("heard_coded"),
        "reference_phone_error_rate": errors("heard_reference"),
        "speaker_similarity": mean_figure(voices, seed),
    }


def write_samples(folder: Path, samples: list[Sample]) -> None:
    """Write audio and what was heard; without samples an empty list."""
    lines: list[dict[str, Any]] = []
    for number, one in enumerate(samples):
        write_audio(folder / f"{number:02d}.wav", one.audio, one.sample_rate_hz)
        lines.append({
            "file": f"{number:02d}.wav", "id": one.line["id"], "text": one.line["text_normalised"],
            "speaker": one.line["speaker"], "phones_expected": " ".join(one.expected),
            "phones_heard": " ".join(one.heard.phones), "phone_errors": one.heard.errors,
            "phones": len(one.expected), "stopped": one.stopped,
            "duration_seconds": round(len(one.audio) / one.sample_rate_hz, 3),
            "reference": one.line["audio"], "prompt": one.prompt_line["audio"],
        })
    write_jsonl(folder / "samples.jsonl", lines)


if __name__ == "__main__":
    sys.exit(main())
