"""Plans for a base of which only config.yaml is there."""

import json

import pytest
import torch
import yaml

from benchmarks.shapes import released_settings
from stages.core.errors import UserError
from stages.core.model.checkpoint import WEIGHTS_FILE, load_base, save_tensors
from stages.core.training.memory import GIB
from stages.finetune import plan
from stages.finetune.advice import advise
from tests.tiny_base import make_base
from tests.tiny_project import ROOT

SMALLER = {"model_dim": 640, "layers": 6, "heads": 10}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A released-shape config.yaml, smaller; the released preset, 12 s of speech at most; no GPU, no measured speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpt = released_settings().model_copy(update=SMALLER).model_dump()
    (tmp_path / "base").mkdir()
    content = {"dataset": {"bpe_model": "bpe.model"}, "gpt": gpt, "gpt_checkpoint": "gpt.pth"}
    (tmp_path / "base/config.yaml").write_text(yaml.safe_dump(content))
    change_params(tmp_path, {"base": {"path": "base"}, "prepare_corpus": {"duration_seconds_max": 12.0}})
    return tmp_path


def read(folder):
    file = folder / "params.yaml"
    return yaml.safe_load((file if file.is_file() else ROOT / "presets/indextts2.yaml").read_text())


def change_params(folder, changes):
    params = read(folder)
    for section, values in changes.items():
        params[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def figures(capsys, *flags):
    assert plan.main(["--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)


GPU = ("--gpu", "H100", "--gpu-memory", "80")


def test_parameters_are_counted_and_grow_with_the_vocabulary(place, capsys):
    told = figures(capsys, "--hours", "30", *GPU)["strategies"]
    lora, full = told["lora"]["phases"][0], told["full"]["phases"][0]
    dim, layers, pieces = SMALLER["model_dim"], SMALLER["layers"], 8_000
    adapters = 16 * layers * (4 + 2 + 5 + 5) * dim
    assert lora["trained"] == adapters + (pieces + 1) * (2 * dim + 1), "new rows, and the spare one behind them"
    assert full["trained"] == full["total"] == lora["total"] > 12 * layers * dim**2
    change_params(place, {"train_vocabulary": {"pieces": 4_000}})
    fewer = figures(capsys, "--hours", "30", *GPU)["strategies"]["full"]["phases"][0]
    assert full["total"] - fewer["total"] == 4_000 * (2 * dim + 1)


def test_work_grows_with_hours_and_memory_does_not(place, capsys):
    small, large = (figures(capsys, "--hours", hours, *GPU) for hours in ("20", "200"))
    for name in ("lora", "full", "hybrid"):
        one, ten = small["strategies"][name], large["strategies"][name]
        assert ten["tokens"] == pytest.approx(10 * one["tokens"], rel=0.01)
        assert ten["hours"] == pytest.approx(10 * one["hours"], rel=0.01)
        assert ten["features_bytes"] == pytest.approx(10 * one["features_bytes"], rel=0.01)
        assert ten["need_gib"] == one["need_gib"]
    phases = small["strategies"]["hybrid"]["phases"]
    assert [phase["name"] for phase in phases] == ["lora", "full", "polish"]
    assert small["strategies"]["hybrid"]["hours"] == pytest.approx(sum(phase["hours"] for phase in phases))


def test_more_gpus_and_a_price(place, capsys):
    change_params(place, {"phases": {"full": {**read(place)["phases"]["full"], "batch_utterances": 512}}})
    large = ("--hours", "200", "--gpu", "H100", "--gpu-memory", "200", "--price", "2")
    one, four = (figures(capsys, *large, "--gpus", count) for count in ("1", "4"))
    assert four["strategies"]["full"]["hours"] < one["strategies"]["full"]["hours"]
    assert one["strategies"]["full"]["cost_usd"] == pytest.approx(2 * one["strategies"]["full"]["hours"])
    assert any("unmeasured" in line and "several GPUs" in line for line in four["assumptions"])


@pytest.mark.parametrize("hours, strategy", [(5, "lora"), (30, "lora"), (70, "hybrid"), (150, "hybrid")])
def test_strategy_for_so_much_speech(hours, strategy):
    assert advise(hours)[0] == strategy
    assert "fall back to LoRA" in advise(70)[1] and "full alone" in advise(150)[1]


@pytest.mark.parametrize("memory, param", [
    ("2.6", "with machine.micro_batch_utterances: 2; or with machine.activation_checkpointing: true"),
    ("2.2", "with machine.activation_checkpointing: true and machine.micro_batch_utterances: 1"),
])
def test_a_plan_that_does_not_fit_names_the_param_that_makes_it_fit(place, capsys, memory, param):
    with pytest.raises(UserError, match="lora needs") as refused:
        plan.main(["--hours", "30", "--gpu-memory", memory])
    assert param in str(refused.value)
    assert "lora      lora" in capsys.readouterr().out, "the table is shown all the same"


def test_the_named_param_does_make_it_fit(place, capsys):
    small = ("--hours", "30", "--gpu-memory", "2.4")
    with pytest.raises(UserError):
        plan.main([*small])
    capsys.readouterr()
    change_params(place, {"machine": {"activation_checkpointing": True}})
    assert figures(capsys, *small)["advised"] == {"strategy": "lora", "reason": advise(30)[1], "fits": True}


def test_half_precision_is_a_way_out_where_it_is_not_taken(place):
    change_params(place, {"machine": {"precision": "float32"}})
    with pytest.raises(UserError, match="machine.precision: bfloat16"):
        plan.main(["--hours", "150", "--gpu-memory", "3.5"])


def test_what_no_param_can_save_is_refused_with_the_reason(place):
    with pytest.raises(UserError, match="no setting of section machine makes it fit: a larger GPU"):
        plan.main(["--hours", "150", "--gpu-memory", "1.2"])


def test_a_large_model_is_shared_between_gpus(place):
    with pytest.raises(UserError, match=r"machine.parallelism: fsdp .*\(--gpus 2\)"):
        plan.main(["--hours", "150", "--gpu-memory", "2.4"])


def test_speed_is_unmeasured_without_a_benchmark_file_and_measured_with_one(place, capsys):
    before = figures(capsys, "--hours", "30", *GPU)
    assert any("lora: " in line and "unmeasured, assumed 35%" in line for line in before["assumptions"])
    cases = [{"shape": "released", "batch_utterances": 8, "approach": approach, "variant": "activations kept",
              "total": 5e8, "flops_per_second": 1e14} for approach in ("lora", "full")]
    (place / "benchmarks/results").mkdir(parents=True)
    (place / "benchmarks/results/training_memory.nvidia-h100.json").write_text(
        json.dumps({"machine": {"device": "NVIDIA H100 80GB HBM3"}, "approaches": [{"cases": cases}]}))
    after = figures(capsys, "--hours", "30", *GPU)
    phase = after["strategies"]["lora"]["phases"][0]
    assert phase["speed_measured"] and phase["hours"] == pytest.approx(phase["flops"] / 1e14 / 3600)
    assert any("100 TFLOP/s: measured on H100, shape released" in line for line in after["assumptions"])


def test_on_a_cpu_that_was_not_measured_hours_are_unmeasured(place, capsys):
    plan.main(["--hours", "30"])
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("lora "))
    assert " unmeasured " in row and "this machine's CPU" in said


def test_it_tells_what_was_read_where(place, capsys):
    told = "\n".join(figures(capsys, "--hours", "30", *GPU)["assumptions"])
    assert "base/gpt.pth is not there and was not needed" in told
    assert "12,000 pieces of config.yaml and 8,000 new ones" in told
    assert "50 codes a second" in told and "text tokens a second: assumed" in told


def test_a_checkpoint_tells_its_vocabulary_itself(place, capsys):
    base = make_base(place / "tiny")
    change_params(place, {"base": {"path": "tiny"}})
    (place / "phase").mkdir()
    tensors = dict(load_base(base).state_dict())
    for name in ("text_embedding.weight", "text_head.weight", "text_head.bias"):
        tensors[name] = torch.cat([tensors[name], tensors[name][:7]])
    save_tensors(place / "phase" / WEIGHTS_FILE, tensors)
    told = figures(capsys, "--hours", "30", "--model_path", "phase", *GPU)
    assert told["text_pieces"] == 67 and "weights: tiny/gpt.safetensors holds" in "\n".join(told["assumptions"])


def test_wrong_flags_are_named(place):
    for flags, problem in ((["--hours", "0"], "--hours: must be more than 0"),
                           (["--hours", "5", "--gpu", "H900"], "--gpu: must be one of H200"),
                           (["--hours", "5", "--gpus", "2"], "--gpu-memory: needed"),
                           (["--hours", "5", "--model_path", "nowhere"], "nowhere")):
        with pytest.raises(UserError, match=problem):
            plan.main(flags)


def test_memory_in_the_table_is_the_estimate_and_what_torch_does_not_count(place, capsys):
    phase = figures(capsys, "--hours", "30", *GPU)["strategies"]["full"]["phases"][0]
    assert phase["need_gib"] == pytest.approx(1.05 * phase["memory_bytes"]["total"] / GIB + 1)
