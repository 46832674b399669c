"""Servers are for this machine alone, and without any debugger."""

import re
from pathlib import Path

import pytest

from demo.__main__ import ADDRESS, listen
from demo.server import HOSTS, create_app

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^(\w+):[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE, re.MULTILINE))
SERVERS = {name: recipe.replace("\\\n", " ") for name, recipe in RECIPES.items()
           if re.search(r"\b(ui|serve|server|demo|uvicorn|gunicorn|flask|http\.server)\b", recipe)}


def test_every_server_is_known_here():
    assert set(SERVERS) == {"ui", "demo", "serve"}


@pytest.mark.parametrize("name", ["ui", "serve"])
def test_a_server_of_mlflow_listens_on_the_loopback(name):
    assert re.findall(r"--host\s+(\S+)", SERVERS[name]) == ["127.0.0.1"]


@pytest.mark.parametrize("name", SERVERS)
def test_no_server_is_started_with_a_debugger_or_for_others(name):
    assert not re.search(r"--(debug|reload|dev|enable-mlserver|allowed-hosts|cors)|0\.0\.0\.0|FLASK_DEBUG",
                         SERVERS[name])


def test_the_demo_listens_on_the_loopback_and_has_no_debugger():
    assert ADDRESS == "127.0.0.1" and set(HOSTS) == {"127.0.0.1", "localhost"}
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
    assert create_app(None).debug is False
