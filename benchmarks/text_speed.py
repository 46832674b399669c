"""Sentences a second of the text front end on one core.

Two mixtures: sentences of the Universal Declaration as they stand in data/text/amh.txt (parted by wordspaces), and the
same with every fifth sentence replaced by one with numbers and abbreviations from the public cases.
"""

import csv
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.device import Machine
from stages.core.text.config import settings_hash, standard_config
from stages.core.text.normalise import Normaliser
from stages.core.text.sentences import split_sentences

TEXT = Path("data/text/amh.txt")
CASES = Path("tests/fixtures/amharic_cases.tsv")
GOAL_SENTENCES_PER_SECOND = 20_000
REPEATS = 15
CASE_EVERY = 5


def plain_sentences() -> list[str]:
    return [sentence for line in TEXT.read_text(encoding="utf-8").splitlines() for sentence in split_sentences(line)]


def mixed_sentences(plain: list[str]) -> list[str]:
    with CASES.open(encoding="utf-8", newline="") as file:
        cases = [row["input"] for row in csv.DictReader(file, delimiter="\t")]
    return [cases[i // CASE_EVERY % len(cases)] if i % CASE_EVERY == 0 else text for i, text in enumerate(plain)]


def measure_speed(normaliser: Normaliser, sentences: list[str]) -> dict[str, float]:
    """Median and best speed over repeats, each over all sentences; results are not cached between them."""
    speeds = []
    for _ in range(REPEATS):
        start = time.process_time()
        for sentence in sentences:
            normaliser.normalise(sentence)
        speeds.append(len(sentences) / (time.process_time() - start))
    characters = sum(map(len, sentences)) / len(sentences)
    return {
        "sentences": len(sentences),
        "characters_per_sentence": round(characters, 1),
        "sentences_per_second_median": round(median(speeds)),
        "sentences_per_second_best": round(max(speeds)),
    }


def measure(machine: Machine) -> dict[str, Any]:
    """Speeds of three mixtures, and the time to build the normaliser."""
    config = standard_config()
    start = time.process_time()
    normaliser = Normaliser(config)
    build_seconds = time.process_time() - start
    plain = plain_sentences() * 10
    return {
        "plain": measure_speed(normaliser, plain),
        "one_in_five_with_numbers": measure_speed(normaliser, mixed_sentences(plain)),
        "only_public_cases": measure_speed(normaliser, mixed_sentences(plain)[::CASE_EVERY]),
        "build_seconds": round(build_seconds, 3),
        "goal_sentences_per_second": GOAL_SENTENCES_PER_SECOND,
        "settings_hash": settings_hash(config),
    }
