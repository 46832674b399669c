"""Clock times, and ratios written with the same colon."""

import re

from stages.core.text.letters import NOT_BEFORE_LETTER, affixes, any_of, join_suffix, spelled
from stages.core.text.numbers import NUMBER, phrase, read_cardinal, read_quantity

HOUR_WORD = rf" ?{spelled(phrase('hour').strip())}(?P<suffix>{any_of(list(affixes('suffix')))})?{NOT_BEFORE_LETTER}"
CLOCK = re.compile(
    r"(?<![0-9.,:/])(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?"
    rf"(?![0-9:]|[.,][0-9])(?P<word>{HOUR_WORD})?|\.(?P<dotted>[0-5][0-9]){HOUR_WORD.replace('suffix', 'end')})",
    re.ASCII,
)
RATIO = re.compile(rf"(?P<left>{NUMBER}) ?:(?P<right> ?{NUMBER})", re.ASCII)
HOUR_MAX = 24


def read_clock(text: str) -> str:
    """Times as hours, minutes, seconds; what is no time but has a colon as a ratio."""
    if ":" not in text and "." not in text:
        return text
    text = CLOCK.sub(say_time, text)
    return RATIO.sub(say_ratio, text) if ":" in text else text


def say_time(match: re.Match[str]) -> str:
    hour, minute = int(match.group("hour")), int(match.group("minute") or match.group("dotted"))
    if hour > HOUR_MAX:
        return match.group()
    words = f"{read_cardinal(hour)} {phrase('hour')}".rstrip()
    if minute:
        words += f" {phrase('minute_join')}{read_cardinal(minute)} {phrase('minute')}".rstrip()
    second = int(match.group("second") or 0)
    if second:
        words += f" {phrase('minute_join')}{read_cardinal(second)} {phrase('second')}".rstrip()
    return join_suffix(words, match.group("suffix") or match.group("end") or "")


def say_ratio(match: re.Match[str]) -> str:
    left, right = match.group("left"), match.group("right").strip()
    return f"{read_quantity(left)} {phrase('ratio')}{read_quantity(right)}"
