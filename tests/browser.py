"""Chromium without a window, what it complained of and what it asked for; skipped where it is not installed."""

import json
import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
FAINT = """
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = (colour) => channels(colour).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
const ground = (one) => {
    const colour = one ? getComputedStyle(one).backgroundColor : 'rgb(255, 255, 255)';
    return (channels(colour)[3] ?? 1) > 0.99 ? colour : ground(one.parentElement);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), faint = [];
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const one = node.parentElement, style = getComputedStyle(one), size = parseFloat(style.fontSize);
    if (!node.data.trim() || !one.checkVisibility()) continue;
    const [dark, bright] = [luminance(style.color), luminance(ground(one))].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05), isLarge = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
}
return faint;
"""


@contextmanager
def open_browser(profile: Path) -> Iterator[Any]:
    """A browser with a profile of its own."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e .[dev]")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def set_width(browser: Any, width: int) -> None:
    """Show pages so many pixels wide, as a phone does below 500."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def set_theme(browser: Any, theme: Literal["light", "dark"]) -> None:
    """Show pages as to someone who prefers light or dark."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": theme}]})


def keep_picture(browser: Any, request: pytest.FixtureRequest, name: str) -> Path:
    """Keep a picture of the whole page in pytest's own folder: .pytest_cache/d/pictures/<name>.png."""
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path = Path(request.config.cache.mkdir("pictures")) / f"{name}.png"
    path.write_bytes(b64decode(taken["data"]))
    return path


def faint_texts(browser: Any) -> list[str]:
    """Every shown text whose contrast is below WCAG 2.2's level AA (1.4.3), with its ratio."""
    return list(browser.execute_script(FAINT))


def complaints(browser: Any) -> list[dict[str, Any]]:
    """What the console told since the last call, information aside."""
    return [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"]


def requested_addresses(browser: Any) -> list[str]:
    """Every address that was asked for since the last call, those of the browser's own start page aside."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [message["params"]["request"]["url"] for message in messages
            if message["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("chrome:")]
