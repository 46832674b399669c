"""The page's server with a stand-in for the models: what it takes, what it refuses, what it lets the page load."""

import base64

import pytest
import torch
from fastapi.testclient import TestClient

from demo.server import PAGE, TEXT_CHARACTERS_MAX, create_app
from stages.core.errors import UserError
from stages.core.speaking.passage import Span
from stages.core.speaking.speaker import Said

WISH = {"text": "ሰላም", "model": "export", "voice": "am-m2", "seed": 3}


class Studio:
    """Says one tone to any text but one."""

    class config:
        seed = 7

    models = {"export": "exported model", "lora": "checkpoint: lora"}

    def __init__(self, folder):
        self.voices = {"am-m2": folder / "voice.flac"}
        self.wishes = []

    def say(self, wish):
        if wish.text == "你好":
            raise UserError("outside the output alphabet")
        self.wishes.append(wish)
        return Said(torch.ones(8000) / 2, 16000, [Span("ሰላም.", [1], True)], 1, 0)


@pytest.fixture
def studio(tmp_path):
    (tmp_path / "voice.flac").write_bytes(b"a voice")
    return Studio(tmp_path)


@pytest.fixture
def client(studio):
    return TestClient(create_app(studio), base_url="http://127.0.0.1:7860")


def test_speech_comes_as_a_wav_file_with_what_was_read(client, studio):
    answer = client.post("/speech", json=WISH).json()
    assert base64.b64decode(answer["audio"]).startswith(b"RIFF")
    assert {name: answer[name] for name in ("duration_seconds", "text_read", "cut", "silent")} == {
        "duration_seconds": 0.5, "text_read": "ሰላም.", "cut": 1, "silent": 0,
    }
    [wish] = studio.wishes
    assert (wish.text, wish.model, wish.voice, wish.prompt, wish.seed) == ("ሰላም", "export", "am-m2", "", 3)


@pytest.mark.parametrize(("change", "status", "told"), [
    ({"text": "你好"}, 400, "outside the output alphabet"),
    ({"text": "ሀ" * (TEXT_CHARACTERS_MAX + 1)}, 422, "text: String should have at most"),
    ({"seed": -1}, 422, "seed: Input should be greater"),
    ({"seed": 10**30}, 422, "seed: Input should be less than or equal to"),
    ({"path": "/etc/passwd"}, 422, "path: Extra inputs"),
])
def test_what_is_wrong_is_one_line_of_json(client, studio, change, status, told):
    response = client.post("/speech", json={**WISH, **change})
    assert response.status_code == status and response.json()["error"].startswith(told)
    assert not studio.wishes


def test_voices_are_heard_by_name_and_nothing_else_is_given_out(client):
    assert client.get("/voices/am-m2").content == b"a voice"
    assert client.get("/choices").json()["voices"] == ["am-m2"]
    for address in ("/voices/am-f1", "/voices/..%2Fvoice.flac", "/..%2Fserver.py", "/docs", "/openapi.json"):
        assert client.get(address).status_code == 404, address


def test_the_page_may_load_nothing_but_its_own(client):
    for name in ("", *(path.name for path in PAGE.iterdir())):
        response = client.get(f"/{name}")
        assert response.status_code == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert "://" not in response.text


def test_other_sites_cannot_have_it_speak(client, studio):
    plain = client.post("/speech", content=b'{"text": "x"}', headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422
    assert client.get("/choices", headers={"Host": "elsewhere.example"}).status_code == 400
    assert not studio.wishes
