"""Secrets that a run is given, and those that somebody writes where they do not belong."""

from pathlib import Path

import pytest
import yaml

from stages import schema
from stages.__main__ import main
from stages.core.errors import UserError
from stages.core.params.shared import TrackingConfig
from stages.core.params.strict import StrictModel, describe, parse_section, read_params
from stages.core.tracking.mlflow_runs import stage_run
from workflow import preset

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-planted"


WITH_SECRET = [
    f"http://user:{SECRET}@tracking.example", f"https://{SECRET}@tracking.example:5000/x",
    f"htp://user:{SECRET}@tracking.example", f"http://user:pa/ss{SECRET}@tracking.example",
    f"http://user:a@b {SECRET}'\"\n@tracking.example", f"user:{SECRET}@tracking.example",
    f"postgresql+psycopg2://user:{SECRET}@tracking.example/mlflow",
    f"https://tracking.example/x?token={SECRET}", f"https://tracking.example?a=b&password={SECRET}",
    f"https://tracking.example/#token={SECRET}", f"https://tracking.example#{SECRET}",
    f"mysql://tracking.example/mlflow?password={SECRET}", f"http://user:{SECRET}@tracking.example?token={SECRET}",
]


@pytest.mark.parametrize("uri", WITH_SECRET)
def test_a_secret_in_the_tracking_uri_is_refused_and_not_repeated(uri):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["tracking"]["uri"] = uri
    [problem] = schema.params_problems(params)
    assert problem.startswith("tracking.uri: ") and SECRET not in problem
    with pytest.raises(UserError) as error:
        parse_section(TrackingConfig, params["tracking"], "params.yaml", "tracking")
    assert SECRET not in str(error.value) and "***" in str(error.value)


@pytest.mark.parametrize("content", ["x", ["x"], {"x": SECRET}, WITH_SECRET[0]], ids=str)
@pytest.mark.parametrize("section", ["tracking", "phases", "gate_phase"])
def test_a_section_of_a_wrong_form_does_not_tell_a_secret(section, content):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params[section] = content
    told = schema.params_problems(params)
    assert told and SECRET not in str(told)


@pytest.mark.parametrize("place", [("tracking",), ("phases", "lora"), ("prepare_corpus", "sources", 0), ()], ids=str)
def test_the_value_of_an_unknown_key_is_not_told(place, tmp_path, monkeypatch, capsys):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    section = params
    for name in place:
        section = section[name]
    section["password"] = SECRET
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert main(["check"]) == 2
    error = capsys.readouterr().err
    assert "password: unknown" in error and SECRET not in error


@pytest.mark.parametrize("line", [f"password: '{SECRET}", f"uri: [http://me:{SECRET}@host", f"a: b: {SECRET}",
                                  f"token: !!python/name:os.mkdir {SECRET}", f"token: !!int {SECRET}",
                                  f"token: !!bool {SECRET}", f"token: !!float {SECRET}", f"token: !!timestamp {SECRET}",
                                  f"token: !!binary {SECRET}", f"token: !!map {SECRET}", f"token: !{SECRET}",
                                  f"token: !{SECRET}!x", f"token: *{SECRET}",
                                  f"token: {{a: &{SECRET} 1, b: &{SECRET} 2}}",
                                  f"{{{SECRET}: 1, {SECRET}: 2}}", f"? [{SECRET}]\n  : 1"])
def test_a_line_that_is_no_yaml_is_named_and_not_repeated(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(f"tracking:\n  {line}\n")
    assert main(["check"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: params.yaml: not valid YAML") and "line 2" in error and SECRET not in error


@pytest.mark.parametrize("content", [
    "x: 2020-13-45", f"x: {'9' * 5000}", f"x: 0x{'f' * 5000}", "x: &a {b: *a}", "x: &a [*a]", "--- &a\nx: *a",
    "[" * 5000,
    "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
    "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 64)),
], ids=lambda content: content[:12])
def test_yaml_that_has_no_end_or_no_sense_is_refused_at_once(content, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(content + "\n")
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith("error: params.yaml: not valid YAML: ")
    Path("overlay.yaml").write_text("phases: {}\n")
    assert preset.main(["overlay.yaml"]) == 2
    assert capsys.readouterr().err.startswith("error: params.yaml: not valid YAML: ")


def test_an_alias_that_ends_is_taken(tmp_path):
    (tmp_path / "params.yaml").write_text("a: &a {x: 1, y: [2]}\nb: *a\nc: {<<: *a, x: 3}\n")
    assert read_params(tmp_path / "params.yaml") == {"a": {"x": 1, "y": [2]}, "b": {"x": 1, "y": [2]},
                                                     "c": {"x": 3, "y": [2]}}


def test_the_refusal_says_what_to_do():
    with pytest.raises(UserError, match="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
        parse_section(TrackingConfig, {"uri": f"http://me:{SECRET}@host", "experiment": "x"}, "params.yaml")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:////home/a@b/mlflow.db", "http://127.0.0.1:5000",
                                 "https://tracking.example/team", "none", "databricks", "databricks://profile",
                                 "sqlite:///mlflow.db?timeout=60", "file:///home/a@b/mlruns", "file:mlruns"])
def test_a_uri_without_a_secret_is_taken(uri):
    assert TrackingConfig(uri=uri, experiment="x").uri == uri


def test_no_value_with_a_password_is_told_in_any_section():
    class Section(StrictModel):
        number: int

    with pytest.raises(ValueError) as error:
        Section.model_validate({"number": f"https://me:{SECRET}@host"})
    assert describe(error.value) == [
        "number: Input should be a valid integer (got 'https://***@host')"]


def test_what_the_environment_holds_is_in_no_record_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    tracking = {"uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "schedule"}
    Path("params.yaml").write_text(yaml.safe_dump({"phases": {"lora": {"start_from": "base"}}, "tracking": tracking}))
    with stage_run("finetune@lora", {"epochs": 1}) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_artifact(Path("params.yaml"))
    with pytest.raises(ZeroDivisionError), stage_run("finetune@lora", {"epochs": 1}):
        raise ZeroDivisionError
    holders = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    said = capsys.readouterr()
    assert holders == [] and SECRET not in said.out + said.err
    assert (tmp_path / "mlflow.db").stat().st_size > 0
