from stages.core.speaking.config import SamplingConfig
from stages.core.speaking.drawing import SLACK_TOKENS, settings_for
from tests.tiny import SETTINGS

CONFIG = SamplingConfig(temperature=0.7, top_p=0.9, top_k=20, repetition_penalty=2.0, codes_per_text_token_max=1.5,
                        seed=3)


def test_a_draw_is_as_the_params_say_and_cut_by_its_text():
    drawn = settings_for(CONFIG, 3, SETTINGS, 5)
    assert (drawn.temperature, drawn.top_p, drawn.top_k, drawn.repetition_penalty, drawn.seed) == (0.7, 0.9, 20, 2.0, 5)
    assert drawn.codes_max == int((3 + SLACK_TOKENS) * 1.5) < SETTINGS.max_mel_tokens


def test_no_draw_is_longer_than_the_model_holds():
    assert settings_for(CONFIG, 10_000, SETTINGS, 1).codes_max == SETTINGS.max_mel_tokens
