"""Texts to a corpus of speech.

sources' texts -> data/corpus/
    manifest.jsonl     an utterance a line: id, audio, text, text_normalised, language, role, speaker, split,
                       duration_seconds
    audio/*.flac       mono, 16 bit
    quarantine.jsonl   what was left out, each with its reason
    summary.json       counts, hours, settings
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import output_folder, write_json, write_jsonl
from stages.core.artifacts.progress import Progress
from stages.core.errors import UserError
from stages.core.params.command import stage_parser
from stages.core.params.shared import SplitsConfig
from stages.core.params.strict import load_section
from stages.core.text.config import TextConfig, settings_hash
from stages.core.text.latin import clean_latin
from stages.core.text.normalise import Normaliser
from stages.core.tracking.mlflow_runs import stage_run
from stages.prepare_corpus.config import Config
from stages.prepare_corpus.sources import espeak
from stages.prepare_corpus.utterance import Rejected
from stages.prepare_corpus.work import Job, plan_job, speak_all

OUTPUT = Path("data/corpus")


def main(argv: list[str] | None = None) -> int:
    stage_parser("prepare_corpus", __doc__).parse_args(argv)
    config, splits = load_section(Config, "prepare_corpus"), load_section(SplitsConfig, "splits")
    text = load_section(TextConfig, "text")
    with stage_run("prepare_corpus", config.model_dump()) as run, output_folder(OUTPUT) as folder:
        (folder / "audio").mkdir()
        jobs, quarantine = plan(config, splits, text, folder)
        rows = speak_corpus(jobs, config, quarantine, folder)
        write_jsonl(folder / "manifest.jsonl", rows)
        write_jsonl(folder / "quarantine.jsonl", quarantine)
        summary = summarise(rows, quarantine) | {"text_settings": settings_hash(text)}
        write_json(folder / "summary.json", summary)
        run.log_metrics({f"{split}_hours": hours for split, hours in summary["hours"].items()}
                        | {"quarantined": len(quarantine)}, step=0)
    print(f"{OUTPUT}: {summary['utterances']} utterances, {summary['hours']}, {len(quarantine)} quarantined")
    return 0


def plan(
    config: Config, splits: SplitsConfig, text: TextConfig, folder: Path
) -> tuple[list[Job], list[dict[str, str]]]:
    """Jobs of all sources.

    Raises:
        UserError: a text is missing, or no source gives a training utterance of the target language.
    """
    normaliser = Normaliser(text)
    jobs: list[Job] = []
    quarantine: list[dict[str, str]] = []
    for source in config.sources:
        reader = normaliser.normalise if source.role == "target" else clean_latin
        for row in espeak.read(source, reader, splits):
            if isinstance(row, Rejected):
                quarantine.append({"source": source.name, "where": row.where, "text": row.text, "reason": row.reason})
            else:
                jobs.append(plan_job(row, source.name, source.role, config.sample_rate_hz, folder))
    found = {job.row["split"] for job in jobs if job.row["role"] == "target"}
    if missing := {"train", "test"} - found:
        raise UserError(f"prepare_corpus.sources: no {' and no '.join(sorted(missing))} utterance of a target "
                        "language; give more text, or change splits.seed")
    return jobs, quarantine


def speak_corpus(
    jobs: list[Job], config: Config, quarantine: list[dict[str, str]], folder: Path
) -> list[dict[str, Any]]:
    """Speak all jobs; an utterance too short or too long goes to the quarantine."""
    progress, rows = Progress("utterances", len(jobs)), []
    for row in speak_all(jobs, torch.get_num_threads()):
        if config.duration_seconds_min <= row["duration_seconds"] <= config.duration_seconds_max:
            rows.append(row)
        else:
            (folder / row["audio"]).unlink()
            quarantine.append({"source": row["id"], "text": row["text"],
                               "reason": f"duration {row['duration_seconds']} s out of range"})
        progress.advance()
    return rows


def summarise(rows: list[dict[str, Any]], quarantine: list[dict[str, str]]) -> dict[str, Any]:
    """Counts and hours."""
    hours: Counter[str] = Counter()
    for row in rows:
        hours[row["split"] if row["role"] == "target" else "base"] += row["duration_seconds"] / 3600
    return {
        "utterances": len(rows), "hours": {split: round(value, 4) for split, value in sorted(hours.items())},
        "speakers": sorted({row["speaker"] for row in rows}),
        "quarantined": dict(Counter(row["reason"].split(" ")[0] for row in quarantine)),
    }


if __name__ == "__main__":
    sys.exit(main())
