"""Extraction killed as a real process and started again: no shard twice, the bytes of an undisturbed run."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.params_file import edit_params
from tests.processes import threads_of, wait_for
from tests.released_project import make_released_project, run_schedule

EXTRACT = [sys.executable, "-m", "stages", "extract_features"]
SHARD_UTTERANCES = 4
RESUME, OUTPUT = Path(".resume/extract_features"), Path("data/features")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A project whose next stage is extraction."""
    folder = tmp_path_factory.mktemp("prepared")
    make_released_project(folder, features=32, speakers=2)
    change_params(folder, shard_utterances=SHARD_UTTERANCES)
    with pytest.MonkeyPatch.context() as patch:
        run_schedule(folder, patch, [("prepare_corpus",), ("train_vocabulary",)])
    return folder


@pytest.fixture
def project(prepared, tmp_path, monkeypatch):
    folder = shutil.copytree(prepared, tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def change_params(folder: Path, **changes) -> None:
    edit_params(folder, lambda params: params["extract_features"].update(changes))


def finished_shards() -> int:
    return len(list(RESUME.glob("*/*.json")))


def kill_after(shards: int) -> None:
    """Start the stage and kill it once so many shards are kept."""
    with subprocess.Popen(EXTRACT, env=threads_of(1), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as stage:
        wait_for(lambda: finished_shards() >= shards, 600, 0.002, stage)
        assert stage.poll() is None, "extraction ended before it was killed"
        stage.send_signal(signal.SIGKILL)


def extract() -> tuple[dict[str, bytes], str]:
    """Run the stage to its end; the bytes of its output, and what it said."""
    done = subprocess.run(EXTRACT, env=threads_of(1), check=True, capture_output=True, text=True)
    return {path.name: path.read_bytes() for path in OUTPUT.iterdir()}, done.stdout


@pytest.mark.faults("kill -9 of extract_features",
                    "goes on by the shard; the same bytes")
def test_a_killed_extraction_goes_on_with_the_next_shard_and_ends_in_the_same_bytes(project):
    for shards in (1, 3):
        kill_after(shards)
        assert not OUTPUT.exists()
    kept = finished_shards()
    interrupted, said = extract()
    assert f"goes on; {kept} of " in said and kept >= 3
    shutil.rmtree(OUTPUT)
    again, said = extract()
    assert f"goes on; {finished_shards()} of {finished_shards()} shards" in said, "a kill before DVC recorded it"
    shutil.rmtree(RESUME)
    undisturbed, said = extract()
    assert "goes on" not in said
    assert interrupted == again == undisturbed


def test_a_kept_shard_that_is_damaged_is_made_again(project):
    """data/features and DVC's cache hold it by other names."""
    before, _ = extract()
    shard = sorted(OUTPUT.glob("*.safetensors"))[1]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert [path.name for path in RESUME.rglob(shard.name) if path.samefile(shard)] == [shard.name]
    assert extract()[0] == before


def test_shards_of_other_params_are_not_taken(project):
    kill_after(1)
    change_params(project, prompt_seconds_max=0.7)
    _, said = extract()
    assert "goes on" not in said
