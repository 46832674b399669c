import re

from hypothesis import given
from hypothesis import strategies as st

from stages.prepare_corpus.corpus import audio_name

SAFE = re.compile(r"audio/home/[0-9a-f]{2}/[A-Za-z0-9._-]{1,120}\.flac")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_any_id_gives_a_plain_file_name(identifier):
    assert SAFE.fullmatch(audio_name("home", f"home-{identifier}"))


def test_ids_that_differ_in_what_no_file_name_can_hold_have_files_of_their_own():
    identifiers = ["home-a/b", "home-a_b", "home-a b", "home-a\\b", "home-ሀ", "home-ሁ", "home-" + "a" * 200,
                   "home-" + "a" * 201, "home-..", "home-a/../b"]
    names = {audio_name("home", identifier) for identifier in identifiers}
    assert len(names) == len(identifiers)


def test_a_plain_id_is_its_file_name():
    assert audio_name("amharic", "am-m2-00025").endswith("/am-m2-00025.flac")
