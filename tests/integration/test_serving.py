"""The registered model behind `mlflow models serve`, a process of its own in another folder: text in, speech out."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
import soundfile
import torch

from stages.core.audio.espeak import phones
from stages.core.model.settings import read_settings
from stages.evaluate_speech.judge import PhoneJudge
from stages.evaluate_speech.words import count_errors
from tests.processes import free_port
from tests.served_export import NAME, VOICE, make_served_export, register, write_prompt
from tests.tiny_project import ROOT

pytestmark = pytest.mark.slow

KNOWN = {"es": "todos los seres humanos nacen libres.", "sw": "watu wote wamezaliwa huru."}  # languages of the base
TEXTS = ["ሰላም ነው። ማንም ሰው እኩል ነው።", "የልጅ መብት ሁሉ የተከበረ ይሁን።"]
START_SECONDS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        register(folder, make_served_export(folder))
    return folder


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """Address of a started server, and its process."""
    port, elsewhere = free_port(), tmp_path_factory.mktemp("elsewhere")
    command = [Path(sys.executable).with_name("mlflow"), "models", "serve", "--model-uri", f"models:/{NAME}/1",
               "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "OMP_NUM_THREADS": "1",
                                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    with open(elsewhere / "log", "w") as log:
        process = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=log, stderr=log,
                                   start_new_session=True)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ping", process, elsewhere / "log")
        yield f"http://127.0.0.1:{port}", process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_until_ready(address, process, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"no server after {START_SECONDS} s: {log.read_text()[-3000:]}")


def ask(server, rows, **params):
    """Status and answer of a request."""
    content = json.dumps({"dataframe_records": rows, "params": params}).encode()
    request = urllib.request.Request(f"{server[0]}/invocations", content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_posted_text_comes_back_as_speech_that_is_heard_as_that_text(server):
    """The weights have not learned Amharic, so what they say is judged in languages that they know."""
    status, answer = ask(server, [{"text": text} for text in KNOWN.values()], seed=1)
    assert status == 200
    rows, settings = answer["predictions"], read_settings(ROOT / "data/base")
    judge, rate_hz = PhoneJudge(ROOT / "data/base", settings), settings.miniature.sample_rate_hz
    expected = [phones(text, language) for language, text in KNOWN.items()]
    for row, own, other in zip(rows, expected, reversed(expected), strict=True):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(row["audio"])), dtype="float32")
        assert (rate, row["cut"], row["silent"]) == (rate_hz, 0, 0)
        assert 0.5 < len(samples) / rate < 6 and (samples**2).mean() ** 0.5 > 0.01
        [heard] = judge.hear(torch.from_numpy(samples), rate_hz)
        assert count_errors(own, heard) / len(own) < 0.5 < count_errors(other, heard) / len(other)


def test_a_voice_is_named_or_sent_and_a_path_is_neither(server, tmp_path):
    write_prompt(tmp_path / "voice.flac")
    sent = base64.b64encode((tmp_path / "voice.flac").read_bytes()).decode()
    answers = [ask(server, [{"text": TEXTS[0], **row}]) for row in ({"voice": VOICE}, {"prompt": sent})]
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0][1] == answers[1][1]
    for row in ({"voice": str(tmp_path / "voice.flac")}, {"prompt": str(tmp_path / "voice.flac")}):
        status, answer = ask(server, [{"text": TEXTS[0], **row}])
        assert status == 400 and "row 1: " in answer["message"]


def test_a_text_that_cannot_be_read_is_refused_with_the_reason(server):
    status, answer = ask(server, [{"text": "你好"}])
    assert status == 400 and "row 1: outside the output alphabet" in answer["message"]


def test_the_server_listens_on_the_loopback_alone(server):
    tree = [psutil.Process(server[1].pid), *psutil.Process(server[1].pid).children(recursive=True)]
    listening = {entry.laddr.ip for process in tree for entry in process.net_connections() if entry.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
