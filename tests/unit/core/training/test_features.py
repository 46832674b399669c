import pytest
import torch

from stages.core.artifacts.files import write_jsonl
from stages.core.errors import UserError
from stages.core.training.features import INDEX_FILE, FeatureSet, write_shard


def make_features(folder, count=6):
    generator = torch.Generator().manual_seed(0)
    rows = [{"text": torch.arange(3 + index), "codes": torch.arange(10 + index) % 20,
             "voice": torch.randn(3, 16, generator=generator), "emotion": torch.randn(16, generator=generator)}
            for index in range(count)]
    write_shard(folder / "a.safetensors", rows)
    write_jsonl(folder / INDEX_FILE, [
        {"id": f"u{index}", "speaker": f"s{index % 2}", "language": "am", "role": "target",
         "split": "test" if index == 5 else "train", "shard": "a.safetensors", "place": index,
         "prompt": f"u{(index + 2) % count}", "text_tokens": 3 + index, "code_tokens": 10 + index}
        for index in range(count)
    ])
    return rows


def test_rows_come_back_with_their_prompts_conditioning(tmp_path):
    rows = make_features(tmp_path)
    features = FeatureSet(tmp_path, lambda row: row.split == "train")
    assert len(features) == 5
    row = features.row(1)
    assert row.text.tolist() == list(range(4)) and row.codes.tolist() == rows[1]["codes"].tolist()
    expected = rows[3]["voice"] + rows[3]["emotion"]
    # stored in half precision: three decimal digits
    torch.testing.assert_close(row.conditioning, expected, atol=5e-3, rtol=5e-3)


def test_a_random_prompt_is_never_the_utterance_itself(tmp_path):
    rows = make_features(tmp_path)
    features = FeatureSet(tmp_path, lambda row: row.split == "train")
    own = rows[0]["voice"] + rows[0]["emotion"]
    drawn = [features.row_with_random_prompt(0, str(seed)).conditioning for seed in range(30)]
    assert all(not torch.allclose(one, own, atol=1e-2) for one in drawn)
    assert len({tuple(one.flatten().tolist()) for one in drawn}) == 2


def test_a_prompt_depends_on_the_seed_and_not_on_what_was_drawn_before(tmp_path):
    make_features(tmp_path)
    features = FeatureSet(tmp_path, lambda row: row.split == "train")
    first = features.row_with_random_prompt(0, "7 1").conditioning
    for index in range(4):
        features.row_with_random_prompt(index, "7 2")
    assert torch.equal(first, features.row_with_random_prompt(0, "7 1").conditioning)


def test_a_file_that_is_no_index_is_refused(tmp_path):
    write_jsonl(tmp_path / "manifest.jsonl", [{"audio": "a.wav", "text": "x"}])
    with pytest.raises(UserError, match=r"manifest\.jsonl: line 1: no index of features"):
        FeatureSet(tmp_path, lambda row: True, "manifest.jsonl")
