"""The plan: every run as a file that holds all it depends on, and the corpora as indices of features.

data/corpus/manifest.jsonl, data/features, params -> data/comparison/plan/
    <run>.yaml                        the trainer's params file for this run, with a section `run`
    <corpus>/index.jsonl, summary.json   which rows it trains on; a smaller corpus lies in a larger one

An edit of the params changes the files of those runs that it concerns; DVC runs these again and no others.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from stages.compare_strategies.config import Config, resolve_phases
from stages.compare_strategies.runs import PLAN, Run
from stages.core.artifacts.files import output_folder, read_jsonl, write_json, write_jsonl, write_text
from stages.core.artifacts.split import place_of
from stages.core.artifacts.text_settings import KEY, SUMMARY, read_with
from stages.core.errors import ParamsError, UserError
from stages.core.params.command import run_command, stage_parser
from stages.core.params.strict import PARAMS_FILE, load_section, read_params
from stages.core.training.features import INDEX_FILE, Utterance, read_index

CORPUS, FEATURES = Path("data/corpus"), Path("data/features")
SHARDS = Path("../../../features")  # as a corpus' folder of the plan sees them
PASSED_ON = ("base", "text", "extract_features", "finetune", "evaluate_speech")  # sections that a run's commands read
LARGE = "large"
SALT = "comparison"
EPOCHS = 10_000  # more than any run sees; its tokens end it


def main(argv: list[str] | None = None) -> int:
    stage_parser("compare_strategies.plan", __doc__).parse_args(argv)
    config, params = load_section(Config, "compare_strategies"), read_params()
    check_phases(config, params["phases"])
    sections = {"phases": params["phases"], **{name: params[name] for name in PASSED_ON}}
    with output_folder(PLAN) as folder:
        for run, content in plan_runs(config, sections):
            text = yaml.safe_dump({"run": asdict(run), **content}, sort_keys=False, allow_unicode=True)
            write_text(folder / f"{run.name}.yaml", text)
            print(run.name, flush=True)
        write_corpora(folder, config)
    return 0


def check_phases(config: Config, phases: Mapping[str, Any]) -> None:
    """Compare what the strategies take with what the schedule has.

    Raises:
        ParamsError: a strategy that is compared takes a phase which is not there; all of them are named.
    """
    problems = [
        f"compare_strategies.strategies.{name}: like must be one of {', '.join(phases)} (got {phase.like!r})"
        for name in config.compared for phase in config.strategies[name] if phase.like not in phases
    ]
    if problems:
        raise ParamsError(str(PARAMS_FILE), problems)


def plan_runs(config: Config, sections: Mapping[str, Any]) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Each run with its trainer's params file."""
    cells = [(corpus, seed, 1.0) for corpus in config.corpora.model_dump() for seed in config.seeds]
    cells += [(LARGE, config.seeds[0], factor) for factor in config.rate_factors]
    for strategy in config.compared:
        for corpus, seed, factor in cells:
            phases = resolve_phases(config.strategies[strategy], sections["phases"], factor)
            run = Run(
                run_name(strategy, corpus, seed, factor), strategy, corpus, seed, factor, config.tokens,
                dict(zip(phases, phase_ends(config, strategy), strict=True)),
                [phase["approach"] for phase in phases.values()],
                any(phase["replay_share"] > 0 for phase in phases.values()),
            )
            passed_on = {name: sections[name] for name in PASSED_ON}
            yield run, {
                **passed_on, "finetune": {**passed_on["finetune"], "seed": seed},
                "phases": {name: {**phase, "epochs": EPOCHS} for name, phase in phases.items()},
            }


def run_name(strategy: str, corpus: str, seed: int, factor: float) -> str:
    """The run's folder; compare/dvc.yaml puts the same together."""
    return f"{strategy}-{corpus}-{seed}" if factor == 1 else f"{strategy}-rate-{factor}"


def phase_ends(config: Config, strategy: str) -> list[int]:
    """Tokens of the run after which each phase ends; the last one ends with the run."""
    shares = [phase.tokens_share for phase in config.strategies[strategy]]
    return [round(config.tokens * sum(shares[: place + 1])) for place in range(len(shares))]


def write_corpora(folder: Path, config: Config) -> None:
    """Write a folder a corpus.

    Raises:
        UserError: a share leaves nothing to train on.
    """
    rows = list(read_index(FEATURES / INDEX_FILE))
    lines = {line["id"]: line for line in read_jsonl(CORPUS / "manifest.jsonl")}
    texts = {name: line["text_normalised"] for name, line in lines.items()}
    for corpus, share in config.corpora.model_dump().items():
        chosen = choose_rows(rows, texts, share)
        trained = [row.id for row in chosen if is_training(row)]
        if not trained:
            raise UserError(f"compare_strategies.corpora.{corpus}: {share:g} of the training texts leaves no utterance")
        (folder / corpus).mkdir()
        write_jsonl(folder / corpus / INDEX_FILE, [{**asdict(row), "shard": str(SHARDS / row.shard)} for row in chosen])
        write_json(folder / corpus / SUMMARY, {
            "share": share, "utterances": len(trained), "texts": len({texts[name] for name in trained}),
            "hours": round(sum(lines[name]["duration_seconds"] for name in trained) / 3600, 4),
            KEY: read_with(FEATURES),
        })


def choose_rows(rows: list[Utterance], texts: Mapping[str, str], share: float) -> list[Utterance]:
    """Training rows of the target language whose text's hash lies in the share, and all rows of other kinds.

    A smaller share is a subset of a larger one. A speaker of whom one row would stay is left out, since a prompt is
    another row of the same speaker.
    """
    chosen = [row for row in rows if not is_training(row) or place_of(texts[row.id], SALT) < share]
    left = Counter(row.speaker for row in chosen if is_training(row))
    return [row for row in chosen if not is_training(row) or left[row.speaker] > 1]


def is_training(row: Utterance) -> bool:
    """Whether a row is what the corpora differ in."""
    return row.role == "target" and row.split == "train"


if __name__ == "__main__":
    sys.exit(run_command(main))
