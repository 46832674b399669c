"""Gates through real Snakemake and DVC: an edited limit reruns the judgement, and what depends on its outcome."""

import json

import pytest

AFTER_LORA = ["evaluate_speech@full", "evaluate_speech@polish", "export_model", "finetune@full", "finetune@polish",
              "gate_phase@lora", "report"]
ENGINES = pytest.mark.parametrize("engine, other", [("snakemake", "dvc"), ("dvc", "snakemake")])
FAILED = {"snakemake": ("snakemake --cores 8 all", 1), "dvc": ("dvc repro", 255)}


def limit_lora(most, on_failure="fall_back"):
    """Give lora, whose error is 0.1 beside the base's 1, a gate, from which `full` starts."""
    def change(params):
        limits = {"phone_error_rate": {"max": most}}
        params["gate_phase"]["lora"] = {"previous": "base", "on_failure": on_failure, "limits": limits}
        params["phases"]["full"]["start_from"] = "lora_gated"

    return change


def handed_on(project, phase):
    """What a gate handed on, by its mark; the weights must be those."""
    checkpoints = project.folder / "data/checkpoints"
    marked = json.loads((checkpoints / f"{phase}_gated/gate.json").read_text())["checkpoint"]
    held, meant = (checkpoints / name / "model.safetensors" for name in (f"{phase}_gated", marked))
    assert held.read_bytes() == meant.read_bytes()
    return marked


@ENGINES
def test_an_edited_limit_reruns_the_judgement_and_only_another_outcome_what_depends_on_it(project, engine, other):
    project.edit_params(limit_lora(0.5))
    assert getattr(project, engine)() == AFTER_LORA
    assert handed_on(project, "lora") == "lora"
    project.edit_params(limit_lora(0.4))
    assert getattr(project, engine)() == ["gate_phase@lora", "report"]
    project.edit_params(limit_lora(0.05))
    assert getattr(project, engine)() == AFTER_LORA
    assert handed_on(project, "lora") == "base"
    assert project.is_clean() and getattr(project, other)() == []
    project.edit_params(limit_lora(0.4))
    assert getattr(project, engine)() == []
    assert handed_on(project, "lora") == "lora"


@ENGINES
def test_a_stop_ends_the_schedule_with_figures_and_advice_and_a_looser_limit_goes_on(project, engine, other):
    project.edit_params(limit_lora(0.05, "stop"))
    before = project.executions()
    command, status = FAILED[engine]
    said = project.run(command, status=status)
    assert "gate_phase.lora: the schedule stops here: phone_error_rate is 0.100, must be at most 0.05" in said
    assert "gate_phase.lora.on_failure: fall_back" in said and "Traceback" not in said
    assert project.executions() == before
    project.edit_params(limit_lora(0.2, "stop"))
    assert getattr(project, engine)() == AFTER_LORA
    assert project.is_clean() and getattr(project, other)() == []


def test_a_last_phase_that_falls_back_is_not_what_is_exported_and_without_its_gate_all_is_as_before(project):
    def limit_polish(params):
        limits = {"phone_error_rate": {"rise_over_previous_max": 0.0}}
        params["gate_phase"]["polish"] = {"previous": "full", "on_failure": "fall_back", "limits": limits}
        params["export_model"]["phase"] = "polish_gated"

    project.edit_params(limit_polish)
    assert project.snakemake() == ["export_model", "gate_phase@polish", "report"]
    assert handed_on(project, "polish") == "full"
    assert project.dvc() == []
    project.edit_params(lambda params: params.update(gate_phase={}, export_model={"phase": "polish"}))
    assert project.snakemake() == ["report"]
    assert project.is_clean()
