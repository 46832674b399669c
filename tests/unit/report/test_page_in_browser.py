"""The page in a real browser: Debian's chromium and chromium-driver; skipped where they are not installed."""

import math
import time
from pathlib import Path

import pytest

from stages.core.params.strict import load_section, read_params
from stages.report.__main__ import write_report
from stages.report.config import Config
from stages.report.gather import gather_findings
from tests.browser import (
    OVERFLOW,
    complaints,
    faint_texts,
    keep_picture,
    open_browser,
    requested_addresses,
    set_theme,
    set_width,
)

DURATIONS = "return [...document.querySelectorAll('audio')].map(audio => audio.duration)"
UNLABELLED = "return [...document.querySelectorAll('audio:not([aria-label]), img:not([alt])')].length"
UNFOLD = "for (const one of document.querySelectorAll('details')) one.open = true"
LOST = "return [...document.querySelectorAll('nav a')].filter((one) => !document.querySelector(one.hash)).length"
CUT_OFF = """return [...document.querySelectorAll('.figures')].filter(
    (one) => one.scrollWidth > one.parentElement.clientWidth).length"""
BROKEN = "return [...document.images].filter(image => !image.complete || !image.naturalWidth).length"


@pytest.fixture
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(project) -> str:
    """Address of a written report."""
    folder = Path("reports").absolute()
    folder.mkdir()
    write_report(gather_findings(read_params()["phases"]), load_section(Config, "report"), folder)
    return (folder / "index.html").as_uri()


def wait_for_audio(browser) -> list[float | None]:
    """Give the players' durations in seconds, as soon as all are known or after ten seconds."""
    end = time.monotonic() + 10
    while True:
        durations = browser.execute_script(DURATIONS)
        if all(durations) or time.monotonic() > end:
            return durations
        time.sleep(0.1)


def test_page_opens_whole_quiet_and_offline(browser, page):
    browser.get(page)
    durations = wait_for_audio(browser)
    assert len(durations) == 21
    assert all(duration and math.isfinite(duration) for duration in durations), durations
    assert browser.title == "Training report: lora → full → polish"
    assert browser.execute_script(UNLABELLED) == 0
    assert browser.execute_script(BROKEN) == 0
    assert complaints(browser) == []
    requested = requested_addresses(browser)
    assert page in requested
    assert [url for url in requested if url != page and not url.startswith("data:")] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_is_readable_on_a_phone_and_a_desk_by_day_and_by_night(browser, page, width, theme, request):
    set_width(browser, width)
    set_theme(browser, theme)
    browser.get(page)
    wait_for_audio(browser)
    assert keep_picture(browser, request, f"report-{width}-{theme}").stat().st_size > 50_000
    browser.execute_script(UNFOLD)
    assert browser.execute_script(OVERFLOW) <= 0
    assert browser.execute_script(CUT_OFF) == 0
    assert browser.execute_script(LOST) == 0
    assert faint_texts(browser) == []


def test_faint_text_is_found(browser, page):
    set_theme(browser, "light")
    browser.get(page)
    browser.execute_script("document.querySelector('h2').style.color = '#bbb'")
    assert [text.split(": ")[1] for text in faint_texts(browser)] == ["Phases side by side"]


def test_tables_are_tables_to_a_screen_reader_on_a_phone_too(browser, page):
    set_width(browser, 390)
    browser.get(page)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert roles.count("table") >= 4 and roles.count("columnheader") > 20
    assert roles.count("rowheader") > 15 and roles.count("cell") > 50
