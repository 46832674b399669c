"""The tables of benchmarks/results/README.md."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims import claims_table, goals_table
from benchmarks.layouts import BUCKETED, PADDED
from benchmarks.markdown import UNMEASURED, of_device, table
from benchmarks.page_corpus import corpus_section
from benchmarks.page_memory import model_section, released_section
from benchmarks.results_folder import Result, is_gpu, load

QUALITY = "How near LoRA comes to full's quality: [docs/strategies.md](../../docs/strategies.md)."
INTRODUCTION = """# What was measured

Written by `make bench`; `python -m benchmarks NAME` measures one, `--tables` only writes this page anew from the JSON
files beside it. On a machine with a CUDA device the same command measures the released shape there and leaves the CPU's
figures as they are. Random weights and random rows, lengths as in [lengths.py](../lengths.py); shapes in
[shapes.py](../shapes.py).
"""


def render(folder: Path) -> str:
    """The whole page, from what the folder holds."""
    sections = [
        INTRODUCTION,
        "## Goals\n\n" + goals_table(folder),
        f"## Claims in circulation\n\n{QUALITY}\n\n{claims_table(folder)}",
        "## Training speed by layout of the batch\n\n" + speed_section(load(folder, "training_speed")),
        "## Memory and step time of LoRA and full\n\n" + memory_section(load(folder, "training_memory")),
        "## Error of the memory estimate\n\n" + model_section(load(folder, "memory_model")),
        "## The released size on a CPU\n\n" + released_section(load(folder, "released_step")),
        "## Memory of the logits\n\n" + logits_section(load(folder, "training_memory")),
        "## Reading features\n\n" + loading_section(load(folder, "feature_loading"), load(folder, "training_speed")),
        "## Text front end\n\n" + text_section(load(folder, "text_speed")),
        "## Corpora at scale\n\n" + corpus_section(load(folder, "corpus_scale")),
        "## Positions of codes\n\n" + positions_section(load(folder, "code_positions")),
        "## Start of the new pieces' rows\n\n" + initialisation_section(load(folder, "vocabulary_initialisation")),
    ]
    return "\n".join(sections)


def or_unmeasured_on_gpu(results: Sequence[Result]) -> str:
    """A line that says that no GPU was measured, where none was."""
    return "" if any(map(is_gpu, results)) else f"\nOn a GPU: {UNMEASURED}.\n"


def speed_section(results: Sequence[Result]) -> str:
    """Tokens a second by layout."""
    parts = [
        f"`{PADDED}` is the public trainers' layout with this project's dtype, optimiser, activation and no dropout;\n"
        "`padded, as published` adds what their model class brings (recomputed activations, dropout 0.1 also in\n"
        f"attention). `{BUCKETED}` is the product. Times padded: over all batches, in brackets the least and the most\n"
        "of a single one, of three steps the fastest. float32 on a CPU if not said otherwise, on a GPU bfloat16.\n"
    ]
    for result in results:
        rows = []
        for race in result["races"]:
            head = (race["shape"], race["batch_utterances"])
            for name, figures in race["layouts"].items():
                rows.append((*head, name, f"{figures['tokens_per_second']:,.0f}", _times_padded(figures)))
            rows += [(*head, name, "not on this device", problem) for name, problem in race["unavailable"].items()]
        parts += [f"{of_device(result)}; the race in {result['threads']} thread(s):\n",
                  table(("shape", "utterances a batch", "layout", "supervised tokens/s", "times padded"), rows)]
    padding = [(row["shape"], row["batch_utterances"], row[PADDED], row[BUCKETED])
               for result in results[:1] for row in result["padding"]]
    parts += ["Positions computed for each position of a row that stands alone (4,096 random rows):\n",
              table(("shape", "utterances a batch", PADDED, BUCKETED), padding)]
    return "\n".join(parts) + or_unmeasured_on_gpu(results)


def _times_padded(figures: Result) -> str:
    if "times_padded" not in figures:
        return UNMEASURED
    turns = figures["times_padded_by_turn"]
    return f"{figures['times_padded']:.2f} ({turns['least']:.2f}-{turns['most']:.2f})"


def memory_section(results: Sequence[Result]) -> str:
    """Peak memory and step time."""
    parts = [
        "Peak: of a process of its own, over what it held before the model was built; on a CPU resident memory, on\n"
        "a GPU allocated memory; the widest batch of a pool. Step: the pool's middle batch. MFU: of real positions.\n"
    ]
    for result in results:
        rows = []
        for group in result["approaches"]:
            head = (group["shape"], group["batch_utterances"])
            for case in group["cases"]:
                share = case["utilisation"]
                rows.append((*head, case["approach"], case["variant"], f"{case['trained'] / 1e6:,.2f} M",
                             f"{case['peak_mib']:,.0f}", f"{case['step_seconds']:.3f}",
                             "-" if share is None else f"{share:.1%}"))
            rows += [(*head, "LoRA / full", share["variant"], "", f"{share['peak_mib']:.2f}",
                      f"{share['step_seconds']:.2f}", "") for share in group["lora_share_of_full"]]
        parts += [f"{of_device(result)}:\n",
                  table(("shape", "utterances a batch", "approach", "variant", "trained", "peak MiB", "step s",
                         "MFU"), rows)]
    return "\n".join(parts) + or_unmeasured_on_gpu(results)


def logits_section(results: Sequence[Result]) -> str:
    """Peak memory by text vocabulary."""
    parts = ["The miniature's blocks, a batch of 8, forward and backward; weights and gradients taken off.\n"]
    for result in results:
        rows = [(f"{case['text_tokens']:,}", case["layout"], f"{case['peak_mib']:,.0f}") for case in result["logits"]]
        parts += [f"{of_device(result)}:\n", table(("text pieces", "layout", "peak MiB"), rows)]
    return "\n".join(parts)


def loading_section(results: Sequence[Result], speeds: Sequence[Result]) -> str:
    """Memory and speed of the reader, against what a step uses up."""
    parts = ["Anonymous and shared memory over that before the folder was opened; mapped shards do not count.\n"]
    for result in results:
        rows = [(case["hours"], f"{case['utterances']:,}", f"{case['mib_on_disk']:,.0f}", case["workers"],
                 case["index_mib"], case["mib_after_a_tenth"], case["mib_at_the_end"], case["mib_peak"],
                 f"{case['utterances_per_second']:,}") for case in result["cases"]]
        parts += [f"{of_device(result)}:\n",
                  table(("hours", "utterances", "MiB on disk", "workers", "index MiB", "MiB after a tenth of an epoch",
                         "MiB at its end", "peak MiB", "utterances/s"), rows)]
    used = [f"{race['shape']}, batches of {race['batch_utterances']}: "
            f"{race['layouts'][BUCKETED]['utterances_per_second']:,.0f}"
            for speed in speeds for race in speed["races"] if BUCKETED in race["layouts"]]
    return "\n".join(parts) + (f"\nTraining uses, utterances/s: {'; '.join(used)}.\n" if used else "")


def text_section(results: Sequence[Result]) -> str:
    """Sentences a second."""
    parts = []
    for result in results:
        mixtures = {name: figures for name, figures in result.items()
                    if isinstance(figures, dict) and "sentences_per_second_median" in figures}
        rows = [(name.replace("_", " "), f"{figures['sentences_per_second_median']:,}") for name, figures in
                mixtures.items()]
        parts += [f"{of_device(result)}; one core:\n", table(("text", "sentences/s"), rows)]
    return "\n".join(parts)


def positions_section(results: Sequence[Result]) -> str:
    """What upstream's cached sampling does to a model that was trained at the positions before."""
    parts = ["Upstream's cached sampling gives the n-th code position n + 1, training position n. Nats a code of the\n"
             "miniature's test utterances, mean and 95 % interval; for the released weights unmeasured.\n"]
    for result in results:
        rows = [(name.replace("_", " "), UNMEASURED if result[name] is None else
                 f"{result[name]['mean']:.3f} ({result[name]['low']:.3f}-{result[name]['high']:.3f})")
                for name in ("at_training_positions", "one_position_on", "difference")]
        parts += [f"{of_device(result)}, phase {result['phase']}:\n", table(("codes", "cross-entropy"), rows)]
    return "\n".join(parts)


def initialisation_section(results: Sequence[Result]) -> str:
    """What the start of the new rows is worth in the first phase."""
    parts = ["The schedule's first phase, one epoch, from the base with its new rows set in each way: validation code\n"
             "cross-entropy in nats, and the first step validated at or below a loss. By name only.\n"]
    for result in results:
        losses = [f"steps to {nats}" for nats in result["ways"][0]["steps_to_nats"]] if result["ways"] else []
        rows = [(way["way"], way["step_0_nats"], *(step if step is not None else "not reached"
                 for step in way["steps_to_nats"].values()), f"{way['last_nats']} at {way['steps']}")
                for way in result["ways"]]
        parts += [f"{of_device(result)}, phase {result['phase']}:\n",
                  table(("new rows", "at step 0", *losses, "at the end"), rows)]
    return "\n".join(parts)
