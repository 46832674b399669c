"""The page in a real browser: Debian's chromium and chromium-driver; skipped where they are not installed."""

import json
import math
import shutil
import time
from pathlib import Path

import pytest

from stages.core.params.strict import load_section, read_params
from stages.report.__main__ import write_report
from stages.report.config import Config
from stages.report.gather import gather_findings

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")
DURATIONS = "return [...document.querySelectorAll('audio')].map(audio => audio.duration)"
UNLABELLED = "return [...document.querySelectorAll('audio:not([aria-label]), img:not([alt])')].length"
BROKEN = "return [...document.images].filter(image => !image.complete || !image.naturalWidth).length"
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e .[dev]")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


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


def requested_addresses(browser) -> list[str]:
    """Give every address that was asked for, those of the browser's own start page aside."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [message["params"]["request"]["url"] for message in messages
            if message["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("chrome:")]


def test_page_opens_whole_quiet_and_offline(browser, page):
    browser.get(page)
    durations = wait_for_audio(browser)
    assert len(durations) == 15
    assert all(duration and math.isfinite(duration) for duration in durations), durations
    assert browser.title == "Training report: lora → full → polish"
    assert browser.execute_script(UNLABELLED) == 0
    assert browser.execute_script(BROKEN) == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
    requested = requested_addresses(browser)
    assert page in requested
    assert [url for url in requested if url != page and not url.startswith("data:")] == []


@pytest.mark.parametrize("width", [400, 1280])
def test_page_never_scrolls_sideways(browser, page, width):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page)
    assert browser.execute_script(OVERFLOW) <= 0
