"""`make ui` as a user meets it: MLflow's own server over a store that the stages' tracking wrote, in a real browser."""

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from stages.core.tracking.mlflow_runs import stage_run, whole_run
from tests.browser import keep_picture, open_browser, requested_addresses
from tests.processes import free_port, wait_for
from tests.tiny_project import ROOT

pytestmark = pytest.mark.slow

START_SECONDS = 120
PARENT = "lora > full"
FIGURES = {
    "evaluate_speech_base": {"phone_error_rate": 0.812, "code_cross_entropy": 5.062},
    "evaluate_speech@lora": {"phone_error_rate": 0.438, "code_cross_entropy": 2.688},
}
SECONDS = 1.5
TEXT = "return document.body.innerText"
CLICK = "const one = document.querySelector(arguments[0]); one?.click(); return Boolean(one)"
PRESS = """const one = [...document.querySelectorAll('*')].findLast((one) => one.innerText?.trim() == arguments[0]);
one?.click(); return Boolean(one)"""
HEIGHTS = """return [...document.querySelectorAll('*')].filter((one) => one.innerText?.trim() == arguments[0])
    .map((one) => one.getBoundingClientRect()).map((box) => (box.top + box.bottom) / 2)"""
DURATION = """return [...document.querySelectorAll('*')].map((one) => one.shadowRoot?.querySelector('audio')?.duration)
    .find((seconds) => seconds)"""


@pytest.fixture(scope="module")
def store(tmp_path_factory, started):
    """A project folder whose store holds a schedule's runs, and their ids by name; not made without a browser."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        phases = {"full": {"start_from": "lora"}, "lora": {"start_from": "base"}}
        tracking = {"uri": f"sqlite:///{folder}/mlflow.db", "experiment": "schedule"}
        Path("params.yaml").write_text(yaml.safe_dump({"phases": phases, "tracking": tracking}))
        yield folder, record_schedule(folder / "samples")


def record_schedule(samples):
    """Record what the stages record: a curve, figures of two models with a sample each, the final figures."""
    samples.mkdir()
    soundfile.write(samples / "00.wav", np.sin(np.arange(round(SECONDS * 16_000)) / 9), 16_000)
    with stage_run("finetune@lora", {"phase": {"epochs": 1}}) as run:
        for step in (100, 200):
            run.log_metrics({"code_cross_entropy": 300 / step}, step=step)
    ids = {"finetune@lora": run.id}
    for name, figures in FIGURES.items():
        with stage_run(name, {"sentences_max": 2}) as run:
            run.log_metrics(figures, step=0)
            run.log_artifact(samples, "samples")
        ids[name] = run.id
    with whole_run() as whole:
        whole.log_metrics(FIGURES["evaluate_speech@lora"], step=0)
    return ids | {PARENT: whole.id}


@pytest.fixture(scope="module")
def server(store):
    """Address of the server that the Makefile's recipe starts, on a port of its own."""
    recipe = shlex.split(re.search(r"^\t@(mlflow ui .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1))
    port = free_port()
    command = [str(port) if part == "5000" else part for part in recipe]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                                "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(store[0] / "log", "w") as log:
        process = subprocess.Popen(command, cwd=store[0], env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: is_up(f"http://127.0.0.1:{port}/health") or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, (store[0] / "log").read_text()[-3000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_up(address):
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.set_window_size(1800, 1000)
        yield browser


@pytest.fixture
def browser(started, server):
    """The browser, which in the end must have asked nobody but the server."""
    requested_addresses(started)
    yield started
    asked = [url for url in requested_addresses(started) if not url.startswith(("data:", "blob:"))]
    assert asked and [url for url in asked if not url.startswith(f"{server}/")] == []


def open_runs(browser, server, ids):
    """Open the address that `make ui` prints, and unfold the schedule's run."""
    told = re.search(r"http://127\.0\.0\.1:5000(/#\S+?)'", (ROOT / "Makefile").read_text()).group(1)
    browser.get(server)
    browser.get(f"{server}{told}")
    wait_for(lambda: browser.execute_script(CLICK, f"[row-id='{ids[PARENT]}'] button"))
    wait_for(lambda: all(browser.execute_script(f"return document.querySelector('[row-id=\"{run}\"]')")
                         for run in ids.values()))


def test_the_schedule_lists_its_stages_and_two_ticked_ones_stand_side_by_side(browser, server, store, request):
    open_runs(browser, server, store[1])
    shown = browser.execute_script(TEXT)
    assert all(name in shown for name in store[1]) and "4 matching runs" in shown
    keep_picture(browser, request, "mlflow-runs")
    for name in FIGURES:
        browser.execute_script(CLICK, f"[row-id='{store[1][name]}'] .ag-selection-checkbox input")
    wait_for(lambda: browser.execute_script(PRESS, "Compare"))
    for figure in ("phone_error_rate", "code_cross_entropy"):
        wait_for(partial(stand_side_by_side, browser, [figure, *(f"{one[figure]}" for one in FIGURES.values())]))
    keep_picture(browser, request, "mlflow-compared")


def stand_side_by_side(browser, texts):
    """Whether the page shows these texts at one height."""
    heights = [browser.execute_script(HEIGHTS, text) for text in texts]
    return any(all(any(abs(other - height) < 8 for other in others) for others in heights) for height in heights[0])


def test_a_sample_can_be_played(browser, server, store):
    run = store[1]["evaluate_speech@lora"]
    browser.get(f"{server}/#/experiments/1/runs/{run}/artifacts")
    wait_for(lambda: browser.execute_script(PRESS, "samples"))
    wait_for(lambda: browser.execute_script(PRESS, "00.wav"))
    assert wait_for(lambda: browser.execute_script(DURATION)) == pytest.approx(SECONDS, abs=0.01)
