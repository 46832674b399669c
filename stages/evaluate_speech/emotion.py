"""The emotion path: the emotion vector of another way of speaking, everything else held: what does it change?

The same text, voice, seed and batch are sampled with the emotion of a first and of a second style in which espeak-ng
reads the prompt's own words. Since one other code early on sends a sample another way, the change of codes is read
against that which another seed makes. The divergence of the predictions on true codes knows no such chance.
Shapes: S samples, T feature frames, F feature width, N conditioning latents, D model width, M codes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.artifacts.files import below
from stages.core.audio.espeak import synthesise
from stages.core.audio.files import read_audio, resample
from stages.core.model.conditioning import Conditioner
from stages.core.model.speech import SpeakingAdapter
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row
from stages.evaluate_speech.config import Config
from stages.evaluate_speech.cross_entropy import read_rows, sentence_of
from stages.evaluate_speech.draw import Drawn, sample_rows, with_conditioning
from stages.evaluate_speech.figures import Measured, Values
from stages.evaluate_speech.listen import Line
from stages.evaluate_speech.pitch import track_pitch
from stages.evaluate_speech.words import count_errors

Codes = list[tuple[Tensor, bool]]


@dataclass(frozen=True)
class Styled:
    """A prompt [S] and the two readings [S] of its words, all cut as prompts are, with what the readings intend.

    Attributes:
        seconds: lengths of the whole readings.
        semitones: pitch of the second above the first; None where one has none.
    """

    prompt: Tensor
    readings: tuple[Tensor, Tensor]
    seconds: tuple[float, float]
    semitones: float | None


@torch.inference_mode()
def measure_emotion(
    model: UnifiedVoice, drawn: Sequence[Drawn], manifest: dict[str, Line], corpus: Path, adapter: SpeakingAdapter,
    conditioner: Conditioner, config: Config, prompt_seconds_max: float,
) -> Values:
    """What the second style changes against the first, and what it ought to."""
    if not drawn:
        return {}
    styled = [read_styles(one, manifest, corpus, adapter.sample_rate_hz, config, prompt_seconds_max) for one in drawn]
    first, second = (with_conditioning([one.row for one in drawn], list(condition(styled, place, adapter, conditioner)))
                     for place in (0, 1))
    one, other = (sample_rows(model, rows, config, config.seed) for rows in (first, second))
    reseeded = sample_rows(model, first, config, config.seed + 1)
    return {
        "emotion_divergence": diverge(model, first, second),
        "emotion_code_change": change(first, one, other),
        "seed_code_change": change(first, one, reseeded),
        "emotion_duration_ratio": [
            Measured(sentence_of(row.text), len(after), len(before))
            for row, (before, _), (after, _) in zip(first, one, other, strict=True)
        ],
        "emotion_pitch_semitones": pitch_effect(first, one, other, styled, adapter),
    } | intended(first, styled)


def read_styles(
    one: Drawn, manifest: dict[str, Line], corpus: Path, rate_hz: int, config: Config, seconds_max: float
) -> Styled:
    """The prompt of a drawn utterance, and its words in both styles."""
    line, longest = manifest[one.utterance.prompt], int(seconds_max * rate_hz)
    readings = [resample(*synthesise(line["text_normalised"], config.phone_voice, style), rate_hz)
                for style in config.emotion_styles]
    tracks = [track_pitch(reading, rate_hz) for reading in readings]
    semitones = tracks[1].median_semitones - tracks[0].median_semitones if tracks[0] and tracks[1] else None
    return Styled(read_audio(below(corpus, line["audio"]), rate_hz)[:longest],
                  (readings[0][:longest], readings[1][:longest]),
                  (len(readings[0]) / rate_hz, len(readings[1]) / rate_hz), semitones)


def condition(
    styled: Sequence[Styled], place: int, adapter: SpeakingAdapter, conditioner: Conditioner
) -> Iterator[Tensor]:
    """Conditioning [N, D]: the prompt's voice, the emotion of a style's reading."""
    for one in styled:
        voice, emotion = (adapter.analyse(audio).features[None] for audio in (one.prompt, one.readings[place]))
        length, emotion_length = (torch.tensor([features.shape[1]]) for features in (voice, emotion))
        yield (conditioner.voice(voice, length) + conditioner.emotion(emotion, emotion_length)[:, None])[0]


@torch.inference_mode()
def diverge(model: UnifiedVoice, first: Sequence[Row], second: Sequence[Row]) -> list[Measured]:
    """Kullback-Leibler divergence of the second's predictions from the first's, nats a code, on true codes."""
    values = []
    for (index, one, targets), (_, other, _) in zip(read_rows(model, first), read_rows(model, second), strict=True):
        before, after = (model.mel_head(states).float().log_softmax(dim=-1) for states in (one, other))
        divergence = functional.kl_div(after, before, reduction="sum", log_target=True)
        values.append(Measured(sentence_of(first[index].text), float(divergence), len(targets)))
    return values


def change(rows: Sequence[Row], one: Codes, other: Codes) -> list[Measured]:
    """Edit distance of two samples as a share of the longer: 0 the same codes."""
    return [Measured(sentence_of(row.text), count_errors([str(code) for code in before.tolist()],
                                                         [str(code) for code in after.tolist()]),
                     max(len(before), len(after)))
            for row, (before, _), (after, _) in zip(rows, one, other, strict=True)]


def pitch_effect(
    rows: Sequence[Row], one: Codes, other: Codes, styled: Sequence[Styled], adapter: SpeakingAdapter
) -> list[Measured]:
    """Semitones from the first sample's median pitch to the second's, where both have one."""
    values = []
    for row, (before, _), (after, _), style in zip(rows, one, other, styled, strict=True):
        low, high = (track_pitch(adapter.decode(codes, style.prompt), adapter.sample_rate_hz)
                     for codes in (before, after))
        if low and high:
            values.append(Measured(sentence_of(row.text), high.median_semitones - low.median_semitones))
    return values


def intended(rows: Sequence[Row], styled: Sequence[Styled]) -> Values:
    """The same of the readings that the emotions were taken from."""
    pairs = [(sentence_of(row.text), style) for row, style in zip(rows, styled, strict=True)]
    return {
        "intended_emotion_duration_ratio": [
            Measured(name, style.seconds[1], style.seconds[0]) for name, style in pairs
        ],
        "intended_emotion_pitch_semitones": [
            Measured(name, style.semitones) for name, style in pairs if style.semitones is not None
        ],
    }
