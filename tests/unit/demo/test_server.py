"""The page's server with a stand-in for the models: what it takes, what it refuses, what it lets the page load."""

import asyncio
import base64
import json

import pytest
import torch
from fastapi.testclient import TestClient

from demo.server import BODY_BYTES_MAX, PAGE, PROMPT_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, create_app
from stages.core.errors import UserError
from stages.core.speaking.passage import Span
from stages.core.speaking.prompts import PROMPT_BYTES_MAX
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


@pytest.mark.parametrize("told", [[], [(b"content-length", b"200000000")]])
def test_a_body_larger_than_any_prompt_is_refused_before_it_is_held(client, studio, told):
    """Without a length the body comes in chunks."""
    taken, sent = [], []
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/speech",
             "raw_path": b"/speech", "query_string": b"", "headers": [(b"host", b"127.0.0.1"), *told]}

    async def receive():
        taken.append(1)
        return {"type": "http.request", "body": b" " * 1_000_000, "more_body": len(taken) < 200}

    async def send(message):
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"]) == {"error": f"a request holds at most {BODY_BYTES_MAX} bytes"}
    assert len(taken) == BODY_BYTES_MAX // 1_000_000 + 1 and not studio.wishes


def test_the_longest_prompt_and_text_are_taken_and_one_character_more_is_not(client, studio):
    prompt = base64.b64encode(bytes(PROMPT_BYTES_MAX)).decode()
    longest = {**WISH, "voice": "", "prompt": prompt, "text": "\U0001f600" * TEXT_CHARACTERS_MAX}
    assert client.post("/speech", content=json.dumps(longest), headers={"Content-Type": "application/json"}).is_success
    assert len(prompt) == PROMPT_CHARACTERS_MAX and studio.wishes[0].prompt == prompt
    response = client.post("/speech", json={**WISH, "prompt": prompt + "A"})
    assert response.status_code == 422 and response.json()["error"].startswith("prompt: String should have at most")
