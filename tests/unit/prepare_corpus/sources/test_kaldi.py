import pytest

from stages.core.errors import ParamsError, UserError
from tests.corpora import write_lines

TABLES = {
    "wav.scp": ["a wav/a.wav", "b wav/b.wav", "c wav/c.wav"], "text": ["a ሰላም ነው", "b ደህና ነው", "c መልካም ነው"],
    "utt2spk": ["a one", "b one", "c two"],
}
SEGMENTED = {"wav.scp": ["r1 r1.wav"], "segments": ["a r1 0.0 1.5", "b r1 1.5 3", "c r1 3.0 -1"]}


def lay_out(folder, **changed):
    for name, lines in {**TABLES, **changed}.items():
        write_lines(folder / name, lines)


def ids(rows):
    return [row.id for row in rows]


def test_order_and_white_space_of_the_tables_do_not_matter(folder, read):
    lay_out(folder, text=["c\tመልካም  ነው", "  a ሰላም ነው ", "b ደህና ነው"], utt2spk=["b one", "c two", "a one"])
    good, rejected = read("kaldi")
    assert [(row.id, row.text, row.speaker) for row in good] == [
        ("a", "ሰላም ነው", "one"), ("b", "ደህና ነው", "one"), ("c", "መልካም  ነው", "two")]
    assert rejected == [] and good[0].where == "wav.scp:1"


@pytest.mark.parametrize("command", ["touch ran |", "touch ran|", "| touch ran", "$(touch ran) |"])
def test_a_shell_pipe_is_never_executed(folder, read, command):
    lay_out(folder, **{"wav.scp": ["a wav/a.wav", f"b {command}", "c wav/c.wav"]})
    good, rejected = read("kaldi")
    assert ids(good) == ["a", "c"]
    assert rejected == [("wav.scp:2", f"shell pipe: never executed, write its audio to a file: {command}")]
    assert not list(folder.parents[2].rglob("ran"))


def test_segments_cut_a_recording_and_minus_one_is_its_end(folder, read):
    lay_out(folder, **SEGMENTED)
    good, rejected = read("kaldi")
    assert rejected == []
    assert [(row.speech.path.name, row.speech.start_seconds, row.speech.end_seconds) for row in good] == [
        ("r1.wav", 0.0, 1.5), ("r1.wav", 1.5, 3.0), ("r1.wav", 3.0, None)]


@pytest.mark.parametrize("segment, reason", [
    ("b r1 2.0 1.0", "end before start"), ("b r1 -2 1.0", "end before start"), ("b r1 0 nan", "end before start"),
    ("b r1 0 inf", "end before start"), ("b r1 one two", "no segment"), ("b r1 0", "no segment"),
    ("b", "no line in wav.scp"), ("b r2 0 1", "no line in wav.scp"),
])
def test_a_bad_segment_is_named(folder, read, segment, reason):
    lay_out(folder, **{**SEGMENTED, "segments": ["a r1 0.0 1.5", segment, "c r1 3.0 4.0"]})
    good, [(where, told)] = read("kaldi")
    assert ids(good) == ["a", "c"] and where == "segments:2" and told.split(":")[0] == reason


def test_each_segment_of_a_bad_recording_is_named(folder, read):
    lay_out(folder, **{**SEGMENTED, "wav.scp": ["r1 cat r1.wav |", "r2 r2.wav"]})
    good, rejected = read("kaldi")
    assert good == [] and [where for where, _ in rejected] == ["wav.scp:1"] * 3


@pytest.mark.parametrize("changed, place, reason", [
    ({"text": ["a ሰላም", "c መልካም"]}, "wav.scp:2", "no line in text: b"),
    ({"utt2spk": ["a one", "c two"]}, "wav.scp:2", "no line in utt2spk: b"),
    ({"wav.scp": ["a a.wav", "c c.wav"]}, "text:2", "no line in wav.scp: b"),
    ({"text": ["a ሰላም", "b", "c መልካም"]}, "wav.scp:2", "no text"),
    ({"utt2spk": ["a one", "b", "c two"]}, "wav.scp:2", "no speaker"),
    ({"wav.scp": ["a a.wav", "b", "c c.wav"]}, "wav.scp:2", "no audio path"),
    ({"wav.scp": ["a a.wav", "b ../b.wav", "c c.wav"]}, "wav.scp:2", "path out of the corpus: ../b.wav"),
    ({"wav.scp": ["a a.wav", "b /b.wav", "c c.wav"]}, "wav.scp:2",
     "absolute path without allow_absolute_paths: /b.wav"),
])
def test_an_utterance_that_a_table_lacks_is_named_once(folder, read, changed, place, reason):
    lay_out(folder, **changed)
    good, rejected = read("kaldi")
    assert ids(good) == ["a", "c"] and rejected == [(place, reason)]


@pytest.mark.parametrize("table", ["wav.scp", "text", "utt2spk"])
def test_an_id_that_stands_twice_keeps_its_first_line(folder, read, table):
    lay_out(folder, **{table: [*TABLES[table], "b other"]})
    good, rejected = read("kaldi")
    assert ids(good) == ["a", "b", "c"] and rejected == [(f"{table}:4", f"id twice: b stands in {table} before")]


@pytest.mark.parametrize("table", ["wav.scp", "text", "utt2spk"])
def test_a_line_that_is_no_utf_8_costs_its_utterance_only_and_is_named_once(folder, read, table):
    lay_out(folder)
    lines = (folder / table).read_bytes().splitlines()
    (folder / table).write_bytes(b"\r\n".join([lines[0], b"b \xff" + lines[1][2:], lines[2]]))
    good, rejected = read("kaldi")
    assert ids(good) == ["a", "c"] and rejected == [(f"{table}:2", "not UTF-8: byte 3 of the line")]


def test_a_line_whose_very_id_is_unreadable_is_named_beside_the_utterance_that_misses_it(folder, read):
    lay_out(folder)
    (folder / "utt2spk").write_bytes(b"a one\n\xff one\nc two\n")
    good, rejected = read("kaldi")
    assert ids(good) == ["a", "c"]
    assert rejected == [("wav.scp:2", "no line in utt2spk: b"), ("utt2spk:2", "not UTF-8: byte 1 of the line")]


def test_missing_tables_are_told_together(folder, read):
    with pytest.raises(UserError) as error:
        read("kaldi")
    told = [line.split(":")[0].rsplit("/", 1)[1] for line in str(error.value).splitlines()]
    assert told == ["wav.scp", "text", "utt2spk"]


def test_a_speaker_pattern_stands_in_for_utt2spk(folder, read):
    """As in ALFFA's Amharic: utt2spk maps each utterance to itself, and the id tells speaker and sentence."""
    names = ["tr_10000_tr097082", "tr_721_tr08021", "tr_10001_tr097083"]
    write_lines(folder / "wav.scp", [f"{name}\twav/{name}.wav" for name in names])
    write_lines(folder / "text", [f"{name} ሰላም" for name in names])
    good, rejected = read("kaldi", speaker_pattern=r"_tr(\d+)\d{3}$")
    assert [row.speaker for row in good] == ["097", "08", "097"] and rejected == []
    good, rejected = read("kaldi", speaker_pattern=r"_tr(\d\d)\d{3}$")
    assert ids(good) == ["tr_721_tr08021"] and len(rejected) == 2
    assert rejected[0][1].startswith("no speaker: speaker_pattern")


@pytest.mark.parametrize("pattern", ["_tr(", "_tr", "(a)(b)"])
def test_a_wrong_speaker_pattern_is_refused(folder, read, pattern):
    with pytest.raises(ParamsError, match="speaker_pattern: must "):
        read("kaldi", speaker_pattern=pattern)
