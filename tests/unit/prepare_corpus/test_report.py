import csv
import json
import tracemalloc

import pytest

from stages.prepare_corpus.report import Histogram, kind_of, write_report


def row(number, **changed):
    return {
        "id": f"u{number}", "text": "ሰላም ነው።", "text_normalised": "ሰላም ነው.", "role": "target", "source": "mine",
        "speaker": f"mine-s{number % 3}", "split": "train", "duration_seconds": 1.5, **changed,
    }


def write_lists(folder, rows, rejected):
    for name, lines in (("manifest", rows), ("quarantine", rejected)):
        with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_plot(folder, name):
    with open(folder / "plots" / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def corpus(tmp_path):
    rows = [row(number) for number in range(6)]
    rows += [row(6, source="other", duration_seconds=3.0, split="test", text="a\u2028b"),
             row(7, role="base", duration_seconds=90.0)]
    rejected = [{"source": "mine", "where": "a.tsv:3", "text": "x", "reason": f"too short: 0.{n} s < 0.5"}
                for n in (1, 2)]
    rejected.append({"source": "third", "where": "b.csv:9", "text": "y", "reason": "missing audio: a|b`\n.wav"})
    write_lists(tmp_path, rows, rejected)
    write_report(tmp_path)
    return tmp_path


def test_plots_hold_counts_and_hours_in_order(corpus):
    durations = read_plot(corpus, "durations")
    assert durations[:4] == [["seconds", "utterances"], ["1 to 2", "6"], ["2 to 3", "0"], ["3 to 4", "1"]]
    assert durations[-1] == ["30 and more", "1"] and len(durations) == 31
    assert read_plot(corpus, "characters_per_second")[-1] == ["4 to 6", "6"]
    assert read_plot(corpus, "sources") == [["source", "hours"], ["mine", "0.0275"], ["other", "0.0008"]]
    assert read_plot(corpus, "speakers")[1] == ["mine-s1", "0.0258"]
    assert read_plot(corpus, "rejects") == [["reason", "rows"], ["too short", "2"], ["missing audio", "1"]]


def test_the_page_names_every_source_split_and_reason(corpus):
    page = (corpus / "report.md").read_text(encoding="utf-8")
    assert "8 utterances, 0.03 h, 3 speakers; 3 rows are left out" in page
    assert "| mine | 7 | 0.028 | 2 |" in page and "| third | 0 | 0.000 | 1 |" in page
    assert "| train (base's languages) | 1 | 0.025 |" in page and "| test | 1 | 0.001 |" in page
    assert f"\n1 to 2               6  {'█' * 40}\n" in page
    assert "| too short | too short: 0.1 s < 0.5; a.tsv:3 |" in page
    assert "| missing audio | missing audio: a/b' .wav; b.csv:9 |" in page


def test_an_empty_corpus_has_a_page(tmp_path):
    write_lists(tmp_path, [], [])
    write_report(tmp_path)
    assert "0 utterances" in (tmp_path / "report.md").read_text()
    assert read_plot(tmp_path, "rejects") == [["reason", "rows"]]


def test_speakers_beyond_the_first_stand_together(tmp_path):
    rows = [row(n, speaker=f"s{n:02d}", duration_seconds=3600.0 if n else 7200.0) for n in range(25)]
    write_lists(tmp_path, rows, [])
    write_report(tmp_path)
    speakers = read_plot(tmp_path, "speakers")
    assert len(speakers) == 22 and speakers[1] == ["s00", "2.0"] and speakers[-1] == ["5 others", "5.0"]


def test_a_reason_that_names_each_row_cannot_fill_the_report(tmp_path):
    write_lists(tmp_path, [row(0)], [{"source": "mine", "text": "", "reason": f"strange {n}"} for n in range(1000)])
    write_report(tmp_path)
    rejects = read_plot(tmp_path, "rejects")
    assert len(rejects) == 52 and rejects[1] == ["others", "950"]


def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for rows in (100, 5000):
        write_lists(tmp_path, (row(number) for number in range(rows)), [])
        tracemalloc.start()
        write_report(tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


def test_bins_and_kinds():
    histogram = Histogram(0.5, 4)
    for value in (0.0, 0.49, 0.5, 1.5, 99.0):
        histogram.add(value)
    assert histogram.rows() == [("0 to 0.5", 2), ("0.5 to 1", 1), ("1 to 1.5", 0), ("1.5 and more", 2)]
    assert kind_of("outside the output alphabet: U+041F: x") == "outside the output alphabet"
    assert kind_of("nothing to speak") == "nothing to speak"
