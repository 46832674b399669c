"""What the profile for Slurm makes of the rules; nothing is submitted here."""

import re
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(not find_spec("snakemake_executor_plugin_slurm"), reason="no executor here; to add it: "
                                "python3 workflow/setup.py --extra cluster")


def gpus(plan):
    """GPUs that each rule of a dry run asks for."""
    jobs = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", plan, re.MULTILINE)
    return {name: int(found[1]) if (found := re.search(r"\bgpu=(\d+)", text)) else 0 for name, text in jobs}


def test_a_training_asks_for_a_gpu_for_each_of_its_processes(fresh_project):
    fresh_project.edit_params(lambda params: params.update(machine={"processes": 4}))
    said = fresh_project.run("snakemake -n --profile profiles/slurm all")
    assert gpus(said) == {"finetune": 4, "extract_features": 1, "evaluate_speech": 1, "evaluate_speech_base": 1,
                          "prepare_corpus": 0, "train_vocabulary": 0, "export_model": 0, "report": 0, "all": 0}
    assert "mem_mb=16000" in said


def test_a_cluster_without_gpus_is_asked_for_none(fresh_project):
    without = "--set-resources finetune:gpu=0 extract_features:gpu=0 evaluate_speech:gpu=0 evaluate_speech_base:gpu=0"
    assert set(gpus(fresh_project.run(f"snakemake -n --profile profiles/slurm {without} -- all")).values()) == {0}
