import pickle
from pathlib import Path

import pytest
import torch

from stages.core.errors import UserError
from stages.core.model.checkpoint import WEIGHTS_FILE, load_exactly, load_phase, read_tensors, save_tensors
from stages.core.model.unified_voice import UnifiedVoice
from tests.tiny import SETTINGS


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_every_wrong_key_is_named_at_once():
    voice = UnifiedVoice(SETTINGS)
    tensors = dict(voice.state_dict())
    del tensors["mel_head.bias"]
    tensors["stranger"] = torch.zeros(1)
    tensors["final_norm.weight"] = torch.zeros(3)
    with pytest.raises(UserError) as error:
        load_exactly(voice, tensors, "gpt.pth")
    message = str(error.value)
    assert "missing mel_head.bias" in message and "unexpected stranger" in message and "final_norm.weight" in message


def test_a_phase_is_read_back_with_as_many_text_rows_as_it_holds(tmp_path):
    bigger = UnifiedVoice(SETTINGS.model_copy(update={"number_text_tokens": 37}))
    save_tensors(tmp_path / WEIGHTS_FILE, bigger.state_dict())
    again = load_phase(tmp_path, SETTINGS)
    assert again.settings.number_text_tokens == 37
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in bigger.state_dict().items())


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Bomb()}, "gpt.pth", pickle_module=pickle)
    with pytest.raises(UserError, match="gpt.pth"):
        read_tensors(Path("gpt.pth"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["gpt.pth", "gpt.safetensors"])
def test_a_damaged_file_is_one_clear_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights")
    with pytest.raises(UserError, match=name):
        read_tensors(tmp_path / name)
