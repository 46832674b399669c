"""Melody and voice of sampled speech, against the reference's and the prompt's."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from stages.evaluate_speech.cross_entropy import Sentence
from stages.evaluate_speech.figures import Measured, Values
from stages.evaluate_speech.judge import is_audible
from stages.evaluate_speech.likeness import SpeakerEncoder, margin, similarity
from stages.evaluate_speech.listen import Reading, Speech
from stages.evaluate_speech.pitch import Pitch, track_pitch


def measure_pitch(speech: Speech) -> Values:
    """Pitch of the samples, and of the references' codes turned back into sound, against the references'."""
    if not speech.samples:
        return {}
    truth = {one.line["id"]: track_pitch(one.audio, one.sample_rate_hz) for one in speech.readings}
    spoken = [(one.reading, track_pitch(one.audio, one.reading.sample_rate_hz)) for one in speech.samples]
    limit = [(one, track_pitch(audio, one.sample_rate_hz))
             for one, audio in zip(speech.readings, speech.coded, strict=False)]

    def against(tracks: list[tuple[Reading, Pitch | None]], prefix: str) -> Values:
        pairs = [(reading.sentence, pitch, truth[reading.line["id"]]) for reading, pitch in tracks]
        return compare_pitch(pairs, prefix)

    return against(spoken, "") | against(limit, "codes_")


def compare_pitch(pairs: Sequence[tuple[Sentence, Pitch | None, Pitch | None]], prefix: str) -> Values:
    """Distance of the medians, and the movement about them as a share of the reference's."""
    distances, ranges = [], []
    for sentence, ours, true in pairs:
        if ours and true:
            distances.append(Measured(sentence, abs(ours.median_semitones - true.median_semitones)))
            ranges.append(Measured(sentence, ours.deviation_semitones, true.deviation_semitones))
    return {f"{prefix}pitch_deviation_semitones": distances, f"{prefix}pitch_range_ratio": ranges}


def measure_voices(speech: Speech, encoder: SpeakerEncoder) -> Values:
    """Likeness to the prompt's voice, and how far beyond that to the nearest other speaker; silence is like none.

    The reference's own likeness to its prompt stands beside: what the encoder makes of one speaker's two recordings.
    """
    own = {one.line["id"]: encoder.portray(one.audio, one.sample_rate_hz) for one in speech.readings}
    prompts = {one.line["id"]: encoder.portray(one.prompt, one.sample_rate_hz) for one in speech.readings}
    spoken = [encoder.portray(one.audio, one.reading.sample_rate_hz)
              if is_audible(one.audio, one.reading.sample_rate_hz) else None for one in speech.samples]
    centre = torch.stack(list(own.values())).mean(dim=0) * encoder.is_centred
    by_speaker: dict[str, list[Tensor]] = defaultdict(list)
    for one in speech.readings:
        by_speaker[one.line["speaker"]].append(prompts[one.line["id"]] - centre)

    def likeness(portraits: Sequence[tuple[Reading, Tensor | None]], prefix: str) -> Values:
        near, beyond = [], []
        for reading, portrait in portraits:
            others = {name: held for name, held in by_speaker.items() if name != reading.line["speaker"]}
            portrait = torch.zeros_like(centre) if portrait is None else portrait - centre
            prompt = prompts[reading.line["id"]] - centre
            near.append(Measured(reading.sentence, similarity(portrait, prompt)))
            if others:
                beyond.append(Measured(reading.sentence, margin(portrait, prompt, others)))
        return {f"{prefix}speaker_similarity": near, f"{prefix}speaker_margin": beyond}

    samples = [(one.reading, portrait) for one, portrait in zip(speech.samples, spoken, strict=True)]
    return likeness(samples, "") | likeness([(one, own[one.line["id"]]) for one in speech.readings], "reference_")
