"""What a shell, or a path, could be made of: values of the params, and the source that starts commands."""

import ast
import copy
import re
from pathlib import Path

import pytest
import yaml

from stages.schema import params_problems
from stages.undisturbed import PIPELINES

ROOT = Path(__file__).parents[2]
TEMPLATED = re.compile(r"\$\{\s*([^}]+?)\s*\}")
SHELL = ["x; touch canary", "$(touch canary)", "`touch canary`", "x\ntouch canary", "x' | touch canary #", "x > canary"]
OUTWARD = ["../../stages", "/etc/passwd"]
GATE = {"previous": "full", "on_failure": "stop", "limits": {"phone_error_rate": {"max": 1.0}}}
STAGES = {
    f"{pipeline}:{name}": stage
    for pipeline in PIPELINES for name, stage in yaml.safe_load((ROOT / pipeline).read_text())["stages"].items()
}


def templates_of(stage):
    """Everything that a stage takes from the params, as paths in them; `key` and `item` as what they loop over.

    Yields paths of keys and values: ("phases", "*") are the names of the phases, ("phases", "*", "start_from") a value
    of each, ("compare_strategies", "seeds", "*") the entries of a list.
    """
    loop = stage.get("foreach", stage.get("matrix"))
    for expression in TEMPLATED.findall(yaml.safe_dump(stage, width=10_000)):
        first, *rest = expression.split(".")
        if first == "key":
            continue  # made of what the loop takes, which stands in the stage too
        if first == "item" and isinstance(loop, str):
            yield (*TEMPLATED.findall(loop)[0].split("."), "*", *rest)
        elif first == "item":
            assert rest[0] in loop, expression
        else:
            yield (first, *rest)


def planted(params, path, value):
    """A copy of params with a value in the place that a path tells; a mapping at its end has a key renamed."""
    changed = copy.deepcopy(params)
    place = changed
    for name in path[:-1]:
        place = place[next(iter(place)) if name == "*" else name]
    last = path[-1]
    if isinstance(place[last], dict):
        held = place[last].pop(next(iter(place[last])))
        place[last][value] = held
    elif isinstance(place[last], list):
        place[last].append(value)
    else:
        place[last] = value
    return changed


def sample_params():
    """The project's own params, with a gate."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["gate_phase"] = {"polish": GATE}
    params["export_model"]["phase"] = "polish_gated"
    assert params_problems(params) == []
    return params


PATHS = sorted({path for stage in STAGES.values() for path in templates_of(stage)})


def test_what_is_templated_was_found():
    assert {("phases",), ("base", "path"), ("phases", "*", "start_from"), ("export_model", "phase"),
            ("compare_strategies", "seeds")} <= set(PATHS)


@pytest.mark.parametrize("name", STAGES)
def test_no_value_of_the_params_is_written_into_a_command(name):
    stage = STAGES[name].get("do", STAGES[name])
    for field in ("cmd", "wdir"):
        assert not TEMPLATED.search(str(stage.get(field))), f"{name}: {field}: pass $DVC_STAGE, as the others do"


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_a_templated_value_that_a_shell_would_read_is_refused(path):
    for value in SHELL:
        problems = params_problems(planted(sample_params(), path, value))
        assert any(repr(value) in problem for problem in problems), f"{'.'.join(path)}: {value!r} passes"


@pytest.mark.parametrize("path", [path for path in PATHS if path != ("base", "path")], ids=".".join)
def test_a_templated_name_that_leads_elsewhere_is_refused(path):
    """The base alone may lie anywhere: it is read and never written."""
    for value in OUTWARD:
        problems = params_problems(planted(sample_params(), path, value))
        assert any(repr(value) in problem for problem in problems), f"{'.'.join(path)}: {value!r} passes"


@pytest.mark.parametrize("path", ["data/base", "/mnt/models/IndexTTS-2", "../models/base v2", "data/ሞዴል"])
def test_a_plain_path_of_a_base_is_taken(path):
    assert params_problems(planted(sample_params(), ("base", "path"), path)) == []


def test_a_name_of_a_source_or_a_strategy_is_a_plain_word():
    params = sample_params()
    params["prepare_corpus"]["sources"][0]["name"] = "../x; touch canary"
    params["compare_strategies"]["strategies"]["$(touch canary)"] = params["compare_strategies"]["strategies"]["full"]
    told = "\n".join(params_problems(params))
    assert "'../x; touch canary'" in told and "'$(touch canary)'" in told


CODE = [path.relative_to(ROOT) for folder in ("stages", "workflow", "demo", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))]
FORBIDDEN = {
    "eval", "exec", "os.system", "os.popen", "os.execvp", "yaml.unsafe_load", "yaml.full_load", "torch.hub.load",
    "shutil.unpack_archive", "subprocess.getoutput", "subprocess.getstatusoutput", "pandas.read_pickle",
    "torch.serialization.load", "yaml.unsafe_load_all", "yaml.full_load_all", "yaml.load_all", "yaml.UnsafeLoader",
    "yaml.FullLoader", "yaml.Loader", "torch.jit.load", "jinja2.Template", "mlflow.pyfunc.load_model",
}
STARTING = ("os.exec", "os.spawn", "os.posix_spawn", "torch.package")
RUNNERS = {"builtins", "code", "codeop", "pty", "runpy"}
SHELLS = {"sh", "bash", "dash", "ksh", "zsh"}
UNPICKLERS = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
ARCHIVES = {"tarfile", "zipfile"}
HARMLESS = {"pickle", "pickle.UnpicklingError"}  # what other libraries raise


def imports_of(tree):
    """Name in the file -> full name of what is imported under it."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def full_name(node, imports):
    """A dotted name as it would be without `from` and `as`."""
    first, dot, rest = ast.unparse(node).partition(".")
    return imports.get(first, first) + dot + rest


def dangers_of(source):
    """What in a source may run what it reads, make objects of it, or unpack it."""
    tree = ast.parse(source)
    imports = imports_of(tree)
    names = set(imports.values()) | {full_name(node, imports) for node in ast.walk(tree)
                                     if isinstance(node, ast.Name | ast.Attribute)}
    yield from names & FORBIDDEN
    yield from (name for name in names if name.startswith(STARTING))
    yield from (name for name in imports.values() if name.partition(".")[0] in RUNNERS)
    yield from (name for name in names - HARMLESS if name.partition(".")[0] in UNPICKLERS | ARCHIVES)
    loads = bare = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
            yield from {Path(str(node.elts[0].value)).name} & SHELLS
        bare += isinstance(node, ast.Name | ast.Attribute) and full_name(node, imports) == "torch.load"
        if isinstance(node, ast.Call):
            name, words = full_name(node.func, imports), {word.arg: ast.unparse(word.value) for word in node.keywords}
            loads += name == "torch.load" and words.get("weights_only") == "True"
            if name == "yaml.load" and "ruamel" not in source:
                yield "yaml.load; use yaml.safe_load"
            if name == "jinja2.Environment" and words.get("autoescape") != "True":
                yield f"{name} without autoescape=True"
            if name == "ruamel.yaml.YAML" and words.get("typ", "'rt'") not in ("'rt'", "'safe'"):
                yield f"{name} with typ={words['typ']}"
            if name == "numpy.load" and None in words:
                yield "numpy.load with ** that may hold allow_pickle"
            yield from (f"{name} with {word}={words[word]}" for word in ("shell", "trust_remote_code", "allow_pickle")
                        if words.get(word, "False") != "False")
    if loads != bare:
        yield "torch.load without weights_only=True"


@pytest.mark.parametrize("file", CODE, ids=str)
def test_code_runs_no_text_loads_no_foreign_object_and_unpacks_no_archive(file):
    """Whoever needs an archive must refuse members that lead out of its folder, and try that in test_archives.py."""
    assert sorted(dangers_of((ROOT / file).read_text(encoding="utf-8"))) == []


WORKFLOW = ["Snakefile", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "workflow/rules").glob("*")))]
DIRECTIVES = {"input", "output", "params", "log", "benchmark", "threads", "resources", "priority", "default_target"}


@pytest.mark.parametrize("file", WORKFLOW)
def test_rules_run_nothing_but_dvc(file):
    """What stands before the first rule is Python; a rule's only command is one that the Snakefile names."""
    text = (ROOT / file).read_text(encoding="utf-8")
    python, rules = re.match(r"(?ms)(.*?)(^(?:include|rule)\b.*)", text).groups()
    assert sorted(dangers_of(python)) == [] and sorted(set(re.findall(r"[\w.]+", rules)) & FORBIDDEN) == []
    commands = set(re.findall(r"^    shell:\n        (.*)", rules, re.MULTILINE))
    assert commands <= {"REPRODUCE", "REPRODUCE_AND_KEEP"}
    assert set(re.findall(r"^    (\w+):", rules, re.MULTILINE)) <= DIRECTIVES | {"shell"}


@pytest.mark.parametrize("source", [
    "from torch import load\nload(path)", "from torch import load as read\nread(path, weights_only=False)",
    "import torch\nread = torch.load", "import torch as t\nt.load(path)", "from torch.serialization import load",
    "import torch\ntorch.load(path, weights_only=True, **more)\ntorch.load(path)",
    "from pickle import loads", "import pickle\npickle.Unpickler(file).load()", "from pickle import *",
    "import pickle as p\np.load(file)", "import pickle\nclass Own(pickle.Unpickler): ...", "import _pickle",
    "import joblib", "from joblib import load", "import dill as pickle", "import marshal", "import shelve",
    "from yaml import unsafe_load", "import yaml\nyaml.load(text, Loader=yaml.Loader)",
    "from yaml import load\nload(text)", "import yaml\nyaml.load(text)", "from os import system",
    "from os import system as run", "eval(text)", "run = exec",
    "import subprocess\nsubprocess.run(text, shell=True)", "from subprocess import getoutput",
    "import numpy\nnumpy.load(path, allow_pickle=True)", "load(folder, trust_remote_code=True)",
    "from zipfile import ZipFile", "import tarfile as t", "from shutil import unpack_archive",
    "import shutil\nshutil.unpack_archive(path)",
    "from ruamel.yaml import YAML\nYAML(typ='unsafe').load(text)",
    "import subprocess\nsubprocess.run(['sh', '-c', text])",
    "command = ('/bin/bash', '-c', text)", "import builtins\nbuiltins.exec(text)", "from builtins import exec as run",
    "import os\nos.execv(path, words)", "from os import posix_spawn", "import os\nos.spawnlp(0, text)",
    "import torch\ntorch.jit.load(path)", "from torch.jit import load",
    "import torch\ntorch.package.PackageImporter(path)",
    "from torch.package import PackageImporter", "import runpy\nrunpy.run_path(path)", "import pty\npty.spawn(text)",
    "import code", "import numpy as np\nnp.load(path, **{'allow_pickle': True})",
    "from jinja2 import Environment\nEnvironment().from_string(text)", "import jinja2\njinja2.Template(text)",
    "import jinja2\njinja2.Environment(autoescape=False)", "import mlflow\nmlflow.pyfunc.load_model(uri)",
])
def test_the_ban_sees_an_attack(source):
    assert list(dangers_of(source))


@pytest.mark.parametrize("source", [
    "import torch\ntorch.load(path, weights_only=True)", "model.eval()", "import yaml\nyaml.safe_load(text)",
    "import pickle\ntry: ...\nexcept pickle.UnpicklingError: ...", "load(folder, trust_remote_code=False)",
    "from jinja2 import Environment\nEnvironment(autoescape=True)", "from ruamel.yaml import YAML\nYAML()",
    "import subprocess\nsubprocess.run(['dvc', 'repro'])", "import numpy\nnumpy.load(path)", "code = 1\ncode.real",
])
def test_the_ban_leaves_sound_code_alone(source):
    assert list(dangers_of(source)) == []
