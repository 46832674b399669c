from types import SimpleNamespace

import pytest
import torch

from stages.core.artifacts.files import read_jsonl
from stages.core.audio.files import read_audio
from stages.evaluate_speech.listen import Heard, Hearing
from stages.evaluate_speech.shown import write_samples
from stages.evaluate_speech.words import Comparison
from tests.unit.evaluate_speech.stand_ins import config


def sample(text, draw, level):
    line = {"id": f"{text}-{draw}", "text_normalised": text, "speaker": "s", "audio": "a.flac"}
    reading = SimpleNamespace(line=line, prompt_line=line, sample_rate_hz=16_000)
    return SimpleNamespace(reading=reading, drawn=SimpleNamespace(draw=draw, stopped=True),
                           audio=torch.full((1600,), level))


def heard(sentence, errors, length):
    comparison = SimpleNamespace(**dict.fromkeys(Comparison.__dataclass_fields__) | {
        "symbol_errors": errors, "symbols": length})
    return Heard((sentence,), [["a"]], [["b"]], comparison)


SAMPLES = [sample(text, draw, 0.1 * (1 + 3 * draw + place)) for draw in range(2)
           for place, text in enumerate(("long", "short", "good"))]
HEARD = [heard(0, 9, 100), heard(1, 3, 10), heard(2, 0, 10), heard(0, 20, 100), heard(1, 4, 10), heard(2, 1, 10)]


def test_worst_are_those_with_most_errors_for_their_length_one_a_sentence(tmp_path):
    write_samples(tmp_path, SAMPLES, Hearing(HEARD, [], []), config())
    worst = read_jsonl(tmp_path / "worst.jsonl")
    assert [(row["id"], row["errors"], row["length"]) for row in worst] == [("short-1", 4, 10), ("long-1", 20, 100)]
    assert read_audio(tmp_path / worst[0]["file"], 16_000).mean().item() == pytest.approx(0.5, abs=1e-3)
    assert [row["id"] for row in read_jsonl(tmp_path / "samples.jsonl")] == ["long-0", "good-0"]


def test_nothing_is_the_worst_where_nobody_judged(tmp_path):
    write_samples(tmp_path, SAMPLES, None, config())
    assert read_jsonl(tmp_path / "worst.jsonl") == [] and len(read_jsonl(tmp_path / "samples.jsonl")) == 2
