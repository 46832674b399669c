"""Sources to one corpus of speech.

data/text, data/recordings -> data/corpus/
    manifest.jsonl     an utterance a line: id, audio, text, text_normalised, language, role, source, speaker, split,
                       duration_seconds
    audio/<source>/*/  FLAC, mono, 16 bit
    quarantine.jsonl   what was left out: source, where, id, text, reason
    report.md          the same for people, with histograms; plots/*.csv for DVC
    summary.json       counts, hours, settings

A killed or stopped run goes on with the first shard that .resume/prepare_corpus/ does not hold; the bytes are the same.
Finished shards stay there, at no cost where hard links are possible: when rows are added, only theirs are made.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import output_folder, write_json
from stages.core.errors import UserError
from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import SplitsConfig
from stages.core.params.strict import load_section
from stages.core.text.config import TextConfig, settings_hash
from stages.core.tracking.mlflow_runs import stage_run
from stages.prepare_corpus.config import Config
from stages.prepare_corpus.corpus import Corpus
from stages.prepare_corpus.corpus_gates import judge
from stages.prepare_corpus.reading import cut_shards, read_rows
from stages.prepare_corpus.report import write_report
from stages.prepare_corpus.shards import Shard, ShardStore
from stages.prepare_corpus.sources.every import check_sources
from stages.prepare_corpus.stopping import stop_on_signals
from stages.prepare_corpus.work import Recipe, make_shards, shard_key

OUTPUT, RESUME = Path("data/corpus"), Path(".resume/prepare_corpus")


def main(argv: list[str] | None = None) -> int:
    stage_parser("prepare_corpus", __doc__).parse_args(argv)
    config, splits = load_section(Config, "prepare_corpus"), load_section(SplitsConfig, "splits")
    recipe, store = Recipe(config, load_section(TextConfig, "text")), ShardStore(RESUME)
    check_sources(config.sources)
    with stage_run("prepare_corpus", config.model_dump()) as run, stop_on_signals(), store.lock():
        shards = list(plan_shards(recipe, splits, store))
        make_shards(shards, store, recipe, torch.get_num_threads())
        summary = write_corpus(Corpus(store, shards, splits), recipe)
        store.keep_only(shards)
        quarantined = sum(summary["quarantined"].values())
        run.log_metrics({f"{split}_hours": hours for split, hours in summary["hours"].items()}
                        | {"quarantined": quarantined}, step=0)
    print(f"{OUTPUT}: {summary['utterances']} utterances, {summary['hours']}, {quarantined} quarantined")
    return 0


def plan_shards(recipe: Recipe, splits: SplitsConfig, store: ShardStore) -> Iterator[Shard]:
    """Read all sources; their rows go to the store, shard by shard.

    Raises:
        UserError: a source cannot be read.
    """
    number, fingerprint = 0, recipe.fingerprint()
    for source in recipe.config.sources:
        for rows in cut_shards(read_rows(source, recipe.text, splits)):
            shard = Shard(number, shard_key(rows, source.role, fingerprint), source.name, source.role, len(rows))
            store.add(shard, rows)
            number += 1
            yield shard


def write_corpus(corpus: Corpus, recipe: Recipe) -> dict[str, Any]:
    """Judge all rows and write the output; returns its summary.

    Raises:
        UserError: too little is left, or the disk refuses a write.
    """
    verdicts = judge(corpus, corpus.splits, recipe.config.characters_per_second_deviations_max)
    with output_folder(OUTPUT) as folder:
        summary = corpus.write(folder, verdicts) | {"text_settings": settings_hash(recipe.text)}
        if missing := {"train", "test"} - set(summary["hours"]):
            reasons = ", ".join(f"{count} x {reason}" for reason, count in summary["quarantined"].items())
            raise UserError(
                f"prepare_corpus.sources: no {' and no '.join(sorted(missing))} utterance of a target language; "
                f"give more text, or change splits.seed (quarantined: {reasons or 'nothing'})")
        write_report(folder)
        write_json(folder / "summary.json", summary)
    return summary


if __name__ == "__main__":
    sys.exit(run_command(main))
