"""What one utterance must be to be kept. A problem is told as its kind, a colon, and the figures against the limit."""

from torch import Tensor

from stages.prepare_corpus.config import Config
from stages.prepare_corpus.levels import audible_frames, frame_levels_db, loud_level_db

CLIPPED_FROM = 0.999
"""Samples at or above this share of full scale stand at the limit of what was recorded."""

SILENT_BELOW_DB = -60.0
"""Level of the loud part, of full scale, under which a recording holds noise rather than speech."""


def recording_problem(audio: Tensor, rate_hz: int, config: Config) -> str | None:
    """Why audio [S], as it was recorded, is not used: clipped or silent. A later gain would hide both."""
    clipped = float((audio.abs() >= CLIPPED_FROM).double().mean())
    if clipped > config.clipped_share_max:
        return f"clipped: {clipped:.2%} of the samples > {config.clipped_share_max:.2%}"
    loud = loud_level_db(frame_levels_db(audio, rate_hz))
    return f"silent: loud part {loud:.0f} dB < {SILENT_BELOW_DB:.0f}" if loud < SILENT_BELOW_DB else None


def audio_problem(audio: Tensor, config: Config) -> str | None:
    """Why audio [S], conditioned, is not used: too short, too long, or mostly silence."""
    seconds = len(audio) / config.sample_rate_hz
    if seconds < config.duration_seconds_min:
        return f"too short: {seconds:.2f} s < {config.duration_seconds_min:g}"
    if seconds > config.duration_seconds_max:
        return f"too long: {seconds:.2f} s > {config.duration_seconds_max:g}"
    silence = 1 - float(audible_frames(audio, config.sample_rate_hz, config.trim_below_db).double().mean())
    if silence > config.silence_share_max:
        return f"too much silence: {silence:.0%} of the time > {config.silence_share_max:.0%}"
    return None


def text_problem(text: str, normalised: str, config: Config) -> str | None:
    """Why a text of the target language is not used: nothing in it, or too much of it in Latin letters."""
    letters = [character for character in normalised if character.isalpha()]
    if not letters:
        return "no text: nothing is left after normalising" if text.strip() else "no text: the field is empty"
    latin = sum(letter < "\u0250" for letter in letters) / len(letters)
    if latin > config.latin_share_max:
        return f"script mix: {latin:.0%} of the letters are Latin > {config.latin_share_max:.0%}"
    return None
