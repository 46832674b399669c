"""What hours of speech are expected to be before there is a corpus: utterances, their lengths, their tokens.

Seconds are log-normal with a median of 5 and sigma 0.6, cut to what corpus and model take: a mean of 5.6 s between 1
and 15 s, as LibriTTS has (585 h in 375,086 utterances), with the long right tail of read corpora cut at sentences.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean

from stages.core.artifacts.files import read_json
from stages.core.model.settings import BaseSettings

MEDIAN_SECONDS, SIGMA = 5.0, 0.6
PACE_SIGMA = 0.15  # of the log of how fast one speaks
FASTEST = math.exp(2 * PACE_SIGMA)  # of 40 speakers the fastest, against the mean
ASSUMED_TOKENS_PER_SECOND = 4.5  # 2.2 words a second of two pieces each
VOCABULARY_METRICS = Path("data/vocabulary/metrics.json")
QUANTILES = 400


@dataclass(frozen=True)
class ExpectedUtterance:
    """Lengths of one utterance; `seconds` of audio."""

    seconds: float
    text_tokens: int
    code_tokens: int


@dataclass(frozen=True)
class ExpectedSpeech:
    """A corpus that does not exist yet.

    Attributes:
        utterances: quantiles of equal weight, the shortest first.
        longest: the longest one, read by a fast speaker; what memory is planned for.
        assumptions: where the figures come from, for people.
    """

    utterances: list[ExpectedUtterance]
    longest: ExpectedUtterance
    assumptions: list[str]

    @property
    def mean_seconds(self) -> float:
        return fmean(row.seconds for row in self.utterances)

    def count(self, hours: float) -> int:
        """Utterances in so many hours."""
        return max(1, round(hours * 3600 / self.mean_seconds))


def expect_speech(base: BaseSettings, shortest_seconds: float, longest_seconds: float) -> ExpectedSpeech:
    """Utterances between two durations that the base's positions hold."""
    gpt, code_rate = base.gpt, base.code_rate_hz
    text_rate, text_source = text_tokens_per_second(gpt.number_text_tokens)
    most = min(longest_seconds, gpt.max_mel_tokens / code_rate, gpt.max_text_tokens / (text_rate * FASTEST))

    def utterance(seconds: float, pace: float = 1.0) -> ExpectedUtterance:
        text = min(max(1, round(seconds * text_rate * pace)), gpt.max_text_tokens)
        return ExpectedUtterance(seconds, text, min(round(seconds * code_rate), gpt.max_mel_tokens))

    normal = NormalDist(math.log(MEDIAN_SECONDS), SIGMA)
    low, high = normal.cdf(math.log(shortest_seconds)), normal.cdf(math.log(most))
    places = [low + (high - low) * (place + 0.5) / QUANTILES for place in range(QUANTILES)]
    speech = ExpectedSpeech([utterance(math.exp(normal.inv_cdf(place))) for place in places],
                            utterance(most, FASTEST), [])
    return ExpectedSpeech(speech.utterances, speech.longest, [
        f"{code_rate:g} codes a second: from the base's config.yaml and the codec it names",
        f"{text_rate:.2f} text tokens a second: {text_source}",
        f"utterances of {shortest_seconds:g}-{most:.1f} s (prepare_corpus, the model's positions), log-normal around "
        f"{MEDIAN_SECONDS:g} s, mean {speech.mean_seconds:.1f} s: assumed, as read corpora are",
        f"{gpt.condition_num_latent} prompt latents an utterance: config.yaml, or upstream's constant",
    ])


def text_tokens_per_second(base_pieces: int) -> tuple[float, str]:
    """Text tokens of a second of speech, and where the figure comes from."""
    if VOCABULARY_METRICS.is_file():
        metrics = read_json(VOCABULARY_METRICS)
        if metrics.get("base_pieces") == base_pieces and metrics.get("train_tokens_per_second"):
            return float(metrics["train_tokens_per_second"]), f"measured by train_vocabulary ({VOCABULARY_METRICS})"
    return ASSUMED_TOKENS_PER_SECOND, "assumed, 2.2 words a second of two pieces each"
