"""Texts and names of a corpus that hold HTML: every page shows them as text."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from stages.core.artifacts.markdown import as_text
from stages.core.params.strict import load_section, read_params
from stages.export_model.card import describe_corpus, render_card
from stages.prepare_corpus.report import write_report as write_corpus_report
from stages.report.__main__ import write_report
from stages.report.config import Config
from stages.report.gather import gather_findings
from tests.unit.export_model.test_card import FACTS, LINES
from tests.unit.report.conftest import PHASES, REPORT, lay_out_data, lay_out_origin

ROOT = Path(__file__).parents[2]
SCRIPT = "<script>alert('run')</script>"
ATTRIBUTE = "\"><img src=x onerror='alert(1)'>"
HOSTILE = f"ሰላም {SCRIPT} {ATTRIBUTE} </td></textarea></style>"


class Page(HTMLParser):
    """Tags of a page that came from the corpus, and the text that is shown."""

    def __init__(self, page):
        super().__init__()
        self.foreign, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes if name.startswith("on")]
        if tag in ("script", "iframe", "object", "embed") or names or dict(attributes).get("src") == "x":
            self.foreign.append((tag, attributes))

    def handle_data(self, data):
        self.text += data


def test_the_parser_sees_an_attack():
    assert len(Page(f"<p>{HOSTILE}</p>").foreign) == 2


def edit_lines(path, **changes):
    rows = [json.loads(line) | changes for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_report_shows_texts_and_names_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = {name: HOSTILE if isinstance(value, str) else value for name, value in REPORT.items()}
    params = {"phases": PHASES, "gate_phase": {}, "report": words,
              "tracking": {"uri": "none", "experiment": "schedule"}}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    lay_out_origin(tmp_path, params)
    lay_out_data(Path("data"))
    edit_lines(Path("data/corpus/manifest.jsonl"), text=HOSTILE, speaker=HOSTILE, language=HOSTILE)
    for name in ("samples", "worst"):
        for folder in Path("data/evaluation").iterdir():
            edit_lines(folder / f"samples/{name}.jsonl", text=HOSTILE, speaker=HOSTILE, heard=HOSTILE, expected=HOSTILE)
    Path("reports").mkdir()
    write_report(gather_findings(read_params()["phases"]), load_section(Config, "report"), Path("reports"))
    page = Page(Path("reports/index.html").read_text(encoding="utf-8"))
    assert page.foreign == [] and page.text.count(SCRIPT) > 3


def test_the_model_card_shows_names_as_text(tmp_path):
    (tmp_path / f"{ATTRIBUTE.replace('/', '')}.txt").touch()
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices/<script>alert(1).flac").touch()
    rows = [{**line, "language": HOSTILE, "speaker": HOSTILE} for line in LINES]
    facts = replace(FACTS, base=HOSTILE, corpus=describe_corpus(rows), licences=[f"LICENSE{ATTRIBUTE}"],
                    fallbacks=[HOSTILE], metrics={HOSTILE: (HOSTILE, HOSTILE)})
    page = Page(render_card(facts, tmp_path))
    assert page.foreign == [] and page.text.count(SCRIPT) > 3


def test_the_corpus_page_shows_names_and_reasons_as_text(tmp_path):
    row = {"id": "u", "text": HOSTILE, "text_normalised": "x", "role": "target", "source": SCRIPT, "speaker": SCRIPT,
           "split": SCRIPT, "duration_seconds": 1.5}
    reject = {"source": SCRIPT, "where": ATTRIBUTE, "text": HOSTILE, "reason": f"{SCRIPT}: {ATTRIBUTE}"}
    for name, line in (("manifest", row), ("quarantine", reject)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    write_corpus_report(tmp_path)
    prose = "".join((tmp_path / "report.md").read_text(encoding="utf-8").split("```")[::2])  # code is shown as it is
    page = Page(prose)
    assert page.foreign == [] and page.text.count(SCRIPT) > 3


LINKS = "![t](http://evil.example/p.png) [c](javascript:alert(1)) `x` | y\n\n# Hi\n<b>"


def prose_of(page):
    """A page of Markdown without what stands between marks of code."""
    return re.sub(r"(`+)(?s:.*?)\1", "", page)


def is_text_only(page):
    """Whether words of the corpus are nothing but text in Markdown."""
    prose = prose_of(page)
    return "](http" not in prose and "](java" not in prose and "<b>" not in prose and "\n# Hi" not in page


def test_words_for_markdown_stay_text_and_plain_ones_stay_as_they_are():
    assert is_text_only(f"| {as_text(LINKS)} | `{as_text(LINKS)}` |") and as_text(LINKS).count("evil.example") == 1
    assert not is_text_only(LINKS)
    assert as_text("ሰላም [a] (b) 0.1 < 0.5 & 'c'_d") == "ሰላም [a] (b) 0.1 < 0.5 & 'c'_d"
    assert not set(as_text(LINKS)) & set("`|\n")


def test_the_model_card_makes_no_link_of_what_it_is_told(tmp_path):
    (tmp_path / "voices").mkdir()
    for name in ("a`\n\n# Hi ![t](http:p.png)", "voices/b`\n\n# Hi ![t](http:p.png).flac"):
        (tmp_path / name).touch()
    rows = [{**line, "language": LINKS, "speaker": LINKS} for line in LINES]
    card = render_card(replace(FACTS, base=LINKS, corpus=describe_corpus(rows), licences=[LINKS]), tmp_path)
    assert is_text_only(card) and card.count("evil.example") == 4
    assert card.count("`") == render_card(FACTS, tmp_path).count("`")


def test_the_corpus_page_makes_no_link_of_what_it_is_told(tmp_path):
    row = {"id": "u", "text": LINKS, "text_normalised": "x", "role": "target", "source": LINKS, "speaker": LINKS,
           "split": LINKS, "duration_seconds": 1.5}
    reject = {"source": LINKS, "where": LINKS, "text": LINKS, "reason": f"dup: {LINKS}"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "quarantine.jsonl").write_text(json.dumps(reject) + "\n")
    write_corpus_report(tmp_path)
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert is_text_only(page) and page.count("evil.example") > 3
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} <= {3, 4, 5}


def dvc(folder, *words):
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def page_of_plots(folder, name):
    """What `dvc plots show` makes of a corpus whose speakers, sources and reasons bear a name."""
    corpus = folder / "data/corpus"
    corpus.mkdir(parents=True)
    row = {"id": "u", "text": name, "text_normalised": "x", "role": "target", "source": name, "speaker": name,
           "split": "train", "duration_seconds": 1.5}
    (corpus / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    (corpus / "quarantine.jsonl").write_text(json.dumps({"source": name, "where": name, "reason": name}) + "\n")
    write_corpus_report(corpus)
    plots = [plot for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] if "data/corpus" in str(plot)]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}))
    dvc(folder, "init", "-q", "--no-scm")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    dvc(folder, "plots", "show")
    return (folder / "dvc_plots/index.html").read_text(encoding="utf-8")


def test_the_page_of_dvc_plots_has_no_script_but_its_own(tmp_path):
    hostile, plain = (page_of_plots(tmp_path / name, text) for name, text in (
        ("hostile", f"</script>{SCRIPT}<!--<script>"), ("plain", "Abebe")))
    assert plain.count('"Abebe"') == 3 and hostile.count("alert('run')") == 3
    assert len(Page(plain).foreign) > 3 and Page(hostile).foreign == Page(plain).foreign
    assert hostile.count("<") == plain.count("<")


def test_every_table_that_dvc_plots_holds_checked_names():
    """Names of phases and strategies are plain words by the schema. Whoever adds a table must look at what it names."""
    plots = [plot for file in ("dvc.yaml", "compare/dvc.yaml")
             for plot in yaml.safe_load((ROOT / file).read_text())["plots"]]
    tables = {path for plot in plots for settings in plot.values() for path in settings["y"]}
    assert {path for path in tables if not path.startswith("data/corpus/plots/")} == {
        "reports/curves.csv", "reports/metrics.csv", "../data/comparison/strategies.csv"}


@pytest.mark.parametrize("dangerous", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                                       "new Function", "srcdoc", "DOMParser"])
def test_the_demo_page_never_makes_markup_of_what_it_is_told(dangerous):
    assert dangerous not in (ROOT / "demo/page/page.js").read_text(encoding="utf-8")


def test_the_demo_page_has_no_script_but_its_file():
    text = (ROOT / "demo/page/index.html").read_text(encoding="utf-8")
    assert text.count("<script") == text.count('<script src="page.js"') == 1 and Page(text).foreign[1:] == []
