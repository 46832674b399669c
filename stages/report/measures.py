"""The figures of an evaluation: what each means, which way is better, how it is written, how two of them compare."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stages.core.errors import UserError

UNMEASURED = "unmeasured"
PER_CENT = "\u00a0%"
MINUS = "\u2212"
Change = Literal["better", "worse", "unclear", "same", "unmeasured"]


@dataclass(frozen=True)
class Measure:
    """A mean with its 95 % interval, from `n` utterances; `mean` is None where it was not measured."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


PREDICTION, SPEECH, SOUND = "Prediction of held-out codes", "Sampled speech", "Its length, melody and voice"
EMOTION, FORGETTING = "The emotion path", "The base's own languages"
LIMITS = "Limits of the measurement, without any model"
CHIEF = (  # what a reader in a hurry looks at, in this order
    "phone_error_rate", "character_error_rate", "word_error_rate", "skipped_word_rate", "stop_rate",
    "speaker_similarity", "code_cross_entropy", "swapped_text_gap", "base_language_cross_entropy",
    "base_language_phone_error_rate", "base_language_character_error_rate", "latent_relative_l2",
)
GROUPS = (PREDICTION, SPEECH, SOUND, EMOTION, FORGETTING, LIMITS)


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        kind: nats, share (0..1, written in per cent) or plain.
        better: which way is better, or None where neither is.
        group: the part of the table; figures of `LIMITS` are the same for every phase and no achievement of one.
    """

    name: str
    label: str
    kind: Literal["nats", "share", "plain"]
    better: Literal["lower", "higher"] | None
    meaning: str
    group: str = PREDICTION

    @property
    def limit(self) -> bool:
        return self.group == LIMITS


METRICS = (
    Metric("code_cross_entropy", "Code cross-entropy", "nats", "lower",
           "nats a speech code, given the text and the true codes before it"),
    Metric("code_top1", "Code top-1", "share", "higher", "share of speech codes that are the model's first guess"),
    Metric("swapped_text_cross_entropy", "Code cross-entropy, wrong text", "nats", None,
           "the same with another utterance's text: a model that reads its text is worse here"),
    Metric("swapped_text_gap", "What the wrong text costs", "nats", "higher",
           "the difference of the two, utterance by utterance: 0 where the text is not read"),
    Metric("phone_error_rate", "Phone error", "share", "lower",
           "wrong, missing and added phones that the judge hears in sampled speech, a phone of the text", SPEECH),
    Metric("character_error_rate", "Character error", "share", "lower",
           "the same in characters of what a judge of words writes, spaces included", SPEECH),
    Metric("word_error_rate", "Word error", "share", "lower", "the same in words", SPEECH),
    Metric("skipped_word_rate", "Skipped words", "share", "lower",
           "words of which more than half is missing from what the judge writes, with nothing in its place", SPEECH),
    Metric("repeated_word_rate", "Repeated words", "share", "lower",
           "words that are found again in what the judge writes beyond the text", SPEECH),
    Metric("stop_rate", "Clean stops", "share", "higher", "share of sampled utterances that end by themselves", SPEECH),
    Metric("too_long_rate", "Too long", "share", "lower",
           "samples longer than the reference by more than params allow (duration_ratio_max)", SOUND),
    Metric("too_short_rate", "Too short", "share", "lower",
           "samples shorter than the reference by more than params allow (duration_ratio_min)", SOUND),
    Metric("duration_ratio", "Length over the reference's", "plain", None, "1 is as long", SOUND),
    Metric("duration_deviation", "Deviation of the length", "share", "lower",
           "mean distance of that ratio from 1, either way", SOUND),
    Metric("pitch_deviation_semitones", "Pitch off the reference's, semitones", "plain", "lower",
           "distance of the median pitch from that of the same speaker's own reading", SOUND),
    Metric("pitch_range_ratio", "Movement of the pitch over the reference's", "plain", None,
           "1 moves as much, 0 is monotonous", SOUND),
    Metric("speaker_similarity", "Speaker similarity", "plain", "higher",
           "likeness of sampled speech to its voice prompt: 1 is the same voice, near 0 an unrelated one", SOUND),
    Metric("speaker_margin", "Speaker margin", "plain", "higher",
           "how much more like its prompt than like the nearest other speaker; below 0 it is taken for another", SOUND),
    Metric("emotion_divergence", "Predictions moved by the emotion vector", "nats", None,
           "divergence, in nats a code, when the emotion of a calm reading gives way to that of a lively one",
           EMOTION),
    Metric("emotion_code_change", "Codes changed by it", "share", None,
           "edit distance between the two samples, same text, voice and seed", EMOTION),
    Metric("seed_code_change", "Codes changed by another seed", "share", None,
           "the same with one emotion and two seeds: what chance alone does", EMOTION),
    Metric("emotion_duration_ratio", "Length, lively over calm", "plain", None,
           "of the samples; the limits tell what the styles themselves are", EMOTION),
    Metric("emotion_pitch_semitones", "Pitch, lively above calm, semitones", "plain", None, "of the samples", EMOTION),
    Metric("base_language_cross_entropy", "Base-language cross-entropy", "nats", "lower",
           "nats a speech code in the languages that the base spoke: what rises was forgotten", FORGETTING),
    Metric("replayed_language_cross_entropy", "Of these, languages with replay", "nats", "lower",
           "the same on held-out texts of the languages that the corpus holds training rows of", FORGETTING),
    Metric("unreplayed_language_cross_entropy", "Of these, languages without", "nats", "lower",
           "the same on languages that training never met: what replay does not hold", FORGETTING),
    Metric("base_language_top1", "Base-language code top-1", "share", "higher",
           "share of speech codes of the base's languages that are the model's first guess", FORGETTING),
    Metric("base_language_phone_error_rate", "Base-language phone error", "share", "lower",
           "phone error of sampled speech in the base's languages", FORGETTING),
    Metric("base_language_character_error_rate", "Base-language character error", "share", "lower",
           "the same in characters", FORGETTING),
    Metric("base_language_word_error_rate", "Base-language word error", "share", "lower", "the same in words",
           FORGETTING),
    Metric("latent_relative_l2", "Drift of the latents", "share", "lower",
           "distance of the latents that s2mel reads from the base's, on the base's languages, over their length",
           FORGETTING),
    Metric("latent_cosine", "Cosine of the latents with the base's", "plain", "higher", "1 has not turned", FORGETTING),
    Metric("reference_phone_error_rate", "Phone error of the reference audio", "share", "lower",
           "the same judge on the corpus' own audio: its floor", LIMITS),
    Metric("codes_phone_error_rate", "Phone error of the reference codes", "share", "lower",
           "the same judge on reference speech turned into codes and back: what a perfect model on this base would get",
           LIMITS),
    Metric("reference_character_error_rate", "Character error of the reference audio", "share", "lower",
           "the judge's floor", LIMITS),
    Metric("codes_character_error_rate", "Character error of the reference codes", "share", "lower",
           "what a perfect model on this base would get", LIMITS),
    Metric("reference_word_error_rate", "Word error of the reference audio", "share", "lower", "the judge's floor",
           LIMITS),
    Metric("codes_word_error_rate", "Word error of the reference codes", "share", "lower",
           "what a perfect model on this base would get", LIMITS),
    Metric("reference_skipped_word_rate", "Skipped words in the reference audio", "share", "lower",
           "what the judge overhears", LIMITS),
    Metric("reference_repeated_word_rate", "Repeated words in the reference audio", "share", "lower",
           "what the judge makes up", LIMITS),
    Metric("base_language_reference_phone_error_rate", "Base-language phone error of the reference audio", "share",
           "lower", "the judge's floor on them", LIMITS),
    Metric("base_language_reference_character_error_rate", "Base-language character error of the reference audio",
           "share", "lower", "the judge's floor on them", LIMITS),
    Metric("base_language_reference_word_error_rate", "Base-language word error of the reference audio", "share",
           "lower", "the judge's floor on them", LIMITS),
    Metric("codes_pitch_deviation_semitones", "Pitch of the reference codes off the reference's, semitones", "plain",
           "lower", "what codes and back do to the pitch, without any model", LIMITS),
    Metric("codes_pitch_range_ratio", "Movement of their pitch over the reference's", "plain", None,
           "what codes and back do to it", LIMITS),
    Metric("reference_speaker_similarity", "Speaker similarity of the reference audio", "plain", "higher",
           "of one speaker's two recordings", LIMITS),
    Metric("reference_speaker_margin", "Speaker margin of the reference audio", "plain", "higher",
           "of one speaker's two recordings", LIMITS),
    Metric("intended_emotion_duration_ratio", "Length of the lively reading over the calm one's", "plain", None,
           "of the readings that the emotion vectors were taken from: what a working path would follow", LIMITS),
    Metric("intended_emotion_pitch_semitones", "Pitch of the lively reading above the calm one's, semitones", "plain",
           None, "of the same readings", LIMITS),
)
KNOWN = {metric.name: metric for metric in METRICS}


def metrics_of(results: Sequence[dict[str, Measure]]) -> list[Metric]:
    """The known metrics, then those that only the results name."""
    others = dict.fromkeys(name for measures in results for name in measures if name not in KNOWN)
    return [*METRICS, *(Metric(name, name.replace("_", " "), "plain", None, "") for name in others)]


def parse_measures(content: Any, path: Path) -> dict[str, Measure]:
    """Read the content of a metrics.json.

    Raises:
        UserError: a value is no number, null or object with a `mean`.
    """
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold an object of metrics (got {type(content).__name__})")
    return {name: parse_measure(value, f"{path}: {name}") for name, value in content.items()}


def parse_measure(value: Any, where: str) -> Measure:
    """Read one value: a number, an object with mean, low, high and n, or null for unmeasured."""
    fields = value if isinstance(value, dict) else {"mean": value}
    numbers = [fields.get(key) for key in ("mean", "low", "high", "n")]
    if "mean" not in fields or not all(map(is_number_or_null, numbers)):
        raise UserError(f"{where}: must be null, a finite number, or an object with mean, low, high, n (got {value!r})")
    mean, low, high, count = numbers
    return Measure(mean, low, high, None if count is None else int(count))


def is_number_or_null(value: Any) -> bool:
    """Tell whether a JSON value is a finite number or null."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


def write_value(value: float | None, metric: Metric) -> str:
    """A value for people: `1.98`, `31.2 %`, or `unmeasured`."""
    if value is None:
        return UNMEASURED
    if metric.kind == "share":
        return f"{100 * value:.1f}{PER_CENT}"
    small = metric.kind == "nats" and 0 < abs(value) < 0.095
    return f"{round(value, 3 if small else 2) or 0.0:.{3 if small else 2}f}".replace("-", MINUS)


def write_interval(measure: Measure, metric: Metric) -> str:
    """`1.90–2.05`, or nothing where there is no interval."""
    if measure.mean is None or measure.low is None or measure.high is None:
        return ""
    low, high = write_value(measure.low, metric).removesuffix(PER_CENT), write_value(measure.high, metric)
    return f"{low} to {high}" if low.startswith(MINUS) else f"{low}–{high}"


def compare(before: Measure, after: Measure, metric: Metric) -> Change:
    """How a figure changed; `unclear` where it got worse or better but the two intervals overlap."""
    if before.mean is None or after.mean is None or metric.better is None:
        return "unmeasured"
    if before.mean == after.mean:
        return "same"
    if overlap(before, after):
        return "unclear"
    return "better" if (after.mean < before.mean) == (metric.better == "lower") else "worse"


def went_wrong_way(before: Measure, after: Measure, metric: Metric) -> bool:
    """Tell whether the mean moved to the worse side, clearly or not."""
    if before.mean is None or after.mean is None or metric.better is None:
        return False
    return after.mean > before.mean if metric.better == "lower" else after.mean < before.mean


def overlap(one: Measure, other: Measure) -> bool:
    """Tell whether two intervals share a value; measures without intervals never do."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high
