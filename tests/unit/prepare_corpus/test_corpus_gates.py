"""Planted repetitions and absurd rows; the text of every row goes through the real front end."""

from pathlib import Path

import pytest

from stages.core.artifacts.split import split_of
from stages.core.params.shared import SpeakerConfig, SplitsConfig
from stages.core.text.config import standard_config
from stages.core.text.normalise import Normaliser
from stages.prepare_corpus.corpus import Entry
from stages.prepare_corpus.corpus_gates import is_held_out, judge
from stages.prepare_corpus.shards import Made, Shard
from stages.prepare_corpus.utterance import Recording, Synthesis, Utterance

SPLITS = SplitsConfig(seed=1, validation_share=0.1, test_share=0.2, test_speakers_share=0.0)
VOICE = SpeakerConfig(variant="m2", pitch=50, pitch_range=50, rate_words_per_minute=150)
NORMALISE = Normaliser(standard_config()).normalise
WORDS = ["ማንም", "ሁሉም", "አንድ", "ብዙ", "ልጅ", "እናት", "አባት", "ወንድም", "እህት", "ጓደኛ", "መምህር", "ተማሪ"]


class Rows:
    """Entries of a small corpus, one call a row."""

    def __init__(self, splits=SPLITS):
        self.entries, self.splits = [], splits

    def add(self, text, speaker="a", seconds=None, audio=None, source="home", split=None, language="am"):
        number, normalised = len(self.entries), NORMALISE(text)
        speech = Synthesis(normalised, "am", VOICE) if split else Recording(Path("x.wav"))
        made = Made("", normalised, seconds or len(normalised.replace(" ", "")) / 10, audio or 10_000 + number)
        split = split or split_of(normalised, self.splits.seed, self.splits.validation_share, self.splits.test_share)
        row = Utterance(f"{source}-{number}", text, language, f"{source}-{speaker}", speech, f"list:{number}")
        self.entries.append(Entry(number, Shard(0, "key", source, "target", 1), number, row, made, split))
        return number

    def judge(self, deviations_max=6.0):
        return {number: verdict.reason.split(":")[0]
                for number, verdict in judge(self.entries, self.splits, deviations_max).items()}

    def split(self, number):
        return self.entries[number].split

    def kept(self):
        lost = self.judge()
        return [entry for entry in self.entries if entry.number not in lost]


def sentences(count):
    return [f"{WORDS[number % 12]} {WORDS[number // 12 % 12]} ሰው ነው።" for number in range(count)]


def text_in(split, ending=""):
    """A sentence whose hash falls into a split when it ends so."""
    return next(text for text in sentences(144)
                if split_of(NORMALISE(text.rstrip("።") + ending), 1, 0.1, 0.2) == split)


def test_a_clean_corpus_loses_nothing():
    rows = Rows()
    for text in sentences(40):
        rows.add(text, "a"), rows.add(text, "b")
    assert rows.judge() == {}


@pytest.mark.parametrize("spelling", ["ሐብት ዓለም ሰው ነው።", "ኃብት አለም ሠው ነው፡፡", "ሀብት ዐለም ሰው ነው።"])
def test_homophone_spellings_of_a_sentence_stand_in_one_split(spelling):
    rows = Rows()
    one, other = rows.add("ሀብት አለም ሰው ነው።"), rows.add(spelling, "b")
    assert rows.split(one) == rows.split(other)
    assert rows.add(spelling) in rows.judge(), "for the same speaker it is the same text"


def test_words_that_are_held_out_are_not_trained_on_whatever_marks_they_bear():
    """A sentence with and without its full stop has two hashes; no such pair may part between the splits."""
    rows = Rows()
    for speaker, ending in (("a", "።"), ("b", ""), ("c", "?"), ("d", "!")):
        for text in sentences(100):
            rows.add(text.rstrip("።") + ending, speaker)
    found = {}
    for entry in rows.kept():
        found.setdefault(entry.made.text_normalised.strip(".?!"), set()).add(entry.split)
    assert len(found) == 100 and all(len(splits) == 1 for splits in found.values())
    assert set().union(*found.values()) == {"train", "validation", "test"}


def test_a_span_of_a_held_out_sentence_keeps_the_same_words_of_any_source_out_of_training():
    rows = Rows()
    text = text_in("train", "።")
    plain, spoken = rows.add(text), rows.add(text, "m2", source="espeak", split="test")
    rows.add(sentences(3)[2]), rows.add(sentences(3)[1], "m2", source="espeak", split="test")
    assert rows.judge()[plain] == "also in a held-out text" and spoken not in rows.judge()


def test_the_same_words_in_another_language_are_another_text():
    rows = Rows()
    text = text_in("train", "።")
    plain = rows.add(text)
    rows.add(text, "m2", source="espeak", split="test", language="ti")
    assert rows.judge().get(plain) != "also in a held-out text"


def test_repetitions_name_the_row_that_they_repeat():
    rows = Rows()
    first = rows.add(WORDS[0])
    audio, text = rows.add(WORDS[1], audio=10_000), rows.add(WORDS[0])
    rows.add(WORDS[2])
    verdicts = judge(rows.entries, SPLITS, 6.0)
    assert {number: (verdict.reason, verdict.first) for number, verdict in verdicts.items()} == {
        audio: ("duplicate audio", first), text: ("duplicate text of the speaker", first)}


def test_a_text_that_another_speaker_reads_is_no_duplicate():
    rows = Rows()
    for speaker in "ab":
        rows.add(WORDS[0], speaker), rows.add(WORDS[1], speaker)
    assert rows.judge() == {}


def test_speech_of_an_absurd_rate_is_left_out_by_the_usual_of_its_language_and_source():
    rows = Rows()
    for number, text in enumerate(sentences(60)):
        rows.add(text, "ab"[number % 2], seconds=len(text) / (9 + number % 3))
    fast, slow = rows.add("ማንም እናት እህት ነው።", seconds=0.1), rows.add("ልጅ እህት አባት ነው።", "b", seconds=11.0)
    other = rows.add("ልጅ እህት አባት ነው።", source="other", seconds=11.0), rows.add(WORDS[3], source="other")
    assert rows.judge() == dict.fromkeys((fast, slow), "characters a second"), other
    assert rows.judge(deviations_max=1000.0) == {}


def test_too_few_rows_tell_no_usual_rate():
    rows = Rows()
    for text in sentences(10):
        rows.add(text)
    rows.add("ማንም እናት እህት ነው።", seconds=0.1)
    assert rows.judge() == {}


def test_a_speaker_with_one_utterance_left_has_no_prompt():
    rows = Rows()
    rows.add(WORDS[0], "a"), rows.add(WORDS[1], "a")
    alone, first = rows.add(WORDS[2], "b"), rows.add(WORDS[3], "c")
    again = rows.add(WORDS[3], "c")
    assert rows.judge() == {alone: "only one utterance of the speaker", first: "only one utterance of the speaker",
                            again: "duplicate text of the speaker"}


def test_held_out_speakers_are_never_trained_on_and_the_others_stay_as_they_are():
    splits = SPLITS.model_copy(update={"test_speakers_share": 0.4})
    rows, plain = Rows(splits), Rows()
    for speaker in range(20):
        for text in sentences(30):
            rows.add(text, f"speaker {speaker}"), plain.add(text, f"speaker {speaker}")
    held_out = {entry.row.speaker for entry in rows.entries if is_held_out(entry.row.speaker, splits)}
    assert 2 <= len(held_out) <= 14
    lost = rows.judge()
    assert set(lost.values()) == {"held-out speaker"} and plain.judge() == {}
    assert lost.keys() == {entry.number for entry in rows.entries
                           if entry.row.speaker in held_out and entry.split == "train"}
    assert {entry.split for entry in rows.kept() if entry.row.speaker in held_out} == {"test", "validation"}
    assert [entry.split for entry in rows.entries] == [entry.split for entry in plain.entries]


def test_espeak_speakers_are_not_held_out():
    splits = SPLITS.model_copy(update={"test_speakers_share": 0.99})
    rows = Rows(splits)
    for number in range(2):
        rows.add(WORDS[number], "m2", source="espeak", split="train")
    assert is_held_out("espeak-m2", splits) and rows.judge() == {}


def test_growth_moves_no_row_between_splits():
    small, large = Rows(), Rows()
    for text in sentences(60):
        small.add(text), small.add(text, "b")
    for text in sentences(144):
        large.add(text, "c"), large.add(text), large.add(text, "b")
    before = {(entry.row.speaker, entry.row.text): entry.split for entry in small.kept()}
    after = {(entry.row.speaker, entry.row.text): entry.split for entry in large.kept()}
    assert len(before) == 120 and before.items() <= after.items()
