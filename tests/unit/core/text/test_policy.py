"""Readings of the standard policy: the public cases, and what the policy decides beyond them."""

import csv
from pathlib import Path

import pytest

from stages.core.text.config import standard_config
from stages.core.text.normalise import Normaliser, TextError

ROOT = Path(__file__).parents[4]
with (ROOT / "tests/fixtures/amharic_cases.tsv").open(encoding="utf-8", newline="") as file:
    PUBLIC = [(row["input"], row["expected"]) for row in csv.DictReader(file, delimiter="\t")]

READINGS = {
    "homophones": [
        ("ሃ ሐ ሓ ኀ ኃ ኻ", "ሀ ሀ ሀ ሀ ሀ ሀ"),
        ("ሑ ኁ ኹ ሖ ኆ ኾ", "ሁ ሁ ሁ ሆ ሆ ሆ"),
        ("ኸረ", "ኸረ"),
        ("ሠሡሢሣሤሥሦ", "ሰሱሲሳሴስሶ"),
        ("ኣ ዐ ዓ ዑ ዒ ዔ ዕ ዖ", "አ አ አ ኡ ኢ ኤ እ ኦ"),
        ("ፀፁፂፃፄፅፆ", "ጸጹጺጻጼጽጾ"),
        ("ቋ ጓ ኳ ሏ ሟ ቷ ኋላ", "ቋ ጓ ኳ ሏ ሟ ቷ ኋላ"),
    ],
    "unicode": [
        ("ሰላ\u200bም\u202e \ufeffነው", "ሰላም ነው"),
        ("ገ\u135fና", "ገና"),
        ("ሰላም\u00a0\t ነው", "ሰላም ነው"),
        ("Café Zoë Ｎ", "Cafe Zoe N"),
        ("٢٥ ５", "ሀያ አምስት አምስት"),
    ],
    "punctuation": [
        ("ሀ፣ ለ፤ መ፥ ሰ፦ ረ፨", "ሀ, ለ, መ, ሰ, ረ."),
        ("ሰላም፡፡ ነህ::", "ሰላም. ነህ."),
        ("ምን??? እሺ... ነው!!", "ምን? እሺ. ነው!"),
        ("ነው ። ሰላም", "ነው. ሰላም"),
        ("ነው።ሰላም", "ነው. ሰላም"),
        ("«ሰላም» (ነህ) “ወይ”", "ሰላም, ነህ, ወይ"),
        ("ቤት-ቤት don't - ok", "ቤት-ቤት don't, ok"),
        ("ነው?!", "ነው?"),
    ],
    "cardinals": [
        ("0", "ዜሮ"),
        ("11", "አስራ አንድ"),
        ("20", "ሀያ"),
        ("100", "አንድ መቶ"),
        ("1000", "አንድ ሺህ"),
        ("1983", "አንድ ሺህ ዘጠኝ መቶ ሰማንያ ሶስት"),
        ("1 234 567", "አንድ ሚሊዮን ሁለት መቶ ሰላሳ አራት ሺህ አምስት መቶ ስልሳ ሰባት"),
        ("2,000,000,000", "ሁለት ቢሊዮን"),
        ("1,000,000,000,000", "አንድ ትሪሊዮን"),
        ("1,2,3", "አንድ, ሁለት, ሶስት"),
        ("1፣234", "አንድ, ሁለት መቶ ሰላሳ አራት"),
    ],
    "ordinals": [
        ("2ኛ 3ኛ 9ኛ 10ኛ", "ሁለተኛ ሶስተኛ ዘጠነኛ አስረኛ"),
        ("11ኛ 20ኛ 100ኛ 1,000ኛ", "አስራ አንደኛ ሀያኛ አንድ መቶኛ አንድ ሺህኛ"),
        ("1 ኛ 2-ኛ 2ተኛ", "አንደኛ ሁለተኛ ሁለተኛ"),
        ("3ኛደረጃ 3ኛዋ", "ሶስተኛ ደረጃ ሶስተኛዋ"),
        ("1-3ኛ", "ከአንደኛ እስከ ሶስተኛ"),
    ],
    "affixes": [
        ("ከ5 የ3 ለ10", "ከአምስት የሶስት ለአስር"),
        ("እስከ20 እስከ 20", "እስከሀያ እስከ ሀያ"),
        ("5ቱ 9ኙ 10ሩ 20ው 5ን", "አምስቱ ዘጠኙ አስሩ ሀያው አምስትን"),
        ("25ብር ክፍል5", "ሀያ አምስት ብር ክፍል አምስት"),
    ],
    "years": [
        ("1900 ዓ.ም.", "አስራ ዘጠኝ መቶ አመተ ምህረት"),
        ("1983ዓ.ም", "አስራ ዘጠኝ መቶ ሰማንያ ሶስት አመተ ምህረት"),
        ("በ1991 እ.ኤ.አ.", "በአስራ ዘጠኝ መቶ ዘጠና አንድ እንደ አውሮፓውያን አቆጣጠር"),
        ("እ.ኤ.አ. በ1991", "እንደ አውሮፓውያን አቆጣጠር በአስራ ዘጠኝ መቶ ዘጠና አንድ"),
        ("ከ1966 እስከ 1983 ዓ.ም.", "ከአስራ ዘጠኝ መቶ ስልሳ ስድስት እስከ አስራ ዘጠኝ መቶ ሰማንያ ሶስት አመተ ምህረት"),
        ("ጥር 12 ቀን 1983", "ጥር አስራ ሁለት ቀን አስራ ዘጠኝ መቶ ሰማንያ ሶስት"),
        ("በ1990ዎቹ", "በአስራ ዘጠኝ መቶ ዘጠናዎቹ"),
        ("1000 ዓ.ም.", "አንድ ሺህ አመተ ምህረት"),
        ("1983 ሰዎች", "አንድ ሺህ ዘጠኝ መቶ ሰማንያ ሶስት ሰዎች"),
    ],
    "dates": [
        ("12/05/1983 ዓ.ም.", "ጥር አስራ ሁለት ቀን አስራ ዘጠኝ መቶ ሰማንያ ሶስት አመተ ምህረት"),
        ("2016-05-12", "ጥር አስራ ሁለት ቀን ሁለት ሺህ አስራ ስድስት"),
        ("በ06/13/2015", "በጳጉሜን ስድስት ቀን ሁለት ሺህ አስራ አምስት"),
        ("12/05/2016 እ.ኤ.አ.", "ሜይ አስራ ሁለት ቀን ሁለት ሺህ አስራ ስድስት እንደ አውሮፓውያን አቆጣጠር"),
        ("31/12/2020", "ዲሴምበር ሰላሳ አንድ ቀን ሁለት ሺህ ሀያ"),
        ("መስከረም 12/1983", "መስከረም አስራ ሁለት ቀን አስራ ዘጠኝ መቶ ሰማንያ ሶስት"),
        ("99/99/2016", "ዘጠና ዘጠኝ ዘጠና ዘጠኝ ሁለት ሺህ አስራ ስድስት"),
    ],
    "clock": [
        ("3:00 ሰዓት", "ሶስት ሰአት"),
        ("3፡30 ላይ", "ሶስት ሰአት ከሰላሳ ደቂቃ ላይ"),
        ("3:30-4:00 ሰዓት", "ከሶስት ሰአት ከሰላሳ ደቂቃ እስከ አራት ሰአት"),
        ("3:30:15", "ሶስት ሰአት ከሰላሳ ደቂቃ ከአስራ አምስት ሰከንድ"),
        ("3:2", "ሶስት ለሁለት"),
    ],
    "decimals, percent, money": [
        ("-5 0.5 1.2.3", "ነጋቲቭ አምስት ዜሮ ነጥብ አምስት አንድ ነጥብ ሁለት ነጥብ ሶስት"),
        ("5-10%", "ከአምስት እስከ አስር በመቶ"),
        ("$1.50 €5 20 ETB", "አንድ ዶላር ከሀምሳ ሳንቲም አምስት ዩሮ ሀያ ብር"),
        ("$2.5 ሚሊዮን", "ሁለት ነጥብ አምስት ሚሊዮን ዶላር"),
        ("0.50 ብር", "ሀምሳ ሳንቲም"),
        ("12.00 ብር", "አስራ ሁለት ብር"),
        ("1000000 ብር", "አንድ ሚሊዮን ብር"),
        ("1/2 3/4 2½", "ግማሽ ሶስት አራተኛ ሁለት ከግማሽ"),
        ("3-2", "ሶስት ለሁለት"),
        ("5 km 20°C", "አምስት ኪሎ ሜትር ሀያ ዲግሪ ሴልሺየስ"),
    ],
    "digit strings": [
        ("007", "ዜሮ ዜሮ ሰባት"),
        ("1234567", "አንድ ሁለት ሶስት አራት አምስት ስድስት ሰባት"),
        ("0911-22-33-44", "ዜሮ ዘጠኝ አንድ አንድ ሁለት ሁለት ሶስት ሶስት አራት አራት"),
        ("+251911", "ፕላስ ሁለት አምስት አንድ ዘጠኝ አንድ አንድ"),
    ],
    "geez numerals": [
        ("፲፱፻፹፫ ዓ.ም.", "አስራ ዘጠኝ መቶ ሰማንያ ሶስት አመተ ምህረት"),
        ("፼ ፻ ፩ኛ", "አስር ሺህ አንድ መቶ አንደኛ"),
        ("፩፪፫", "አንድ ሁለት ሶስት"),
        ("በ፳፻፲፮", "በሁለት ሺህ አስራ ስድስት"),
    ],
    "abbreviations": [
        ("ፕ/ር ወ/ሮ ወ/ሪት ኮ/ል ጄ/ል", "ፕሮፌሰር ወይዘሮ ወይዘሪት ኮሎኔል ጄኔራል"),
        ("በት/ቤቱ የመ/ቤቶች ፍ/ቤት ም/ቤት", "በትምህርት ቤቱ የመስሪያ ቤቶች ፍርድ ቤት ምክር ቤት"),
        ("ጠ/ሚ ጠ/ሚኒስትሩ", "ጠቅላይ ሚኒስትር ጠቅላይ ሚኒስትሩ"),
        ("5 ኪ.ሜ ዶ/ር. አበበ", "አምስት ኪሎ ሜትር ዶክተር አበበ"),
        ("አ.አ. ዓ.ዓ. ዓ. ም.", "አዲስ አበባ አመተ አለም አመተ ምህረት"),
        ("2016 ዓ.ም።", "ሁለት ሺህ አስራ ስድስት አመተ ምህረት."),
        ("ኤ.ቢ.ሲ. ዜና", "ኤ ቢ ሲ ዜና"),
        ("ት/ቤ/ ኮ/ል", "ትምህርት ቤ ኮሎኔል"),
    ],
    "latin and symbols": [
        ("MP3 COVID-19 4G", "MP ሶስት COVID አስራ ዘጠኝ አራት G"),
        ("A & B", "A እና B"),
        ("2+3", "ሁለት ሲደመር ሶስት"),
        ("#1 #ኢትዮጵያ", "ቁጥር አንድ ኢትዮጵያ"),
        ("a@example.com", "a አት example ዶት com"),
        ("እና/ወይም ሰላም😀", "እና ወይም ሰላም"),
    ],
}


@pytest.mark.parametrize(("text", "expected"), PUBLIC)
def test_reads_public_cases(normaliser, text, expected):
    assert normaliser.normalise(text) == expected


@pytest.mark.parametrize(("text", "expected"), [case for cases in READINGS.values() for case in cases])
def test_reads_policy_beyond_public_cases(normaliser, text, expected):
    assert normaliser.normalise(text) == expected


def test_normalises_every_line_of_the_corpus_text(normaliser):
    for line in (ROOT / "data/text/amh.txt").read_text(encoding="utf-8").splitlines():
        assert "፡" not in normaliser.normalise(line)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing to speak"),
        ("፡ ። ...", "nothing to speak"),
        ("Привет", "CYRILLIC CAPITAL LETTER PE"),
        ("ሰላም 你好", "CJK UNIFIED IDEOGRAPH"),
        ("ሰላም\x00", "U+0000"),
        ("ሰላም \ud800", "U+D800"),
        ("ሰላም \u0378", "U+0378"),
        ("ⶀ", "ETHIOPIC SYLLABLE LOA"),
        ("አ" * 10_001, "characters_max"),
    ],
)
def test_refuses_what_it_cannot_read_and_says_why(normaliser, text, reason):
    with pytest.raises(TextError, match=reason.replace("+", r"\+")) as error:
        normaliser.normalise(text)
    assert "\n" not in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize("text", ["7.3:30-8", "1,2,3-4:5", "0-0-0/0.0:0", "٣:٣", "9" * 5000, "፼" * 50, "-.5%", "+0 ኛ"])
def test_reads_odd_numbers_without_a_digit_left(normaliser, text):
    assert not any(character.isdigit() for character in normaliser.normalise(text))


@pytest.mark.parametrize(
    ("setting", "value", "text", "expected"),
    [
        ("fold_homophones", False, "ሥራ ሐገር", "ሥራ ሐገር"),
        ("years_by_hundreds", False, "1983 ዓ.ም.", "አንድ ሺህ ዘጠኝ መቶ ሰማንያ ሶስት አመተ ምህረት"),
        ("date_order", "month_day_year", "05/12/2016", "ጥር አስራ ሁለት ቀን ሁለት ሺህ አስራ ስድስት"),
        ("calendar", "gregorian", "12/05/2016", "ሜይ አስራ ሁለት ቀን ሁለት ሺህ አስራ ስድስት"),
        ("read_ranges", False, "5-10", "አምስት-አስር"),
        ("read_clock", False, "3:30", "ሶስት, ሰላሳ"),
        ("read_money", False, "$20", "ዶላር ሀያ"),
        ("read_dates", False, "12/05/2016", "አስራ ሁለት ዜሮ አምስት ሁለት ሺህ አስራ ስድስት"),
        ("digit_string_digits", 5, "12345", "አንድ ሁለት ሶስት አራት አምስት"),
        ("expand_abbreviations", False, "ዶ/ር", "ዶ ር"),
        ("other_letters", "keep", "ⶀ", "ⶀ"),
        ("fold_latin_accents", False, "Café", "Café"),
    ],
)
def test_each_setting_changes_its_reading_alone(setting, value, text, expected):
    changed = Normaliser(standard_config().model_copy(update={setting: value}))
    assert changed.normalise(text) == expected


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("clean_unicode", "ገ\u135fና"), ("expand_numbers", "5"), ("read_geez_numerals", "፭"),
        ("map_punctuation", "ሰላም።"), ("read_symbols", "A & B"),
    ],
)
def test_a_step_turned_off_refuses_what_it_would_have_read(setting, text):
    with pytest.raises(TextError):
        Normaliser(standard_config().model_copy(update={setting: False})).normalise(text)


def test_explains_each_rule_that_changed_the_text(normaliser):
    changes = normaliser.explain("ሥራ 5፡፡")
    assert [rule for rule, _, _ in changes] == ["homophones", "punctuation", "numbers", "tidy"]
    assert changes[0] == ("homophones", "ሥራ 5፡፡", "ስራ 5፡፡")
    assert all(after == before for (_, _, after), (_, before, _) in zip(changes, changes[1:], strict=False))
    assert changes[-1][2] == normaliser.normalise("ሥራ 5፡፡")
    assert normaliser.explain("ሰላም ነው.") == []
