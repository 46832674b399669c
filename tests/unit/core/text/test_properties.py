"""What holds for any text: total, idempotent, output alphabet, no digits, order kept."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.text.config import standard_config
from stages.core.text.normalise import Normaliser, TextError, apply
from stages.core.text.sentences import split_sentences, split_spans

NORMALISER = Normaliser(standard_config())
OUTPUT = re.compile("[ሀ-ፚA-Za-z .,?!'-]+")
LONG_SNIPPETS = "ዓ.ም. እ.ኤ.አ. ሰዓት ብር ኛ እስከ ዶ/ር 12/05/2016 3:30 ጥር ሚሊዮን ት/ቤ ይ :: ፡፡ é Ж 😀 ５ ٣"
SNIPPETS = (
    list("አበገዓምኛቱውየከትሥፀኃABmkg /.,:;፡።፣፧0123456789+-%$€°²½፩፲፻፼'’\"@=#&()\u0301\u200b\u135f")
    + LONG_SNIPPETS.split()
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
AMHARIC_LIKE = st.lists(st.sampled_from(SNIPPETS), max_size=25).map("".join)
FRAGMENTS = (
    "ሰላም ለዓለም", "በ2016 ዓ.ም. ተጀመረ", "21ኛው ክፍለ ዘመን", "12.50 ብር ነው", "ከ5% በላይ", "3:30 ሰዓት ላይ", "ዶ/ር አበበ", "WHO እንደገለጸው",
    "የት/ቤቱ ልጆች", "፳፻፲፮ ሆነ", "5-10 ሰዎች", "12/05/2016 ዓ.ም. ነበር", "ስልክ 0911223344 ነው", "A & B", "$20 ከፈለ",
)  # fmt: skip


def normalised_or_none(text: str) -> str | None:
    try:
        return NORMALISER.normalise(text)
    except TextError:
        return None


def check_output(text: str) -> None:
    result = normalised_or_none(text)
    if result is None:
        return
    assert OUTPUT.fullmatch(result)
    assert not re.search(r"\d", result)
    assert result == result.strip() and "  " not in result
    assert NORMALISER.normalise(result) == result
    rules = NORMALISER.rules + NORMALISER.number_rules + NORMALISER.final_rules
    assert apply(rules, result, None) == result, "a result that looks finished must be a fixed point of every rule"


@settings(max_examples=600, deadline=None)
@given(ANY_TEXT)
def test_any_unicode_text_gives_the_output_alphabet_or_a_reason(text):
    check_output(text)


@settings(max_examples=1500, deadline=None)
@given(AMHARIC_LIKE)
def test_amharic_like_text_gives_the_output_alphabet_or_a_reason(text):
    check_output(text)


@settings(max_examples=100, deadline=None)
@given(AMHARIC_LIKE, st.sampled_from(list(type(standard_config()).model_fields)))
def test_every_policy_is_total_and_idempotent(text, setting):
    config = standard_config()
    if isinstance(getattr(config, setting), bool):
        config = config.model_copy(update={setting: False})
    normaliser = Normaliser(config)
    try:
        result = normaliser.normalise(text)
    except TextError:
        return
    assert normaliser.normalise(result) == result


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=8))
def test_independent_spans_keep_their_order_and_reading(fragments):
    expected = ". ".join(map(NORMALISER.normalise, fragments))
    assert NORMALISER.normalise("። ".join(fragments)) == expected


@settings(max_examples=300, deadline=None)
@given(AMHARIC_LIKE | ANY_TEXT)
def test_explain_ends_in_the_normalised_text(text):
    result = normalised_or_none(text)
    if result is not None:
        changes = NORMALISER.explain(text)
        assert (changes[-1][2] if changes else text) == result


@settings(max_examples=300, deadline=None)
@given(AMHARIC_LIKE | ANY_TEXT)
def test_splitting_sentences_loses_no_letter(text):
    def speakable(value: str) -> list[str]:
        return re.findall(r"\w", value)

    sentences = split_sentences(text)
    assert speakable("".join(sentences)) == speakable(text)
    assert all(speakable(sentence) for sentence in sentences)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["ሰላም", "ነው.", "እና,", "ቤት", "ምን?", "don't", "a-b"]), max_size=40), st.integers(1, 12))
def test_spans_are_short_whole_and_in_order(words, words_max):
    spans = split_spans(" ".join(words), words_max)
    assert " ".join(spans) == " ".join(words)
    assert all(1 <= len(span.split()) <= words_max for span in spans)
