from types import SimpleNamespace

from stages.evaluate_speech.listen import choose_rows, spread


def features(texts, speakers):
    ids = [f"am-{speaker}-{text:05d}" for speaker in range(speakers) for text in range(texts)]

    class Features(list):
        utterances = [SimpleNamespace(id=name) for name in ids]

    return Features(ids)


def test_chosen_rows_cover_texts_and_speakers():
    chosen = features(12, 5)
    names = [chosen[index] for index in choose_rows(chosen, 20)]
    assert len(set(names)) == 20
    assert len({name.split("-")[1] for name in names}) == 5 and len({name.split("-")[2] for name in names}) >= 10
    shown = spread(names, 5)
    assert len({name.split("-")[1] for name in shown}) >= 3


def test_a_small_set_is_taken_whole():
    assert sorted(choose_rows(features(2, 2), 50)) == [0, 1, 2, 3]
    assert spread([1, 2, 3], 3) == [1, 2, 3]
