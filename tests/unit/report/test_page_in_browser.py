"""The page in a real browser: Debian's chromium and chromium-driver; skipped where they are not installed."""

import math
import time
from pathlib import Path

import pytest

from stages.core.params.strict import load_section, read_params
from stages.report.__main__ import write_report
from stages.report.config import Config
from stages.report.gather import gather_findings
from tests.browser import OVERFLOW, complaints, open_browser, requested_addresses, set_width

DURATIONS = "return [...document.querySelectorAll('audio')].map(audio => audio.duration)"
UNLABELLED = "return [...document.querySelectorAll('audio:not([aria-label]), img:not([alt])')].length"
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
    assert len(durations) == 15
    assert all(duration and math.isfinite(duration) for duration in durations), durations
    assert browser.title == "Training report: lora → full → polish"
    assert browser.execute_script(UNLABELLED) == 0
    assert browser.execute_script(BROKEN) == 0
    assert complaints(browser) == []
    requested = requested_addresses(browser)
    assert page in requested
    assert [url for url in requested if url != page and not url.startswith("data:")] == []


@pytest.mark.parametrize("width", [400, 1280])
def test_page_never_scrolls_sideways(browser, page, width):
    set_width(browser, width)
    browser.get(page)
    assert browser.execute_script(OVERFLOW) <= 0
