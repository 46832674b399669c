"""The model that MLflow loads, without MLflow's part: a tiny export with random weights."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import soundfile
import yaml
from mlflow.exceptions import MlflowException

from stages.core.speaking.config import load_speaking_config
from stages.core.speaking.served import EXPORT, SETTINGS, SpeechService, signature
from tests.tiny_export import make_export
from tests.tiny_project import tiny_params

TEXT = "ሰላም ነው። 25% ነው።"


def tone(hz):
    """A second and a half of sound as base64."""
    file = io.BytesIO()
    times = np.arange(24000) / 16000
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * hz * times), 16000, format="WAV")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(tiny_params(), allow_unicode=True))
    return load_speaking_config({}, path)


@pytest.fixture(scope="module")
def service(tmp_path_factory, config):
    export = make_export(tmp_path_factory.mktemp("tiny"))
    (export / "voices").mkdir()
    for name, hz in (("low", 120), ("high", 240)):
        (export / f"voices/{name}.wav").write_bytes(base64.b64decode(tone(hz)))
    service = SpeechService()
    service.load_context(SimpleNamespace(artifacts={EXPORT: str(export)}, model_config=config.model_dump()))
    return service


def ask(service, *rows, **params):
    return service.predict(None, pandas.DataFrame(rows), params)


def test_an_answer_is_a_wav_file_of_the_text_and_what_was_read(service, config):
    [said] = ask(service, {"text": TEXT}).to_dict("records")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(said["audio"])))
    assert rate == said["sample_rate_hz"] == 16000
    assert len(samples) / rate == pytest.approx(said["duration_seconds"], abs=1e-3) and np.abs(samples).max() > 0.001
    assert said["text_read"] == "ሰላም ነው. ሀያ አምስት በመቶ ነው."
    assert list(said) == signature(config).outputs.input_names()


def test_a_row_is_spoken_as_it_is_alone_whatever_the_others_are(service):
    rows = [{"text": TEXT}, {"text": "ሰላም", "voice": "low"}, {"text": TEXT, "prompt": tone(180)}]
    together = ask(service, *rows)["audio"].tolist()
    assert together == [ask(service, row)["audio"].item() for row in rows]
    assert len(set(together)) == 3


def test_voices_go_by_name_and_the_first_is_taken_where_none_is_named(service):
    unnamed, high, low = (ask(service, {"text": TEXT, **voice})["audio"].item()
                          for voice in ({}, {"voice": "high"}, {"voice": "low"}))
    assert unnamed == high != low


def test_params_of_a_request_take_the_place_of_the_exports_and_only_there(service):
    first = ask(service, {"text": TEXT})["duration_seconds"].item()
    longer = ask(service, {"text": TEXT}, pause_seconds=3.25)["duration_seconds"].item()
    assert longer - first == pytest.approx(3.0)
    assert ask(service, {"text": TEXT})["duration_seconds"].item() == first
    one, two, other = (ask(service, {"text": TEXT}, seed=seed, temperature=1.0)["audio"].item() for seed in (3, 3, 4))
    assert one == two != other


def test_every_param_of_the_signature_is_a_setting_with_the_exports_value(service, config):
    given = {param.name: param.default for param in signature(config).params.params}
    assert given == {name: getattr(config, name) for name in SETTINGS}
    assert service.settings(given) == config


@pytest.mark.parametrize(("rows", "params", "told"), [
    ([{"text": "ሰላም"}, {"text": "你好"}, {"text": " "}], {}, r"^row 2: outside the output.*; row 3: nothing to speak$"),
    ([{"text": "ሰላም", "voice": "../low"}], {}, r"row 1: voice: must be one of high, low \(got '../low'\)"),
    ([{"text": "ሰላም", "voice": "low", "prompt": "AA=="}], {}, "voice and prompt: give one"),
    ([{"text": "ሰላም", "prompt": "/etc/hostname"}], {}, "prompt: must be base64"),
    ([{"text": "ሰላም", "prompt": "AAAA"}], {}, "row 1: prompt: cannot read audio"),
    ([{"text": "ሰላም"}], {"top_p": 2.0}, "top_p: Input should be less than or equal to 1"),
])
def test_what_is_wrong_is_told_row_by_row_and_nothing_is_spoken(service, rows, params, told):
    with pytest.raises(MlflowException, match=f"(?s){told}") as caught:
        ask(service, *rows, **params)
    assert caught.value.get_http_status_code() == 400


def test_a_model_without_voices_asks_for_a_prompt(service, monkeypatch):
    monkeypatch.setattr(service, "voices", {})
    with pytest.raises(MlflowException, match="prompt: missing; this model has no voices of its own"):
        ask(service, {"text": "ሰላም"})
