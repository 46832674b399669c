"""The base's checkpoint folder with the new weights and vocabulary, as upstream's own inference loads it.

data/checkpoints/<phase>, data/vocabulary, base -> data/export/
    config.yaml          the base's, with the new vocabulary's length
    <gpt_checkpoint>     trained part and the base's frozen encoders, under upstream's names
    <bpe_model>          the extended vocabulary
    ...                  every other file of the base, unchanged: copied or linked
    adapter/             where the phase is LoRA: what it alone changed, as PEFT reads it
data/corpus, data/evaluation -> data/export/
    voices/              held-out recordings of the corpus, prompts to start with
    text_settings.json   how text is read, with its fingerprint
    MODEL_CARD.md        data, schedule, measured figures, terms of the base, use
    SHA256SUMS
data/export -> MLflow: the next version of the registered model
"""

import sys
from pathlib import Path

from stages.core.artifacts.files import output_folder, write_text
from stages.core.artifacts.text_settings import read_with, require_same_text
from stages.core.errors import UserError
from stages.core.model.checkpoint import read_base_tensors
from stages.core.model.settings import read_settings
from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section, read_params
from stages.core.speaking.config import load_speaking_config
from stages.core.text.config import TextConfig, settings_hash
from stages.core.text.exported import write_text_settings
from stages.core.tracking.mlflow_runs import stage_run
from stages.export_model.card import gather_facts, render_card
from stages.export_model.config import Config
from stages.export_model.contents import CARD, SUMS, checksums, write_model, write_voices
from stages.export_model.registered import register_export

CHECKPOINTS, VOCABULARY, OUTPUT = Path("data/checkpoints"), Path("data/vocabulary"), Path("data/export")
CORPUS, EVALUATION = Path("data/corpus"), Path("data/evaluation")


def main(argv: list[str] | None = None) -> int:
    stage_parser("export_model", __doc__).parse_args(argv)
    config, base = load_section(Config, "export_model"), Path(load_section(BaseConfig, "base").path)
    text, phases = load_section(TextConfig, "text"), read_params()["phases"]
    check_text_settings(text, CHECKPOINTS / config.phase)
    facts = gather_facts(base, config.phase, phases, CORPUS, CHECKPOINTS, EVALUATION)
    with stage_run("export_model", config.model_dump()) as run:
        with output_folder(OUTPUT) as folder:
            write_model(base, CHECKPOINTS / config.phase, VOCABULARY, folder, config.untouched)
            write_voices(CORPUS, folder, config.voices_max)
            write_text_settings(folder, text)
            check_export(folder)
            write_text(folder / CARD, render_card(facts, folder))
            write_text(folder / SUMS, checksums(folder))
        sizes = [path.stat().st_size for path in OUTPUT.rglob("*") if path.is_file()]
        run.set_tag("exported_phase", facts.phase)
        run.log_metrics({"export_bytes": sum(sizes)}, step=0)
        run.log_artifact(OUTPUT / "config.yaml")
        run.log_artifact(OUTPUT / CARD)
        if (name := config.registered_as) and run.id:
            print(f"MLflow: models:/{name}/{register_export(run, OUTPUT, name, load_speaking_config({}))}")
    print("".join(f"{sentence}\n" for sentence in facts.fallbacks)
          + f"{OUTPUT}: {facts.phase} in the layout of {base}; {OUTPUT / CARD} says what it is")
    return 0


def check_text_settings(text: TextConfig, checkpoint: Path) -> None:
    """Compare the settings with those that the corpus, and what the checkpoint learned, were read with.

    Raises:
        UserError: they differ, so that the export would not say how its own training text was read.
    """
    require_same_text(checkpoint, CORPUS)
    if settings_hash(text) != (found := read_with(CORPUS)):
        raise UserError(f"{CORPUS / 'summary.json'}: its text was read with settings {found}, params.yaml and the "
                        f"tables give {settings_hash(text)}; run the stages from prepare_corpus again")


def check_export(folder: Path) -> None:
    """Account for every key of what was written, as the pipeline does when it loads a base.

    Raises:
        UserError: a key is missing, unexpected or misshapen.
    """
    read_base_tensors(folder, read_settings(folder), wanted=lambda name: False)


if __name__ == "__main__":
    sys.exit(run_command(main))
