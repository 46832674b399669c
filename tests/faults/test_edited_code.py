"""Code edited after its stages ended, real stages: nothing that was kept of the old code passes for the new code's."""

import shutil

import pytest

from tests.faults.outputs import outputs

EDITS = {  # stage -> file, what stands there, what then does
    "prepare_corpus": ("stages/core/text/normalise.py", "        return self.run(text, None)",
                       "        return self.run(text, None).rstrip('።.')"),
    "finetune@lora": ("stages/core/training/optimiser.py", "betas=(0.9, 0.98)", "betas=(0.8, 0.98)"),
}


@pytest.mark.full
@pytest.mark.faults("code edited after its stage ended, its unfinished work still kept (real stages)",
                    "made anew: the bytes of a run that has nothing kept")
@pytest.mark.parametrize("stage", EDITS)
def test_edited_code_makes_its_results_anew(undisturbed, tmp_path, stage):
    file, old, new = EDITS[stage]
    kept, bare = (undisturbed.finished.copy(tmp_path / name) for name in ("kept", "bare"))
    shutil.rmtree(bare.folder / ".resume")
    for project in (kept, bare):
        path = project.folder / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        project.run(f"dvc repro -s {stage}")
    result = outputs(kept.folder)
    assert result != outputs(undisturbed.finished.folder), "the edit changed nothing"
    assert result == outputs(bare.folder)
