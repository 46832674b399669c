import numpy as np
import pytest

from stages.core.audio.espeak import phones, synthesise
from stages.core.errors import UserError
from stages.core.params.shared import SpeakerConfig


def speaker(**changes):
    return SpeakerConfig(**({"variant": "m2", "pitch": 45, "pitch_range": 50, "rate_words_per_minute": 150} | changes))


def test_speech_is_deterministic_audible_and_longer_when_slower():
    text = "ማንም ሰው ቢሆን በባርነት አይገዛም."
    first, rate_hz = synthesise(text, "am", speaker())
    synthesise("Wer spricht da?", "de", speaker(variant="f3"))
    again, _ = synthesise(text, "am", speaker())
    slow, _ = synthesise(text, "am", speaker(rate_words_per_minute=100))
    assert rate_hz == 22050 and np.array_equal(first, again)
    assert 1.0 < len(first) / rate_hz < 6.0 and 0.05 < np.abs(first).max() <= 1.0
    assert len(slow) > 1.2 * len(first)


def test_phones_leave_out_stress_and_length_and_keep_modifiers():
    assert phones("ሰላም", "am") == ["s", "ə", "l", "a", "m"]
    assert "ɔ̃" in phones("bon", "fr")


def test_an_unknown_voice_is_named():
    with pytest.raises(UserError, match="qqq"):
        synthesise("a", "qqq", speaker())
