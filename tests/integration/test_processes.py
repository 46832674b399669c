"""The real command over two processes that it launches itself: one run, one folder, the same layout and weights."""

import os
import subprocess
import sys

import torch
import yaml
from safetensors.torch import load_file

from tests.tiny_job import make_workplace
from tests.tiny_project import ROOT

COMMAND = [sys.executable, "-m", "stages", "finetune", "--phase", "lora"]


def train(folder, **machine):
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["machine"] |= {"precision": "float32", **machine}
    for phase in params["phases"].values():
        phase |= {"dropout": 0.0, "epochs": 2}
    params["phases"]["lora"]["lora"]["dropout"] = 0.0
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(COMMAND, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_sharded_processes_write_what_one_writes(tmp_path):
    for name in ("one", "two"):
        make_workplace(tmp_path / name)
    train(tmp_path / "one")
    said = train(tmp_path / "two", processes=2, parallelism="fsdp", data_workers=1)
    assert "2 process(es) on cpu" in said and said.count("parameters trained") == 1
    one, two = (tmp_path / name / "data/checkpoints/lora" for name in ("one", "two"))
    assert {path.name for path in one.rglob("*")} == {path.name for path in two.rglob("*")}
    for file in ("model.safetensors", "adapter/adapter_model.safetensors"):
        ours, theirs = load_file(one / file), load_file(two / file)
        assert ours.keys() == theirs.keys()
        for tensor, value in ours.items():
            torch.testing.assert_close(theirs[tensor], value, atol=1e-5, rtol=0)
