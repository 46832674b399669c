"""`make demo` as a user meets it: the real server, a real browser, weights that do speak."""

import math
import os
import re
import subprocess
import sys

import psutil
import pytest

from tests.browser import OVERFLOW, complaints, open_browser, requested_addresses, set_width
from tests.processes import threads_of, wait_for
from tests.served_export import VOICE, write_prompt
from tests.spoken_project import PHASE, make_spoken_project
from tests.tiny_project import ROOT

pytestmark = pytest.mark.slow

START_SECONDS = 120
DURATION = "return document.querySelector(arguments[0])?.duration"
RESULT = "#results article:first-child"
UNLABELLED = """return [...document.querySelectorAll('input, select, textarea, audio')].filter(
    (one) => !one.labels?.length && !one.ariaLabel).length"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_spoken_project(tmp_path_factory.mktemp("demo"), ROOT / "data/base")


@pytest.fixture(scope="module")
def server(project):
    """A started server and its address, which it prints."""
    process = subprocess.Popen([sys.executable, "-m", "demo", "--port", "0"], cwd=project, env=threads_of(1),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = process.stdout.readline()
        assert (found := re.match(r"http://127\.0\.0\.1:\d+", said)), said + process.stdout.read()
        yield process, found.group()
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(browser, server):
    """The page, opened anew and filled."""
    browser.get(f"{server[1]}/")
    wait_for(lambda: browser.execute_script("return document.getElementById('seed').value"))
    return browser


def enter(page, name, value):
    field = page.find_element("id", name)
    if field.tag_name == "textarea":
        field.clear()
    field.send_keys(value)


def press_and_wait(page):
    """Press the button; gives the seconds of audio that came, or what was told in its place."""
    page.find_element("id", "speak").click()
    wait_for(lambda: page.find_element("id", "speak").is_enabled())
    if error := page.find_element("id", "error").text:
        return error
    return wait_for(lambda: page.execute_script(DURATION, f"{RESULT} audio"), 10)


def test_typed_text_comes_back_as_audio_and_nothing_is_asked_of_elsewhere(page, server):
    enter(page, "text", "ማንም ሰው እኩል ነው። 25% ነው።")
    seconds = press_and_wait(page)
    assert 1 < seconds < 10 and math.isfinite(seconds)
    told = page.find_element("css selector", RESULT).text
    assert f"exported model, {VOICE}, seed 1" in told and "ማንም ሰው እኩል ነው. ሀያ አምስት በመቶ ነው." in told
    assert complaints(page) == []
    asked = [url for url in requested_addresses(page) if not url.startswith("data:")]
    assert f"{server[1]}/speech" in asked
    assert [url for url in asked if not url.startswith(f"{server[1]}/")] == []


def test_a_checkpoint_and_a_recording_of_ones_own_are_taken(page, tmp_path):
    write_prompt(tmp_path / "mine.flac")
    enter(page, "model", f"checkpoint: {PHASE}")
    enter(page, "recording", str(tmp_path / "mine.flac"))
    wait_for(lambda: not page.find_element("id", "voice").is_enabled())
    assert press_and_wait(page) > 0.3
    assert page.find_element("css selector", RESULT).text.startswith(f"checkpoint: {PHASE}, mine.flac, seed 1")
    assert complaints(page) == []


def test_the_chosen_voice_can_be_heard_first(page):
    page.execute_script("document.getElementById('prompt').load(); document.getElementById('prompt').preload = 'auto'")
    assert wait_for(lambda: page.execute_script(DURATION, "#prompt"), 10) > 2
    assert complaints(page) == []


def test_a_text_that_cannot_be_read_is_told_and_the_next_one_is_spoken(page):
    enter(page, "text", "你好")
    assert press_and_wait(page).startswith("outside the output alphabet: U+4F60")
    assert not page.find_elements("css selector", RESULT)
    enter(page, "text", "ሰላም")
    assert press_and_wait(page) > 0.2
    assert [entry["source"] for entry in complaints(page)] == ["network"]  # the refusal, as the browser notes it


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_never_scrolls_sideways_and_labels_everything(page, width):
    set_width(page, width)
    press_and_wait(page)
    assert page.execute_script(OVERFLOW) <= 0 and page.execute_script(UNLABELLED) == 0


def test_the_server_listens_on_the_loopback_alone(server):
    entries = psutil.Process(server[0].pid).net_connections()
    assert {entry.laddr.ip for entry in entries if entry.status == "LISTEN"} == {"127.0.0.1"}


def test_a_port_that_is_taken_is_one_clear_line(server, project):
    port = server[1].rsplit(":", 1)[1]
    done = subprocess.run([sys.executable, "-m", "demo", "--port", port], cwd=project, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=START_SECONDS)
    assert done.returncode == 2 and done.stderr.startswith(f"error: --port: {port} cannot be had")
