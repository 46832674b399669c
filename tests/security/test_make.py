"""What a user says to make: it reaches the command as it was typed, and neither make nor a shell runs any of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SAID = re.search(r"^SAID := (.*)$", MAKEFILE, re.MULTILINE)[1].split()
INTERNAL = {"READY", "TOOLS", "MADE_IN", "SAID"}
TARGET = {"PYTHON": "setup", "CORES": "run", "TEXT": "speak", "PROMPT": "speak", "OUT": "speak", "HOURS": "plan",
          "FLAGS": "plan", "MODEL": "serve", "NAME": "preset"}
SIGNS = ["`touch canary`", "$(touch canary)", "$(shell touch canary)", "x; touch canary", "x' ; touch canary; '",
         'x" ; touch canary; "', "x\ntouch canary", "$$(touch canary)", "cost $5 \\ %", "- ሰላም"]
RECORDER = """#!{python}
import json, sys
with open({told!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


@pytest.fixture
def folder(tmp_path):
    """A project whose commands write down what they are given."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    commands = tmp_path / ".venv/bin"
    commands.mkdir(parents=True)
    for name in ("python", "snakemake", "mlflow"):
        (commands / name).write_text(RECORDER.format(python=sys.executable, told=str(tmp_path / "told")))
        (commands / name).chmod(0o755)
    return tmp_path


def make(folder, target, *arguments, **environment):
    """Whether make was content, and the words of every command that it started."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    ready = [] if target == "setup" else ["-o", ".venv/.complete"]
    done = subprocess.run(["make", *ready, target, *arguments], cwd=folder, env=inherited | environment,
                          capture_output=True, text=True)
    told = folder / "told"
    return done, [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def test_every_variable_of_the_makefile_is_known():
    """One that a user may set belongs into SAID, and its use in a recipe is "$$NAME"."""
    used = set(re.findall(r"\$[({](\w+)[)}]", MAKEFILE)) - {"name", "CURDIR"}
    assert used <= INTERNAL, "a shell or make would read what stands in them: write $$NAME"
    asked = set(re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE)) | set(re.findall(r"\b([A-Z]+)='?\w", MAKEFILE))
    assert asked - {"PATH", "MLFLOW_TRACKING_URI"} <= set(SAID) == set(TARGET)


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("by_environment", [False, True], ids=["typed", "environment"])
def test_nothing_that_a_user_says_is_run(name, by_environment, folder):
    for signs in SIGNS:
        (folder / "told").unlink(missing_ok=True)
        _, told = make(folder, TARGET[name], *([] if by_environment else [f"{name}={signs}"]),
                       **({name: signs} if by_environment else {}))
        assert not (folder / "canary").exists(), f"{name}={signs!r}"
        if name in ("PYTHON", "FLAGS") or (name == "NAME" and by_environment):
            continue
        assert [word for words in told for word in words if word.endswith(signs)], f"{name}={signs!r} arrives otherwise"


def test_a_text_arrives_as_it_was_typed(folder):
    text = "cost $5, `a` \"b\" 'c' $(d) ${e} \\ # % $$\nሰላም"
    _, [words] = make(folder, "speak", f"TEXT={text}")
    assert f"--text={text}" in words and "--out=speech.wav" in words and not any("--prompt" in word for word in words)


def test_flags_are_split_into_words_and_quotes_keep_them_together(folder):
    _, [words] = make(folder, "plan", "FLAGS=--gpu-memory 24 --gpu 'a $5 `b`; c'", "HOURS=7")
    assert words == ["-m", "stages.finetune.plan", "--hours=7", "--gpu-memory", "24", "--gpu", "a $5 `b`; c"]
    (folder / "told").unlink()
    assert make(folder, "plan")[1] == [["-m", "stages.finetune.plan", "--hours=30"]]


def test_cores_that_are_no_number_are_refused_by_snakemake(tmp_path):
    for cores in ("--snakefile=x", "2; touch canary", ""):
        done = subprocess.run([sys.executable, "-m", "snakemake", f"--cores={cores}", "all"], cwd=tmp_path,
                              capture_output=True, text=True)
        assert done.returncode != 0 and "must be integer or 'all'" in done.stderr


def test_a_python_with_a_space_in_its_path_is_started(folder):
    shutil.copytree(folder / ".venv/bin", folder / "my python")
    for needed in ("pyproject.toml", "constraints.txt", "workflow/setup.py"):
        (folder / needed).parent.mkdir(exist_ok=True)
        (folder / needed).touch()
    done, told = make(folder, "setup", f"PYTHON={folder}/my python/python")
    assert done.returncode == 0 and told == [["workflow/setup.py"]]
