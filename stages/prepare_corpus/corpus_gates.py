"""Gates that need the whole corpus: what is held out stays held out, nothing twice, nobody speaks at an absurd rate."""

import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from stages.core.artifacts.split import Split, split_of
from stages.core.params.shared import SplitsConfig
from stages.prepare_corpus.corpus import Entry, Verdict
from stages.prepare_corpus.reading import fingerprint
from stages.prepare_corpus.utterance import Synthesis, Utterance

WORD = re.compile(r"\w+")
RANK: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
RATES_MIN = 30
"""Of fewer utterances nobody can tell what is usual."""
MAD_TO_DEVIATION = 1.4826
"""A normal distribution's standard deviation in units of its median absolute deviation from the median."""
DEVIATION_MIN = 0.05
"""Of the log rate; speech that is more regular than this is not judged more strictly."""

Verdicts = dict[int, Verdict]


class Facts(NamedTuple):
    """What the gates compare of one good row: hashes and figures, half a kilobyte; no text is held.

    Attributes:
        words: of the normalised text without marks, in its language.
        spoken: of speaker and normalised text.
        held_out: whether the speaker is kept out of training.
        rate: characters a second.
        group: of language and source.
    """

    number: int
    split: Split
    speaker: int
    words: int
    spoken: int
    audio: int
    held_out: bool
    rate: float
    group: str


def judge(entries: Iterable[Entry], splits: SplitsConfig, deviations_max: float) -> Verdicts:
    """Numbers of the entries to leave out, with the reason; each gate sees what the ones before it keep."""
    gates: list[Callable[[Sequence[Facts]], Verdicts]] = [
        held_out_speakers, held_out_texts, repeated_audio, repeated_texts,
        lambda facts: unusual_rates(facts, deviations_max), single_utterances,
    ]
    facts = [facts_of(entry, entry.row, splits) for entry in entries
             if isinstance(entry.row, Utterance) and not entry.made.reason]
    verdicts: Verdicts = {}
    for gate in gates:
        verdicts |= gate([one for one in facts if one.number not in verdicts])
    return verdicts


def facts_of(entry: Entry, row: Utterance, splits: SplitsConfig) -> Facts:
    """The facts of a good row."""
    text = entry.made.text_normalised
    words = " ".join(WORD.findall(text)).casefold()
    return Facts(
        entry.number, entry.split, fingerprint(row.speaker), fingerprint(f"{row.language} {words}"),
        fingerprint(f"{row.speaker}\n{text}"), entry.made.audio_hash,
        not isinstance(row.speech, Synthesis) and is_held_out(row.speaker, splits),
        len(text.replace(" ", "")) / entry.made.duration_seconds, sys.intern(f"{row.language} of {entry.shard.source}"),
    )


def is_held_out(speaker: str, splits: SplitsConfig) -> bool:
    """Whether a recorded speaker is none to train on; decided by the name alone, so that growth changes nobody."""
    return split_of(f"speaker {speaker}", splits.seed, 0.0, splits.test_speakers_share) == "test"


def held_out_speakers(facts: Sequence[Facts]) -> Verdicts:
    """A held-out speaker keeps what is held out by its text."""
    return {one.number: Verdict("held-out speaker: a training text") for one in facts
            if one.held_out and one.split == "train"}


def held_out_texts(facts: Sequence[Facts]) -> Verdicts:
    """Words stand in one split, whatever marks follow them and whatever text they are cut from."""
    strictest: dict[int, int] = defaultdict(int)
    for one in facts:
        strictest[one.words] = max(strictest[one.words], RANK[one.split])
    return {one.number: Verdict("also in a held-out text") for one in facts if RANK[one.split] < strictest[one.words]}


def repeated_audio(facts: Sequence[Facts]) -> Verdicts:
    """The same audio again."""
    return repeats(facts, lambda one: one.audio, "duplicate audio")


def repeated_texts(facts: Sequence[Facts]) -> Verdicts:
    """The same text by the same speaker again."""
    return repeats(facts, lambda one: one.spoken, "duplicate text of the speaker")


def repeats(facts: Sequence[Facts], what: Callable[[Facts], int], reason: str) -> Verdicts:
    """All but the first of those that are alike."""
    first: dict[int, int] = {}
    return {one.number: Verdict(reason, first[what(one)]) for one in facts
            if first.setdefault(what(one), one.number) != one.number}


def unusual_rates(facts: Sequence[Facts], deviations_max: float) -> Verdicts:
    """Characters a second far from the median of the same language and source: text and audio do not belong together.

    Robust z-scores of the log rate, by the median absolute deviation (Iglewicz and Hoaglin, How to Detect and Handle
    Outliers, 1993).
    """
    groups: dict[str, list[Facts]] = defaultdict(list)
    for one in facts:
        groups[one.group].append(one)
    verdicts: Verdicts = {}
    for group, members in groups.items():
        if len(members) < RATES_MIN:
            continue
        logs = [math.log(one.rate) for one in members]
        usual = median(logs)
        deviation = max(MAD_TO_DEVIATION * median(abs(value - usual) for value in logs), DEVIATION_MIN)
        low, high = (math.exp(usual + side * deviations_max * deviation) for side in (-1, 1))
        verdicts |= {one.number: Verdict(f"characters a second: {one.rate:.2f}, {low:.2f} to {high:.2f} in {group}")
                     for one in members if not low <= one.rate <= high}
    return verdicts


def single_utterances(facts: Sequence[Facts]) -> Verdicts:
    """A speaker needs another utterance to be the prompt."""
    counts = Counter(one.speaker for one in facts)
    return {one.number: Verdict("only one utterance of the speaker") for one in facts if counts[one.speaker] == 1}
