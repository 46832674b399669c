"""Two processes over gloo against one: the same gradients, the same weights, the same bytes after a stop."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages.core.training.parallel import Processes
from tests.processes import threads_of
from tests.tiny_job import BASE_PIECES, make_workplace
from tests.unit.finetune.parallel_worker import compute

WORKER = Path(__file__).with_name("parallel_worker.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    make_workplace(folder)
    compute(folder, folder / "one", "ddp", Processes(0, 1, torch.device("cpu")))
    for parallelism in ("ddp", "fsdp"):
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", WORKER, folder,
             folder / parallelism, parallelism], env=threads_of(1), check=True,
        )
    return lambda name, approach, what: load_file(folder / name / approach / f"{what}.safetensors")


CASES = pytest.mark.parametrize("parallelism, approach", [(one, other) for one in ("ddp", "fsdp")
                                                          for other in ("full", "lora")])


@CASES
def test_two_processes_compute_the_gradients_of_one(results, parallelism, approach):
    one, two = (results(name, approach, "gradients") for name in ("one", parallelism))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-5)


def without_key_bias(name, value):
    """Softmax is blind to a bias of the keys: its gradient is rounding noise, which Adam scales up to a whole step."""
    if not name.endswith("attn.c_attn.bias") and not name.endswith("attn.c_attn.base_layer.bias"):
        return value
    query, _, values = value.chunk(3)
    return torch.cat([query, values])


@CASES
def test_two_processes_end_in_the_weights_of_one(results, parallelism, approach):
    one, two = (results(name, approach, "weights") for name in ("one", parallelism))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(without_key_bias(name, two[name]), without_key_bias(name, value), atol=1e-5, rtol=0)


@CASES
def test_a_stopped_run_of_two_processes_continues_to_the_same_bytes(results, parallelism, approach):
    undisturbed, resumed = (results(parallelism, approach, what) for what in ("weights", "resumed"))
    assert all(torch.equal(value, resumed[name]) for name, value in undisturbed.items())


@pytest.mark.parametrize("parallelism", ["one", "ddp", "fsdp"])
def test_base_rows_keep_their_bytes_under_every_parallelism(results, parallelism):
    after = results(parallelism, "lora", "weights")
    for table in ("text_embedding", "text_head"):
        trained = next(after[name] for name in after if f"{table}.modules_to_save" in name and "weight" in name)
        before = next(after[name] for name in after if f"{table}.original_module.weight" in name)
        assert torch.equal(trained[:BASE_PIECES], before[:BASE_PIECES])
        assert not torch.equal(trained[BASE_PIECES:], before[BASE_PIECES:])
