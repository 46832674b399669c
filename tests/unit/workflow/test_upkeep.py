"""The audit of the pins, and the table of their licences."""

import re
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest

from stages.core.errors import UserError
from workflow import audit, licences

ROOT = Path(__file__).parents[3]
PINS = {"sound": "1.0", "leaky": "2.0", "fine": "3.0"}


def test_the_audit_names_each_vulnerable_pin(capsys):
    asked = []

    def answer(question):
        asked.append(question)
        return {"results": [{}, {"vulns": [{"id": "GHSA-1"}, {"id": "PYSEC-2"}]}, {"vulns": []}]}

    assert audit.report(PINS, answer) == 1
    assert asked == [{"queries": [{"package": {"ecosystem": "PyPI", "name": name}, "version": version}
                                  for name, version in PINS.items()]}]
    assert capsys.readouterr().out.splitlines() == [
        "leaky==2.0: https://osv.dev/vulnerability/GHSA-1, https://osv.dev/vulnerability/PYSEC-2",
        "audit: 1 of 3 pins have known vulnerabilities"]
    assert audit.report(PINS, lambda question: {"results": [{}, {}, {}]}) == 0


def refuse(question):
    raise URLError("Name or service not known")


def break_off(question):
    raise IncompleteRead(b"{")


@pytest.mark.parametrize("ask", [
    refuse, break_off, lambda question: {"results": [{}]}, lambda question: {"error": "no"}, lambda question: None,
    lambda question: {"results": [1, 2, 3]}, lambda question: {"results": [{"vulns": [{}]}, {}, {}]}])
def test_an_audit_without_an_answer_says_that_nothing_is_known(capsys, ask):
    assert audit.report(PINS, ask) == 3
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("audit: not done: ") and "unknown" in said.err


def test_a_fault_of_the_audit_itself_is_no_missing_answer():
    with pytest.raises(KeyError, match="name"):
        audit.report(PINS, lambda question: question["name"])


def test_the_audit_asks_nobody_else(monkeypatch):
    seen = []
    monkeypatch.setattr(audit, "urlopen", lambda request, timeout: seen.append(request.full_url) or refuse(None))
    with pytest.raises(URLError):
        audit.ask_service({})
    assert seen == ["https://api.osv.dev/v1/querybatch"]


def test_the_table_of_licences_is_of_the_pins():
    page = (ROOT / licences.PAGE).read_text(encoding="utf-8")
    told = re.findall(r"^\| (\S+) \| (\d\S*) \|", page, re.MULTILINE)
    assert dict(told) == licences.pins(ROOT / licences.CONSTRAINTS), "run `make licences`"


def test_an_installed_package_speaks_for_itself_and_another_does_not():
    assert licences.licence_of("pytest") == "MIT"
    assert "GNU General Public License v3" in licences.licence_of("praat-parselmouth")
    assert licences.licence_of("no-such-package-here") == licences.ABSENT


def test_only_the_table_is_replaced():
    page = f"before\n{licences.BEGIN}\nold\n{licences.END}\nafter\n"
    assert licences.with_table(page, "new") == f"before\n{licences.BEGIN}\nnew\n{licences.END}\nafter\n"
    with pytest.raises(UserError, match="must hold the lines"):
        licences.with_table("no marks", "new")
