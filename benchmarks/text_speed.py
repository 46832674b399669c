"""Sentences a second of the text front end on one core: `python -m benchmarks.text_speed`

Two mixtures: sentences of the Universal Declaration as they stand in data/text/amh.txt (parted by wordspaces), and the
same with every fifth sentence replaced by one with numbers and abbreviations from the public cases.
Writes benchmarks/results/text_speed.json.
"""

import csv
import sys
import time
from pathlib import Path
from statistics import median

from stages.core.artifacts.files import write_json
from stages.core.text.config import settings_hash, standard_config
from stages.core.text.normalise import Normaliser
from stages.core.text.sentences import split_sentences

TEXT = Path("data/text/amh.txt")
CASES = Path("tests/fixtures/amharic_cases.tsv")
RESULT = Path("benchmarks/results/text_speed.json")
GOAL_SENTENCES_PER_SECOND = 20_000
REPEATS = 15
CASE_EVERY = 5


def plain_sentences() -> list[str]:
    return [sentence for line in TEXT.read_text(encoding="utf-8").splitlines() for sentence in split_sentences(line)]


def mixed_sentences(plain: list[str]) -> list[str]:
    with CASES.open(encoding="utf-8", newline="") as file:
        cases = [row["input"] for row in csv.DictReader(file, delimiter="\t")]
    return [cases[i // CASE_EVERY % len(cases)] if i % CASE_EVERY == 0 else text for i, text in enumerate(plain)]


def measure(normaliser: Normaliser, sentences: list[str]) -> dict[str, float]:
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


def main() -> int:
    config = standard_config()
    start = time.process_time()
    normaliser = Normaliser(config)
    build_seconds = time.process_time() - start
    plain = plain_sentences() * 10
    result = {
        "plain": measure(normaliser, plain),
        "one_in_five_with_numbers": measure(normaliser, mixed_sentences(plain)),
        "only_public_cases": measure(normaliser, mixed_sentences(plain)[::CASE_EVERY]),
        "build_seconds": round(build_seconds, 3),
        "goal_sentences_per_second": GOAL_SENTENCES_PER_SECOND,
        "python": sys.version.split()[0],
        "settings_hash": settings_hash(config),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    write_json(RESULT, result)
    for name in ("plain", "one_in_five_with_numbers", "only_public_cases"):
        print(f"{name}: {result[name]['sentences_per_second_median']} sentences/s")  # type: ignore[index]
    return 0


if __name__ == "__main__":
    sys.exit(main())
