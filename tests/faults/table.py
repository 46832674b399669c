"""The table of faults: every test marked `faults("what was done", "what must hold")` is a part of one row.

`pytest -m faults --full` writes it to benchmarks/results/faults.json and into docs/reliability.md, and prints it. Only
a run that looked everywhere, and ended each such test that it found, takes the place of the whole table.
"""

import datetime
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- table of make faults -->", "<!-- end of table -->"
MARKER, SEEN, KILLS = "faults", "seen", "kills"
WORST_FIRST = ("failed", "skipped", "passed")
HELD = {"failed": "FAILED", "skipped": "skipped", "passed": "held"}


@dataclass
class Row:
    """One scenario: its tests' worst outcome, what they saw, and the seconds they took together."""

    scenario: str
    must_hold: str
    outcome: str = "passed"
    seen: list[str] = field(default_factory=list)
    tests: int = 0
    kills: int = 0
    seconds: float = 0.0
    date: str = field(default_factory=lambda: datetime.date.today().isoformat())

    def add(self, outcome: str, properties: Iterable[tuple[str, object]]) -> None:
        """Take in how one test ended."""
        self.outcome = min(self.outcome, outcome, key=WORST_FIRST.index)
        self.tests += 1
        for name, value in properties:
            if name == SEEN and str(value) not in self.seen:
                self.seen.append(str(value))
            elif name == KILLS:
                self.kills += int(str(value))

    def cells(self) -> tuple[str, ...]:
        """What a reader is shown."""
        plainly = f"as it must be, in {self.tests} test{'s' * (self.tests > 1)}" if self.outcome == "passed" else ""
        seen = "; ".join(self.seen) or plainly
        return self.scenario, self.must_hold, HELD[self.outcome], seen, f"{self.seconds:.0f}"


class Table:
    """Gathers the rows while pytest runs."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self._of_test: dict[str, list[Row]] = {}
        self._waiting: set[str] = set()

    def expect(self, test: str, texts: Iterable[tuple[str, str]]) -> None:
        """Know the rows that a test is part of."""
        self._of_test[test] = [self.rows.setdefault((one, other), Row(one, other)) for one, other in texts]
        if self._of_test[test]:
            self._waiting.add(test)

    def pytest_runtest_logreport(self, report) -> None:
        """Take in a phase of a test: its seconds, and its outcome once it is known."""
        if report.when == "teardown":
            self._waiting.discard(report.nodeid)
        for row in self._of_test.get(report.nodeid, []):
            row.seconds += report.duration
            if report.when == "call" or report.outcome != "passed":
                row.add(report.outcome, report.user_properties if report.when == "call" else ())

    def pytest_terminal_summary(self, terminalreporter, exitstatus, config) -> None:
        """Print the table, and keep it; a part of the tests replaces its own rows only."""
        rows = [row for row in self.rows.values() if row.tests]
        terminalreporter.section("faults")
        for scenario, must_hold, outcome, seen, seconds in (row.cells() for row in rows):
            terminalreporter.write_line(f"{outcome:8} {seconds:>4} s  {scenario} -> {must_hold}: {seen}")
        terminalreporter.write_line(f"{len(rows)} scenarios, {sum(row.kills for row in rows)} kills")
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not self._waiting
        whole = ended and list(config.args) == list(config.getini("testpaths"))
        if rows:
            write_results(rows if whole else merged(kept_rows(), rows))


def kept_rows() -> list[Row]:
    """The rows of the last table."""
    if not RESULTS.exists():
        return []
    return [Row(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]]


def merged(before: list[Row], rows: list[Row]) -> list[Row]:
    """The rows of before, with the new ones in their places or at the end."""
    new = {(row.scenario, row.must_hold): row for row in rows}
    return [new.pop((row.scenario, row.must_hold), row) for row in before] + list(new.values())


def write_results(rows: list[Row]) -> None:
    """Write the table as JSON, and into the page that users read."""
    for row in rows:
        row.seconds = round(row.seconds, 1)
    kills = sum(row.kills for row in rows)
    content = {"machine": f"{platform.system()}, {platform.machine()}", "kills": kills, "rows": [*map(asdict, rows)]}
    RESULTS.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    head = ["| what was done | what must hold | outcome | seen | seconds |", "|---|---|---|---|---|"]
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row.cells())} |" for row in rows]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    dates = sorted({row.date for row in rows})
    told = f"{' to '.join({dates[0]: 0, dates[-1]: 0})}, {len(rows)} scenarios, {kills} kills:"
    PAGE.write_text("\n".join([before + BEGIN, "", told, "", *head, *lines, "", END + rest.partition(END)[2]]),
                    encoding="utf-8")
