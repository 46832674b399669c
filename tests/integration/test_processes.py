"""The real command over two processes that it launches itself: one run, one folder, the same layout and weights."""

import json
import shlex
import shutil
import subprocess
import sys

import torch
from safetensors.torch import load_file

from tests.params_file import edit_params
from tests.processes import free_port, threads_of
from tests.tiny_job import make_workplace

COMMAND = [sys.executable, "-m", "stages", "finetune", "--phase", "lora"]


def set_params(folder, **machine):
    def change(params):
        params["machine"] |= {"precision": "float32", **machine}
        for phase in params["phases"].values():
            phase |= {"dropout": 0.0, "epochs": 2}
        params["phases"]["lora"]["lora"]["dropout"] = 0.0

    edit_params(folder, change)


def train(folder, **machine):
    set_params(folder, **machine)
    done = subprocess.run(COMMAND, cwd=folder, env=threads_of(1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_sharded_processes_write_what_one_writes(tmp_path):
    for name in ("one", "two"):
        make_workplace(tmp_path / name)
    train(tmp_path / "one")
    said = train(tmp_path / "two", processes=2, parallelism="fsdp", data_workers=1)
    assert "2 process(es) on cpu" in said and said.count("parameters trained") == 1
    assert_same_phase(tmp_path / "one", tmp_path / "two")


def assert_same_phase(*folders):
    one, two = (folder / "data/checkpoints/lora" for folder in folders)
    assert {path.name for path in one.rglob("*")} == {path.name for path in two.rglob("*")}
    for file in ("model.safetensors", "adapter/adapter_model.safetensors"):
        ours, theirs = load_file(one / file), load_file(two / file)
        assert ours.keys() == theirs.keys()
        for tensor, value in ours.items():
            torch.testing.assert_close(theirs[tensor], value, atol=1e-5, rtol=0)


def test_the_line_for_two_machines_trains_what_one_process_trains_and_the_next_run_finds_it_done(tmp_path):
    """Two launchers that meet at an address, as on two machines; here both are this one."""
    for name in ("one", "two"):
        make_workplace(tmp_path / name)
    train(tmp_path / "one")
    two = tmp_path / "two"
    set_params(two, processes=1)
    told = [sys.executable, "-m", "stages.finetune.nodes", "--nodes", "2", "--meet", f"127.0.0.1:{free_port()}",
            "--phase", "lora"]
    line = subprocess.run(told, cwd=two, env=threads_of(1), check=True, capture_output=True, text=True).stdout
    machines = [subprocess.Popen(shlex.split(line), cwd=two, env=threads_of(1), stdout=subprocess.PIPE, text=True)
                for _ in range(2)]
    said = "".join(machine.communicate(timeout=240)[0] for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0] and "2 process(es) on cpu" in said
    assert_same_phase(tmp_path / "one", two)
    steps = json.loads((two / "data/checkpoints/lora/summary.json").read_text())["steps"]
    trained = (two / "data/checkpoints/lora/model.safetensors").read_bytes()
    shutil.rmtree(two / "data/checkpoints/lora")
    assert f"continues at step {steps}" in train(two)
    assert (two / "data/checkpoints/lora/model.safetensors").read_bytes() == trained
