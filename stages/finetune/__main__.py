"""One phase of the schedule: LoRA or full fine-tuning from the phase before.

data/checkpoints/<start_from>, data/features, base -> data/checkpoints/<phase>/
    model.safetensors   merged weights of the trained part
    adapter/            the PEFT adapter, where the phase is LoRA
    curves.csv          figures by step and tokens seen
    summary.json        trained parameters, steps, tokens, last validation

A killed run continues from its last saved state in .resume/finetune@<phase>/.
"""

import csv
import io
import sys
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import output_folder, read_json, write_json, write_text
from stages.core.errors import ParamsError
from stages.core.model.checkpoint import WEIGHTS_FILE, load_phase, save_tensors
from stages.core.model.settings import read_settings
from stages.core.params.command import stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section, parse_section, read_params
from stages.core.tracking.mlflow_runs import last_step, stage_run
from stages.core.training.features import FeatureSet
from stages.core.training.loop import LoopState
from stages.core.training.lora import save_adapter
from stages.core.training.progress import print_progress
from stages.core.training.resume import ResumeStore, fingerprint
from stages.finetune.config import Config, Phase
from stages.finetune.train import Trainee, build_loop, is_training, is_validation, prepare_model

CHECKPOINTS, FEATURES, RESUME = Path("data/checkpoints"), Path("data/features"), Path(".resume")


def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("finetune", __doc__)
    parser.add_argument("--phase", required=True, help="name of a phase in params.yaml")
    name = parser.parse_args(argv).phase
    phase, config = load_phase_params(name), load_section(Config, "finetune")
    base = Path(load_section(BaseConfig, "base").path)
    store = open_store(name, phase, config, base)
    with store.lock():
        train_phase(name, phase, config, base, store)
    return 0


def load_phase_params(name: str) -> Phase:
    """The phase's section.

    Raises:
        ParamsError: there is no such phase, or it is wrong.
    """
    phases = read_params().get("phases", {})
    if name not in phases:
        raise ParamsError("params.yaml", [f"phases: no phase named {name!r}; there are {', '.join(phases)}"])
    return parse_section(Phase, phases[name], "params.yaml", f"phases.{name}")


def open_store(name: str, phase: Phase, config: Config, base: Path) -> ResumeStore:
    """Where this very run keeps its state: another phase setting or another input is another folder."""
    inputs = [CHECKPOINTS / phase.start_from / WEIGHTS_FILE, FEATURES, base / "config.yaml"]
    store = ResumeStore(RESUME / f"finetune@{name}" / fingerprint([phase.model_dump(), config.model_dump()], inputs))
    store.prune_siblings()
    return store


def train_phase(name: str, phase: Phase, config: Config, base: Path, store: ResumeStore) -> None:
    """Train, then write the phase's folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    settings = read_settings(base).gpt
    model = load_phase(CHECKPOINTS / phase.start_from, settings, phase.dropout).to(device)
    trainee = prepare_model(model, phase, settings.number_text_tokens)
    train, validation = FeatureSet(FEATURES, is_training), FeatureSet(FEATURES, is_validation)
    counts = trainee.counts()
    print(f"finetune@{name}: {counts['trained']:,} of {counts['total']:,} parameters trained "
          f"({counts['trained_percent']:.2f} %), {len(train)} utterances", flush=True)
    tokens_before = read_json(CHECKPOINTS / phase.start_from / "summary.json")["tokens_seen_by_schedule"]
    saved = store.load()
    resumed_at = saved[1]["step"] if saved else -1
    if saved:
        print(f"finetune@{name}: continues at step {resumed_at} from {store.path}", flush=True)
    params = {**config.model_dump(), **phase.model_dump()}
    with stage_run(f"finetune@{name}", params, run_id=saved[1]["run_id"] if saved else None) as run:
        logged = last_step(run.id, "learning_rate")

        def report(figures: dict[str, float], timings: dict[str, float]) -> None:
            if figures["step"] > resumed_at:
                print_progress(figures, timings)
            step = tokens_before + int(figures["tokens_seen"])
            if step > logged:
                run.log_metrics({**figures, **timings}, step=step)

        state = build_loop(trainee, train, validation, phase, config, store, run.id, device).run(report)
        with output_folder(CHECKPOINTS / name) as folder:
            write_phase(folder, trainee, state, tokens_before, counts, phase)
        run.log_artifact(CHECKPOINTS / name / "curves.csv")


def write_phase(folder: Path, trainee: Trainee, state: LoopState, tokens_before: int, counts: dict[str, Any],
                phase: Phase) -> None:
    """Write adapter, merged weights, curves and summary."""
    if trainee.adapter:
        save_adapter(trainee.adapter, folder / "adapter")
    save_tensors(folder / WEIGHTS_FILE, trainee.merged())
    names = list(dict.fromkeys(key for point in state.curve for key in point))
    table = io.StringIO()
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(state.curve)
    write_text(folder / "curves.csv", table.getvalue())
    write_json(folder / "summary.json", {
        "start_from": phase.start_from, "approach": phase.approach, "parameters": counts, "steps": state.step,
        "tokens_seen": state.tokens_seen, "tokens_seen_by_schedule": tokens_before + state.tokens_seen,
        "last": state.curve[-1] if state.curve else {},
    })


if __name__ == "__main__":
    sys.exit(main())
