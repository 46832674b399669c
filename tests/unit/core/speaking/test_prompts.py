import base64
import json

import pytest

from stages.core.errors import UserError
from stages.core.speaking import prompts
from stages.core.speaking.prompts import held_out_prompts, own_voices, take_prompt

ROWS = [
    {"id": "1", "role": "target", "split": "test", "speaker": "a", "duration_seconds": 2.0, "audio": "audio/1.flac"},
    {"id": "2", "role": "target", "split": "test", "speaker": "a", "duration_seconds": 3.0, "audio": "audio/2.flac"},
    {"id": "3", "role": "target", "split": "test", "speaker": "b", "duration_seconds": 4.0, "audio": "audio/3.flac"},
    {"id": "4", "role": "target", "split": "train", "speaker": "b", "duration_seconds": 9.0, "audio": "audio/4.flac"},
    {"id": "5", "role": "base", "split": "test", "speaker": "c", "duration_seconds": 9.0, "audio": "audio/5.flac"},
]


class Model:
    """Takes any file for a voice, but none that is named bad."""

    def take_voice(self, prompt):
        if prompt.read_bytes() == b"bad":
            raise UserError(f"{prompt}: cannot read audio")
        return prompt.read_bytes()


def test_prompts_are_the_longest_held_out_recordings_of_the_target_language(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = held_out_prompts(tmp_path)
    assert [(prompt.speaker, prompt.path) for prompt in found] == [
        ("b", tmp_path / "audio/3.flac"), ("a", tmp_path / "audio/2.flac"),
    ]


def test_no_corpus_and_no_voices_are_no_prompts(tmp_path):
    assert held_out_prompts(tmp_path) == [] and own_voices(tmp_path) == {}


def test_a_prompt_is_read_from_what_was_sent(tmp_path):
    assert take_prompt(Model(), base64.b64encode(b"speech").decode(), tmp_path) == b"speech"


@pytest.mark.parametrize(("sent", "told"), [
    ("/etc/passwd", "prompt: must be base64 of an audio file"),
    (base64.b64encode(b"bad").decode(), "^prompt: cannot read audio"),
    (base64.b64encode(b"too long").decode(), "prompt: at most 6 bytes"),
])
def test_a_prompt_that_cannot_be_used_is_refused_without_a_path(tmp_path, monkeypatch, sent, told):
    monkeypatch.setattr(prompts, "PROMPT_BYTES_MAX", 6)
    with pytest.raises(UserError, match=told) as caught:
        take_prompt(Model(), sent, tmp_path)
    assert str(tmp_path) not in str(caught.value)
