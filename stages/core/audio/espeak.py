"""Speech and phones from espeak-ng, through the shared library that the package espeakng-loader ships.

The library keeps the phase of its flutter and noise between utterances, and neither a new initialisation nor a seed
resets it. It is loaded anew for each call, so that an utterance sounds the same whatever was spoken before.
"""

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import espeakng_loader
import numpy as np

from stages.core.errors import UserError

_SYNCHRONOUS, _UTF8, _IPA_PHONEMES = 2, 1, 0x02
_RATE, _PITCH, _RANGE = 1, 3, 4
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_LENGTH_MARKS = "ˈˌː"


class Speaker(Protocol):
    """One synthetic speaker: an espeak-ng variant at a pitch, a pitch range (0-99) and a rate."""

    @property
    def variant(self) -> str: ...
    @property
    def pitch(self) -> int: ...
    @property
    def pitch_range(self) -> int: ...
    @property
    def rate_words_per_minute(self) -> int: ...


class _Engine:
    """One loaded espeak-ng."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data_path = espeakng_loader.get_data_path().encode()
        self.sample_rate_hz: int = self.library.espeak_Initialize(_SYNCHRONOUS, 200, data_path, 0)
        if self.sample_rate_hz <= 0:
            raise UserError("espeak-ng: cannot start from the package espeakng-loader; reinstall it")
        self.blocks: list[np.ndarray] = []
        self.callback = _SYNTH_CALLBACK(self._collect)
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self.blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    def set_voice(self, name: str) -> None:
        if self.library.espeak_SetVoiceByName(name.encode()) != 0:
            raise UserError(f"espeak-ng: unknown voice {name!r}")


@contextmanager
def _fresh_engine() -> Iterator[_Engine]:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        yield _Engine(library)
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def synthesise(text: str, voice: str, speaker: Speaker) -> tuple[np.ndarray, int]:
    """Speak `text` in the language `voice` as `speaker`.

    Returns:
        samples, float32 [samples] in -1..1, and their rate in Hz.

    Raises:
        UserError: espeak-ng knows no such voice.
    """
    with _fresh_engine() as engine:
        engine.set_voice(f"{voice}+{speaker.variant}")
        for parameter, value in ((_RATE, speaker.rate_words_per_minute), (_PITCH, speaker.pitch),
                                 (_RANGE, speaker.pitch_range)):
            engine.library.espeak_SetParameter(parameter, value, 0)
        content = text.encode() + b"\0"
        engine.library.espeak_Synth(content, len(content), 0, 1, 0, _UTF8, None, None)
        engine.library.espeak_Synchronize()
        samples = np.concatenate(engine.blocks) if engine.blocks else np.zeros(0, np.int16)
        return samples.astype(np.float32) / 32768.0, engine.sample_rate_hz


def phones(text: str, voice: str) -> list[str]:
    """Phones of `text` in IPA, without stress and length marks.

    A base letter and the modifiers that follow it (ejective, tie bar, palatalisation) are one phone.
    """
    return _split_phones(_read_ipa(text, voice))


def phones_by_word(text: str, voice: str) -> list[list[str]]:
    """Phones of each word; espeak-ng may run short words together, as one word."""
    words = (_split_phones(word) for word in _read_ipa(text, voice).split())
    return [word for word in words if word]


def _read_ipa(text: str, voice: str) -> str:
    pointer = ctypes.c_char_p(text.encode())
    clauses = []
    with _fresh_engine() as engine:
        engine.set_voice(voice)
        while pointer.value:
            clause = engine.library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, _IPA_PHONEMES)
            clauses.append((clause or b"").decode())
    return " ".join(clauses)


def _split_phones(ipa: str) -> list[str]:
    result: list[str] = []
    joined = False
    for letter in ipa:
        if letter in _LENGTH_MARKS or letter.isspace() or not (letter.isalpha() or letter in "͡ʼ'̩̃"):
            continue
        if letter in "͡":
            joined = True
        elif result and (joined or letter in "ʼ'ʲʷʰ̩̃"):
            result[-1] += letter
            joined = False
        else:
            result.append(letter)
    return result
