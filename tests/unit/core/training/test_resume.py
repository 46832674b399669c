import os

import pytest
import torch

from stages.core.errors import UserError
from stages.core.training import resume
from stages.core.training.resume import ResumeStore, fingerprint


def test_state_comes_back_as_it_was(tmp_path):
    store = ResumeStore(tmp_path)
    assert store.load() is None
    store.save({"weight": torch.arange(3.0)}, {"step": 4, "curve": [{"loss": 0.1}]})
    tensors, state = store.load()
    assert store.peek() == state
    assert torch.equal(tensors["weight"], torch.arange(3.0)) and state == {"step": 4, "curve": [{"loss": 0.1}]}


def test_a_second_process_waits_with_a_word_for_one_that_may_be_about_to_end_and_is_then_refused(
        tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(resume, "SAVE_SECONDS", 0.2)
    with ResumeStore(tmp_path).lock():
        with pytest.raises(UserError, match="another process is training this"), ResumeStore(tmp_path).lock():
            pass
        assert "waiting for another process" in capsys.readouterr().err
    with ResumeStore(tmp_path).lock():
        assert capsys.readouterr().err == ""


def test_a_state_is_refused_once_an_input_is_another(tmp_path):
    (tmp_path / "features").mkdir()
    shard = tmp_path / "features" / "1.safetensors"
    shard.write_text("one")
    store = ResumeStore(tmp_path / "states", inputs=[tmp_path / "features"])
    store.save({}, {"step": 1})
    shard.write_text("another")
    with pytest.raises(UserError, match="1.safetensors: changed while it was being read"):
        store.save({}, {"step": 2})
    assert store.peek() == {"step": 1}


def test_what_a_kill_in_mid_save_leaves_goes_with_the_next_start(tmp_path):
    store = ResumeStore(tmp_path)
    store.save({}, {"step": 1})
    for name in (".tmpAbCdEf", "state-000000002.partial"):  # the first is what safetensors writes before it renames
        (tmp_path / name).write_text("cut off")
    with store.lock():
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "state-000000001.safetensors"}


def test_the_fingerprint_knows_params_and_bytes(tmp_path):
    (tmp_path / "a").write_text("1")
    before = fingerprint({"epochs": 1}, [tmp_path])
    assert before == fingerprint({"epochs": 1}, [tmp_path]) != fingerprint({"epochs": 2}, [tmp_path])
    (tmp_path / "a").write_text("2")
    assert before != fingerprint({"epochs": 1}, [tmp_path])


def test_the_fingerprint_does_not_know_where_the_inputs_lie(tmp_path):
    for folder in ("lora", "lora_gated"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").write_text("weights")
    one, other = (fingerprint({}, [tmp_path / folder / "model.safetensors"]) for folder in ("lora", "lora_gated"))
    assert one == other != fingerprint({}, [])


def test_old_states_of_other_settings_go_the_newest_excepted(tmp_path):
    for age, name in enumerate(["newest", "old", "older", "own"]):
        (tmp_path / name).mkdir()
        ResumeStore(tmp_path / name).save({}, {"step": 3})
        os.utime(tmp_path / name / "state-000000003.safetensors", (1000 - age, 1000 - age))
    ResumeStore(tmp_path / "own").prune_siblings()
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "own"}


def test_the_states_of_a_living_run_stay_however_old(tmp_path):
    for age, name in enumerate(["newest", "dead", "living"]):
        ResumeStore(tmp_path / name).save({}, {"step": 3})
        os.utime(tmp_path / name / "state-000000003.safetensors", (1000 - age, 1000 - age))
    with ResumeStore(tmp_path / "living").lock():
        ResumeStore(tmp_path / "own").prune_siblings()
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "living"}
    assert ResumeStore(tmp_path / "living").load()
