import pytest

from stages.core.artifacts.files import write_json
from stages.core.artifacts.text_settings import KEY, SUMMARY, read_with, require_same_text
from stages.core.errors import UserError


@pytest.fixture
def folders(tmp_path):
    for name, settings in {"model": "a" * 64, "features": "a" * 64, "other": "b" * 64}.items():
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / SUMMARY, {"utterances": 1, KEY: settings})
    return tmp_path


def test_text_that_was_read_alike_passes(folders):
    assert read_with(folders / "model") == "a" * 64
    require_same_text(folders / "model", folders / "features")


def test_text_that_was_read_otherwise_is_refused_in_one_line(folders):
    with pytest.raises(UserError, match="learned text that was read with settings a{12}, the text in .*other") as told:
        require_same_text(folders / "model", folders / "features", folders / "other")
    assert "\n" not in str(told.value)


def test_a_folder_that_does_not_tell_is_refused(folders):
    write_json(folders / "features" / SUMMARY, {"utterances": 1})
    with pytest.raises(UserError, match="features/summary.json: lacks text_settings"):
        require_same_text(folders / "model", folders / "features")
    (folders / "model" / SUMMARY).unlink()
    with pytest.raises(UserError, match="model/summary.json: no such file"):
        require_same_text(folders / "model", folders / "features")
