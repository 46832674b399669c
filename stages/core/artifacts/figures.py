"""Names of all figures that `evaluate_speech` measures: metrics.json, DVC, MLflow, gates and the report use them."""

from typing import Any

FIGURES = (
    "code_cross_entropy", "code_top1", "swapped_text_cross_entropy", "swapped_text_gap",
    "phone_error_rate", "character_error_rate", "word_error_rate", "skipped_word_rate", "repeated_word_rate",
    "stop_rate", "too_long_rate", "too_short_rate", "duration_ratio", "duration_deviation",
    "pitch_deviation_semitones", "pitch_range_ratio", "speaker_similarity", "speaker_margin",
    "emotion_divergence", "emotion_code_change", "seed_code_change",
    "emotion_duration_ratio", "emotion_pitch_semitones",
    "base_language_cross_entropy", "base_language_top1",
    "replayed_language_cross_entropy", "unreplayed_language_cross_entropy",
    "base_language_phone_error_rate", "base_language_character_error_rate", "base_language_word_error_rate",
    "latent_relative_l2", "latent_cosine",
    "reference_phone_error_rate", "reference_character_error_rate", "reference_word_error_rate",
    "reference_skipped_word_rate", "reference_repeated_word_rate",
    "reference_speaker_similarity", "reference_speaker_margin",
    "codes_phone_error_rate", "codes_character_error_rate", "codes_word_error_rate",
    "codes_pitch_deviation_semitones", "codes_pitch_range_ratio",
    "base_language_reference_phone_error_rate", "base_language_reference_character_error_rate",
    "base_language_reference_word_error_rate",
    "intended_emotion_duration_ratio", "intended_emotion_pitch_semitones",
)
HEADLINE = (  # what DVC's tables show of a phase: few enough for a screen
    "code_cross_entropy", "phone_error_rate", "character_error_rate", "stop_rate", "speaker_similarity",
    "base_language_cross_entropy", "latent_relative_l2",
)


def number_of(value: Any) -> float | None:
    """The mean of a figure with an interval, or the plain number; None for what is neither."""
    value = value.get("mean") if isinstance(value, dict) else value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
