from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field, RootModel

from stages import schema
from stages.core.errors import ParamsError
from stages.core.params.strict import StrictModel

MINIATURE = Path(__file__).parents[2] / "presets" / "miniature.yaml"


class Phase(StrictModel):
    start_from: str
    approach: Literal["lora", "full"]
    epochs: int = Field(gt=0)


class Export(StrictModel):
    phase: str


class Gates(RootModel[dict[str, dict]]):
    pass


class Anything(StrictModel):
    model_config = {"extra": "allow"}


@pytest.fixture
def params(monkeypatch):
    """A sound params mapping; sections other than these two are left to their own tests."""
    models = {schema.PHASE_MODEL: Phase, schema.SECTIONS["export_model"]: Export,
              schema.SECTIONS["gate_phase"]: Gates}
    monkeypatch.setattr(schema, "load_model", lambda module, name: models.get((module, name), Anything))
    content = {section: {} for section in schema.SECTIONS}
    content["phases"] = {
        "lora": {"start_from": "base", "approach": "lora", "epochs": 10},
        "full": {"start_from": "lora", "approach": "full", "epochs": 5},
    }
    content["export_model"] = {"phase": "full"}
    return content


def test_sound_params_have_no_problems(params):
    assert schema.params_problems(params) == []


def test_all_problems_are_reported_at_once(params, tmp_path):
    params["phases"]["lora"]["epochs"] = 0
    params["phases"]["full"]["approach"] = "half"
    params["phases"]["full"]["epoch"] = 3
    params["export_model"]["phase"] = "polish"
    params["raport"] = {}
    del params["text"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    with pytest.raises(ParamsError) as caught:
        schema.check_params(path)
    said = str(caught.value)
    assert "phases.lora.epochs: Input should be greater than 0 (got 0)" in said
    assert "phases.full.approach: Input should be 'lora' or 'full' (got 'half')" in said
    assert "\n  phases.full.epoch: unknown key\n" in said
    assert "export_model.phase: must be one of lora, full (got 'polish')" in said
    assert "raport: unknown section" in said
    assert "text: missing section" in said


def test_cycle_is_reported_beside_other_problems(params):
    params["phases"]["lora"]["start_from"] = "full"
    params["surplus"] = 1
    problems = schema.params_problems(params)
    assert any("lora -> full -> lora" in problem for problem in problems)
    assert "surplus: unknown section" in problems


def test_gates_are_held_against_a_sound_schedule(params):
    params["gate_phase"] = {"lora": {"previous": "base"}}
    assert schema.params_problems(params) == [
        "phases.full.start_from: must be lora_gated, since lora has a gate (got 'lora')"]
    params["phases"]["full"]["start_from"] = "lora_gated"
    assert schema.params_problems(params) == []
    params["phases"]["full"]["start_from"] = "fulll"
    assert not any("gate" in problem for problem in schema.params_problems(params))
    params["export_model"]["phase"] = "polish_gated"
    assert "export_model.phase: must be one of lora, full (got 'polish_gated')" in schema.params_problems(params)


@pytest.mark.parametrize("name", ["size", "nfiles"])
def test_key_that_the_run_cache_drops_is_forbidden_at_any_depth(params, name):
    params["report"] = {"figures": [{"page": {name: 3}}]}
    assert any(f"report.figures[0].page.{name}: a key must not be named" in p for p in schema.params_problems(params))


@pytest.mark.parametrize("phases", [None, [], "lora", {"lora": None}, {"lora": {"start_from": ["base"]}}])
def test_malformed_phases_are_a_problem_not_a_crash(params, phases):
    params["phases"] = phases
    assert any(problem.startswith("phases") for problem in schema.params_problems(params))


@pytest.mark.parametrize("content", [None, ["lora"], "lora"])
@pytest.mark.parametrize("section", [*schema.SECTIONS, *schema.OPTIONAL_SECTIONS, schema.PHASES])
def test_a_section_that_is_no_mapping_is_a_problem_not_a_crash(section, content, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(MINIATURE.read_text(encoding="utf-8")) | {section: content}))
    with pytest.raises(ParamsError, match=f"{section}: must be a mapping"):
        schema.check_params(path)
