"""One checkpoint on held-out text: prediction of codes, sampled speech, what is left of the base's languages.

data/checkpoints/<phase>, data/checkpoints/base, data/features, data/corpus, base -> data/evaluation/<phase>/
    metrics.json             every figure of figures.FIGURES with its 95 % interval; null where unmeasured
    headline.json            means of a few of them, those that were measured: what DVC's tables show
    samples/*.wav            none where the base cannot speak by itself
    samples/samples.jsonl    the same sentences for every phase: text, what was expected and heard, files
    samples/worst.jsonl      the same of the sentences with the most errors; none where nobody judged

docs/evaluation.md defines the figures.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import output_folder, read_jsonl, write_json
from stages.core.artifacts.text_settings import require_same_text
from stages.core.errors import UserError
from stages.core.model.adapter import MiniatureAdapter, load_miniature_adapter
from stages.core.model.checkpoint import load_conditioner, load_phase
from stages.core.model.settings import BaseSettings, read_settings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.command import run_command, stage_parser
from stages.core.params.phases import BASE
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import PARAMS_FILE, load_section, read_params
from stages.core.text.config import TextConfig
from stages.core.text.normalise import Normaliser
from stages.core.tracking.mlflow_runs import stage_run
from stages.core.training.features import FeatureSet
from stages.evaluate_speech.config import Config
from stages.evaluate_speech.cross_entropy import measure_base_languages, measure_target, rows_of
from stages.evaluate_speech.draw import Drawn, choose_rows, draw_codes, measure_lengths, spread
from stages.evaluate_speech.drift import measure_drift
from stages.evaluate_speech.emotion import measure_emotion
from stages.evaluate_speech.figures import Values, make_figures, take_headline
from stages.evaluate_speech.judge import Judge, load_judge, read_as_written
from stages.evaluate_speech.likeness import load_speaker_encoder
from stages.evaluate_speech.listen import Hearing, Sample, Speech, hear, measure_errors, measure_faults, speak
from stages.evaluate_speech.prosody import measure_pitch, measure_voices
from stages.evaluate_speech.shown import write_samples

CORPUS, FEATURES, CHECKPOINTS = Path("data/corpus"), Path("data/features"), Path("data/checkpoints")
OUTPUT = Path("data/evaluation")


@dataclass(frozen=True)
class Setting:
    """What every phase is measured with; `adapter` is None where the base cannot speak by itself."""

    base: Path
    settings: BaseSettings
    config: Config
    text: TextConfig
    prompt_seconds_max: float
    device: torch.device
    adapter: MiniatureAdapter | None
    manifest: dict[str, dict[str, Any]]

def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("evaluate_speech", __doc__)
    parser.add_argument("--phase", required=True, help="a phase, or `base` for step 0")
    parser.add_argument("--config", type=Path, default=PARAMS_FILE, metavar="FILE", help="params file")
    parser.add_argument("--model_path", type=Path, metavar="DIR", help="checkpoint (default: data/checkpoints/<phase>)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to write (default: data/evaluation/<phase>)")
    flags = parser.parse_args(argv)
    checkpoint, output = flags.model_path or CHECKPOINTS / flags.phase, flags.output or OUTPUT / flags.phase
    setting = prepare(flags.config)
    require_same_text(checkpoint, FEATURES, CORPUS)
    stage = "evaluate_speech_base" if flags.phase == BASE else f"evaluate_speech@{flags.phase}"
    with stage_run(stage, setting.config.model_dump(), params_file=flags.config) as run:
        values, samples, hearing = evaluate(load_model(checkpoint, setting), setting)
        metrics = make_figures(values, setting.config.seed)
        with output_folder(output / "samples") as folder:
            write_samples(folder, samples, hearing, setting.config)
        write_json(output / "metrics.json", metrics)
        write_json(output / "headline.json", take_headline(metrics))
        run.log_metrics({key: value["mean"] for key, value in metrics.items() if value}, step=0)
        run.log_artifact(output / "samples", "samples")
    for key, value in metrics.items():
        print(f"{key:<46}{'unmeasured' if value is None else value['mean']}")
    return 0


def prepare(params: Path) -> Setting:
    """Read what is the same for every phase."""
    config, base = load_section(Config, "evaluate_speech", params), Path(load_section(BaseConfig, "base", params).path)
    settings = read_settings(base)
    return Setting(
        base, settings, config, load_section(TextConfig, "text", params),
        prompt_seconds_max=float(read_params(params)["extract_features"]["prompt_seconds_max"]),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        adapter=load_miniature_adapter(base, settings) if settings.miniature else None,
        manifest={line["id"]: line for line in read_jsonl(CORPUS / "manifest.jsonl")},
    )


def load_model(checkpoint: Path, setting: Setting) -> UnifiedVoice:
    """The weights of a phase, or of the base with its new rows."""
    return load_phase(checkpoint, setting.settings.gpt).to(setting.device).eval()


def evaluate(model: UnifiedVoice, setting: Setting) -> tuple[Values, list[Sample], Hearing | None]:
    """Measure everything that the base, the judge and the encoder allow."""
    config, test = setting.config, FeatureSet(FEATURES, lambda row: row.role == "target" and row.split == "test")
    if len(test) == 0:
        raise UserError(f"{FEATURES}: no test utterance of the target language")
    values = measure_target(model, rows_of(test)) | measure_forgetting(model, setting)
    drawn = draw_codes(model, test, choose_rows(test, config.sentences_max, config.speakers_max), config, config.draws)
    values |= measure_lengths(drawn, config)
    if setting.adapter is None:
        print(f"{setting.base}: brings no decoder of its own, so figures of sampled speech are unmeasured")
    speech = speak(drawn, setting.manifest, CORPUS, setting.adapter, with_coded=True)
    hearing, heard = judge_speech(speech, setting)
    values |= heard | measure_sound(speech, setting) | measure_base_speech(model, setting)
    return values | measure_emotion_path(model, drawn, setting), speech.samples, hearing


def measure_forgetting(model: UnifiedVoice, setting: Setting) -> Values:
    """The base's languages: cross-entropy with and without replay, and the drift of the latents."""
    heard = FeatureSet(FEATURES, lambda row: row.role == "base" and row.split == "train").languages()
    rows = {among: rows_of(base_tests(heard, among)) for among in (True, False)}
    some = spread(rows[True] + rows[False], setting.config.drift_utterances_max)
    drift = measure_drift(model, load_model(CHECKPOINTS / BASE, setting), some)
    return measure_base_languages(model, rows[True], rows[False]) | drift


def base_tests(languages: set[str], among: bool) -> FeatureSet:
    """Test rows of the base's languages: those of these languages, or the others."""
    return FeatureSet(
        FEATURES, lambda row: row.role == "base" and row.split == "test" and (row.language in languages) == among
    )


def judge_speech(speech: Speech, setting: Setting) -> tuple[Hearing | None, Values]:
    """Errors of the samples; beside them the judge's floor on the references, and on the references' codes."""
    read = Normaliser(setting.text).normalise
    judge = load_judge(setting.config.judge, setting.base, setting.settings, read, setting.device)
    if judge is None:
        return None, {}
    hearing = hear(speech, judge, lambda line: setting.config.phone_voice)
    return hearing, (
        measure_errors(hearing.samples, judge, "") | measure_faults(hearing.samples, "")
        | measure_errors(hearing.references, judge, "reference_") | measure_faults(hearing.references, "reference_")
        | measure_errors(hearing.coded, judge, "codes_")
    )


def measure_sound(speech: Speech, setting: Setting) -> Values:
    """Melody and voice."""
    encoder = load_speaker_encoder(setting.config.speaker_encoder, setting.settings, setting.device)
    return measure_pitch(speech) | (measure_voices(speech, encoder) if encoder else {})


def measure_base_speech(model: UnifiedVoice, setting: Setting) -> Values:
    """Errors of speech in the base's languages, and the judge's floor on them."""
    config = setting.config
    tests = FeatureSet(FEATURES, lambda row: row.role == "base" and row.split == "test")
    judge: Judge | None = load_judge(config.base_judge, setting.base, setting.settings, read_as_written, setting.device)
    if judge is None or config.base_sentences_max == 0 or len(tests) == 0:
        return {}
    drawn = draw_codes(model, tests, choose_rows(tests, config.base_sentences_max, 1), config, draws=1)
    speech = speak(drawn, setting.manifest, CORPUS, setting.adapter, with_coded=False)
    hearing = hear(speech, judge, lambda line: line["language"])
    return measure_errors(hearing.samples, judge, "base_language_") \
        | measure_errors(hearing.references, judge, "base_language_reference_")


def measure_emotion_path(model: UnifiedVoice, drawn: list[Drawn], setting: Setting) -> Values:
    """What another style's emotion vector changes in some of the drawn utterances."""
    by_sentence = {one.sentence: one for one in drawn if one.draw == 0}
    some = spread(list(by_sentence.values()), setting.config.emotion_sentences_max)
    if not some or setting.adapter is None:
        return {}
    conditioner = load_conditioner(setting.base, setting.settings)
    return measure_emotion(model, some, setting.manifest, CORPUS, setting.adapter, conditioner, setting.config,
                           setting.prompt_seconds_max)


if __name__ == "__main__":
    sys.exit(run_command(main))
