"""What a shell, or a path, could be made of: values of the params, and the source that starts commands."""

import ast
import copy
import re
from pathlib import Path

import pytest
import yaml

from stages.schema import params_problems
from workflow.closure import PIPELINES

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
FORBIDDEN_CALLS = {
    "eval", "exec", "os.system", "os.popen", "pickle.load", "yaml.unsafe_load", "yaml.full_load", "torch.hub.load",
    "shutil.unpack_archive", "subprocess.getoutput", "subprocess.getstatusoutput",
}
ARCHIVES = {"tarfile", "zipfile"}
OWN_SCRATCH = {Path("stages/prepare_corpus/shards.py")}  # reads back what the same run wrote, under its lock


def calls_of(file):
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}


@pytest.mark.parametrize("file", CODE, ids=str)
def test_code_runs_no_text_and_loads_no_foreign_object(file):
    for name, words in calls_of(file):
        assert name not in FORBIDDEN_CALLS, f"{file}: {name}"
        assert name != "pickle.loads" or file in OWN_SCRATCH, f"{file}: {name}"
        assert name != "torch.load" or words.get("weights_only") == "True", f"{file}: torch.load without weights_only"
        assert name != "yaml.load" or "ruamel" in (ROOT / file).read_text(), f"{file}: yaml.load; use yaml.safe_load"
        assert words.get("shell", "False") == "False", f"{file}: {name} through a shell"
        assert words.get("trust_remote_code", "False") == "False" and "allow_pickle" not in words, f"{file}: {name}"


@pytest.mark.parametrize("file", CODE, ids=str)
def test_no_archive_is_unpacked(file):
    """Whoever adds this must refuse members that lead out of the folder, and test it here."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert not ARCHIVES & set(names), f"{file}: line {node.lineno}"
