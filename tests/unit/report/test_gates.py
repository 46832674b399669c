"""The page tells what the gates decided."""

import json
from pathlib import Path

from stages.core.params.strict import load_section, read_params
from stages.report.config import Config
from stages.report.gather import gather_findings
from stages.report.verdict import reach_verdict
from tests.params_file import edit_params


def lay_out_gate(phase: str, handed_on: str) -> None:
    """A judgement on a phase whose error is above 0.3, and whose stops are many enough."""
    finding = {"figure": "phone_error_rate", "rule": "at most 0.3", "value": 0.4, "kept": handed_on == phase}
    stops = {"figure": "stop_rate", "rule": "at least 0.5", "value": 0.98, "kept": True}
    for path, content in {
        f"data/evaluation/{phase}_gated/judgement.json": {"findings": [finding, stops]},
        f"data/checkpoints/{phase}_gated/gate.json": {"phase": phase, "checkpoint": handed_on},
    }.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(json.dumps(content))


def start_from(phase: str, named: str, real: str) -> None:
    """Let a phase start from a gate, and its summary tell what it was given."""
    edit_params(Path(), lambda params: params["phases"][phase].update(start_from=named))
    path = Path(f"data/checkpoints/{phase}/summary.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started_from": real}))


def verdict(*gated_phases):
    findings = gather_findings(read_params()["phases"], gated_phases)
    return findings, reach_verdict(findings, load_section(Config, "report"))


def answers(said, question):
    return next(point.answers for point in said.points if point.question == question)


def test_a_phase_that_gave_way_is_told_in_the_headline_and_is_no_step_of_the_schedule(project):
    lay_out_gate("lora", "base")
    start_from("full", "lora_gated", "base")
    findings, said = verdict("lora")
    assert said.headline.startswith("After full → polish (lora missed its gate), the judge hears 35.0")
    trained = answers(said, "What was trained")
    assert "Gate of lora: phone error rate 0.400, at most 0.3. Missed: base is handed on in its place." in trained
    assert any(line.startswith("full: full fine-tuning from base") for line in trained)
    assert not any(line.startswith("lora to full") for point in said.points for line in point.folded)
    assert findings.lineage == ["full", "polish"]


def test_the_page_speaks_of_what_the_last_gate_handed_on(project):
    lay_out_gate("polish", "full")
    findings, said = verdict("polish")
    assert findings.final.name == "full"
    assert said.headline.startswith("After lora → full (polish missed its gate), the judge hears 31.0")


def test_a_gate_that_was_passed_tells_its_limits_and_one_that_is_gone_nothing(project):
    lay_out_gate("polish", "polish")
    _, said = verdict("polish")
    assert said.headline.startswith("After lora → full → polish, the judge")
    told = "Gate of polish: phone error rate 0.400, at most 0.3; stop rate 0.980, at least 0.5. It is handed on."
    assert told in answers(said, "What was trained")
    assert not any("Gate" in line for line in answers(verdict()[1], "What was trained"))
