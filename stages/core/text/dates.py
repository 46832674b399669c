"""Numeric dates, and years that are read by hundreds."""

import re

from stages.core.text.config import TextConfig
from stages.core.text.letters import LETTER, NOT_BEFORE_LETTER, affixes, any_of
from stages.core.text.numbers import phrase, read_by_hundreds, read_cardinal
from stages.core.text.tables import read_table

DATE = re.compile(r"(?<![0-9.,/:-])([0-9]{1,4})([/.-])([0-9]{1,2})\2([0-9]{2,4})(?![0-9]|[/.:-][0-9])", re.ASCII)
DAY_AND_YEAR = re.compile(r"(?<![0-9.,/:-])([0-9]{1,2})/([0-9]{4})(?![0-9]|[.,/:-][0-9])", re.ASCII)
YEAR = re.compile(r"(?<![0-9.,/:])1[1-9][0-9]{2}(?![0-9]|[.,:][0-9])", re.ASCII)
MONTH_COLUMNS = ("ethiopian", "gregorian", "others")
CONTEXT_CHARACTERS = 60
"""How far before a number its era or month is looked for."""

ETHIOPIAN_DAYS = {13: 6}
GREGORIAN_DAYS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


class DateReader:
    """Reads dates and years under one config; months and eras come from their tables."""

    def __init__(self, config: TextConfig):
        self.config = config
        months = read_table("months")
        self.months = {calendar: [row[calendar] for row in months] for calendar in ("ethiopian", "gregorian")}
        names = [name for row in months for column in MONTH_COLUMNS for name in row[column].split()]
        prefix = any_of(list(affixes("prefix"))) + "?"
        eras = read_table("eras")
        after = any_of([row["form"] for row in eras])
        before = any_of([row["form"] for row in eras if row["place"] == "both"])
        gregorian = any_of([row["form"] for row in eras if row["calendar"] == "gregorian"])
        month = rf"(?<![{LETTER}]){prefix}{any_of(names)}"
        self.month_before = re.compile(rf"{month} $")
        self.era_after = re.compile(rf"(?:/[0-9]{{2}})? ?\.?{after}", re.ASCII)
        self.year_before = re.compile(
            rf"(?:{before}\.?[ ,]+|{month} (?:[0-9]{{1,2}}(?: ?{phrase('day').strip()})?[ ,]+)?){prefix}$", re.ASCII
        )
        until = phrase("range_to").strip()
        self.year_until_era = re.compile(rf"(?: {until} ?|-)[0-9]{{4}} ?{after}", re.ASCII)
        plurals = [suffix for suffix in affixes("suffix") if suffix[0] == "ዎ"]
        self.decade = re.compile(any_of(plurals) + NOT_BEFORE_LETTER)
        self.gregorian_after = re.compile(rf" ?{gregorian}")
        self.gregorian_before = re.compile(rf"{gregorian}\.?[ ,]+{prefix}$")

    def read_dates(self, text: str) -> str:
        """12/05/2016 as month, day, year; an impossible date is left to the other rules."""
        return DAY_AND_YEAR.sub(self.replace_day_and_year, DATE.sub(self.replace_date, text))

    def read_years(self, text: str) -> str:
        """Years 1100 to 1999 by hundreds, where an era, a date or a decade's ending makes the number a year."""
        return YEAR.sub(self.replace_year, text)

    def replace_date(self, match: re.Match[str]) -> str:
        first, separator, second, third = match.groups()
        if len(first) > 2:
            year, month, day, plausible = first, int(second), int(third), len(first) == 4 and len(third) == 2
        else:
            year, month, day = third, int(second), int(first)
            plausible = len(third) == 4 or (len(third) == 2 and separator == "/")
            if self.config.date_order == "month_day_year":
                month, day = day, month
        calendar = self.calendar_of(match)
        for a, b in ((month, day), (day, month)):
            for choice in (calendar, "gregorian"):
                if plausible and is_day(b, a, choice):
                    return f"{self.months[choice][a - 1]} {read_cardinal(b)} {phrase('day')}{self.say_year(year)}"
        return match.group()

    def replace_day_and_year(self, match: re.Match[str]) -> str:
        """12/1983 after a month's name."""
        before = match.string[max(0, match.start() - CONTEXT_CHARACTERS) : match.start()]
        if not self.month_before.search(before):
            return match.group()
        return f"{read_cardinal(int(match.group(1)))} {phrase('day')}{self.say_year(match.group(2))}"

    def calendar_of(self, match: re.Match[str]) -> str:
        """The calendar of the era beside a date, else the config's."""
        before = match.string[max(0, match.start() - CONTEXT_CHARACTERS) : match.start()]
        if self.gregorian_after.match(match.string, match.end()) or self.gregorian_before.search(before):
            return "gregorian"
        ethiopian = self.era_after.match(match.string, match.end())
        return "ethiopian" if ethiopian else self.config.calendar

    def say_year(self, digits: str) -> str:
        year = int(digits)
        return read_by_hundreds(year) if self.config.years_by_hundreds and 1100 <= year < 2000 else read_cardinal(year)

    def replace_year(self, match: re.Match[str]) -> str:
        text, end = match.string, match.end()
        before = text[max(0, match.start() - CONTEXT_CHARACTERS) : match.start()]
        is_year = (
            self.era_after.match(text, end)
            or self.year_until_era.match(text, end)
            or self.decade.match(text, end)
            or self.year_before.search(before)
        )
        return read_by_hundreds(int(match.group())) if is_year else match.group()


def is_day(day: int, month: int, calendar: str) -> bool:
    """Whether a calendar has this day in this month in any year."""
    if calendar == "ethiopian":
        return 1 <= month <= 13 and 1 <= day <= ETHIOPIAN_DAYS.get(month, 30)
    return 1 <= month <= 12 and 1 <= day <= GREGORIAN_DAYS.get(month, 31)
