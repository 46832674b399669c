import json

import pytest

from stages.core.errors import ParamsError, UserError
from stages.core.text.config import standard_config
from stages.core.text.exported import FILE, read_text_settings, write_text_settings


def test_settings_come_back_as_they_were_written(tmp_path):
    config = standard_config().model_copy(update={"date_order": "month_day_year"})
    write_text_settings(tmp_path, config)
    assert read_text_settings(tmp_path) == config


def test_a_front_end_that_reads_otherwise_is_refused(tmp_path):
    write_text_settings(tmp_path, standard_config())
    content = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**content, "text_settings": "0" * 64}))
    with pytest.raises(UserError, match="trained on text read otherwise"):
        read_text_settings(tmp_path)


def test_a_folder_without_settings_and_a_wrong_setting_are_refused(tmp_path):
    with pytest.raises(UserError, match="missing; text can only be read"):
        read_text_settings(tmp_path)
    write_text_settings(tmp_path, standard_config())
    content = json.loads((tmp_path / FILE).read_text())
    content["text"]["calendar"] = "lunar"
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(ParamsError, match="text.calendar"):
        read_text_settings(tmp_path)
