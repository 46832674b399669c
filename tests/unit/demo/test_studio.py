"""What the page offers in a project with one checkpoint and an export, of random weights."""

import base64

import pytest
import torch
import yaml

from demo.studio import EXPORT, Studio, Wish
from stages.core.errors import UserError
from tests.served_export import VOICE
from tests.spoken_project import PHASE, make_spoken_project
from tests.tiny_project import tiny_params


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_spoken_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def studio(project, monkeypatch):
    monkeypatch.chdir(project)
    return Studio()


def wish(**other):
    return Wish(**{"text": "ሰላም ነው።", "model": EXPORT, "voice": VOICE, "prompt": "", "seed": 1, **other})


def test_models_and_held_out_voices_that_are_there_are_offered(studio, project):
    assert list(studio.models) == [EXPORT, PHASE] and list(studio.voices) == [VOICE]


def test_a_checkpoint_speaks_as_its_export_does_and_leaves_nothing_behind(studio, project):
    exported, checkpoint = (studio.say(wish(model=model)) for model in (EXPORT, PHASE))
    assert torch.equal(exported.audio, checkpoint.audio) and len(exported.audio)
    assert exported.text_read == "ሰላም ነው."
    assert not list((project / ".pipeline").iterdir())


def test_a_recording_that_is_sent_goes_before_the_list(studio, project):
    sent = base64.b64encode((project / "data/corpus/1.flac").read_bytes()).decode()
    assert torch.equal(studio.say(wish(voice="", prompt=sent)).audio, studio.say(wish()).audio)


def test_the_seed_decides_what_is_drawn(studio):
    studio.config = studio.config.model_copy(update={"temperature": 1.0})
    one, two, other = (studio.say(wish(seed=seed)).audio for seed in (1, 1, 2))
    assert torch.equal(one, two) and not (one.shape == other.shape and torch.equal(one, other))


@pytest.mark.parametrize(("other", "told"), [
    ({"model": "../base"}, "no model '../base'; there are export, lora"),
    ({"voice": "../../etc/passwd"}, "no voice chosen"),
    ({"voice": "", "prompt": "/etc/passwd"}, "prompt: must be base64"),
    ({"text": "你好"}, "outside the output alphabet"),
    ({"text": " "}, "nothing to speak"),
])
def test_a_wish_that_cannot_be_fulfilled_is_told(studio, other, told):
    with pytest.raises(UserError, match=told):
        studio.say(wish(**other))


def test_a_project_in_which_nothing_ran_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params(), allow_unicode=True))
    with pytest.raises(UserError, match="nothing can speak.*first: make run"):
        Studio()
