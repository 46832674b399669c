from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from stages.core.audio.files import write_audio
from stages.core.errors import UserError
from stages.extract_features.extract import Extractor, batches, choose_prompts, shards


def rows(*speakers_and_splits):
    return [{"id": f"u{index}", "speaker": speaker, "split": split}
            for index, (speaker, split) in enumerate(speakers_and_splits)]


def test_a_prompt_is_another_utterance_of_the_speaker_and_split():
    table = rows(("a", "train"), ("a", "train"), ("a", "test"), ("a", "test"), ("b", "train"), ("b", "train"))
    prompts, rejected = choose_prompts(table)
    by_id = {row["id"]: row for row in table}
    assert not rejected and len(prompts) == 6
    for utterance, prompt in prompts.items():
        assert utterance != prompt
        assert by_id[utterance]["speaker"] == by_id[prompt]["speaker"]
        assert by_id[utterance]["split"] == by_id[prompt]["split"]


def test_the_only_utterance_of_a_split_borrows_from_another():
    prompts, rejected = choose_prompts(rows(("a", "train"), ("a", "test")))
    assert prompts == {"u0": "u1", "u1": "u0"} and not rejected


def test_a_speaker_with_one_utterance_is_left_out_with_its_reason():
    prompts, rejected = choose_prompts(rows(("a", "train"), ("b", "train"), ("b", "train")))
    assert "u0" not in prompts and "no other utterance" in rejected[0]["reason"]


def test_shards_hold_all_rows_in_order():
    parts = list(shards([{"id": index} for index in range(7)], 3))
    assert [len(part) for _, part in parts] == [3, 3, 1]
    assert [row["id"] for _, part in parts for row in part] == list(range(7))


def test_a_batch_that_does_not_fit_names_the_param_to_lower(tmp_path):
    write_audio(tmp_path / "a.wav", torch.zeros(1600), 16000)
    rows = [{"id": "u0", "audio": "a.wav", "duration_seconds": 0.1, "text_normalised": ""}]
    full = SimpleNamespace(sample_rate_hz=16000, analyse_batch=Mock(side_effect=torch.OutOfMemoryError))
    with pytest.raises(UserError, match="u0 the longest; lower extract_features.batch_seconds .now 7.0"):
        list(Extractor(full, None, None, tmp_path, 1.0, 7.0).extract(rows))


def test_batches_hold_every_utterance_once_and_no_more_audio_than_asked():
    durations = [3.0, 0.5, 9.0, 2.0, 2.5, 0.7, 40.0]
    parts = list(batches(durations, 10.0))
    assert sorted(place for part in parts for place in part) == list(range(len(durations)))
    for part in parts:
        longest = max(durations[place] for place in part)
        assert len(part) == 1 or len(part) * longest <= 10.0
    assert len(parts) < len(durations)
