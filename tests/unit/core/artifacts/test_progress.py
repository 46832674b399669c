from stages.core.artifacts.progress import Progress


def test_a_line_tells_count_rate_time_left_and_a_note(capsys):
    progress = Progress("utterances", 4, every_seconds=0.0)
    progress.started -= 2.0
    progress.skip(1)
    progress.advance(1, "0.10 h of audio")
    progress.advance(2)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("2/4 utterances  0.5/s  ETA 0:0") and first.endswith("  0.10 h of audio")
    assert last.startswith("4/4 utterances  1.5/s  ETA 0:00") and not last.endswith(" ")


def test_lines_are_rare_but_the_last_one_comes(capsys):
    progress = Progress("shards", 1000)
    for _ in range(1000):
        progress.advance()
    assert capsys.readouterr().out.splitlines()[-1].startswith("1000/1000 shards")
