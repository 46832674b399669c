from stages.core.artifacts.code import code_hash


def hash_of(root, module="stages.train.__main__"):
    code_hash.cache_clear()
    return code_hash(module, root)


def test_the_hash_is_of_what_a_module_runs_and_of_nothing_else(tmp_path):
    for name, content in (("train/__main__.py", "from stages.core import optimiser\n"), ("report.py", "import os\n"),
                          ("core/optimiser.py", "RATE = 1\n")):
        path = tmp_path / "stages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    before = hash_of(tmp_path)
    (tmp_path / "stages/report.py").write_text("import sys\n")
    assert hash_of(tmp_path) == before
    (tmp_path / "stages/core/optimiser.py").write_text("RATE = 2\n")
    assert hash_of(tmp_path) != before


def test_code_that_is_edited_later_is_not_what_runs(tmp_path):
    path = tmp_path / "stages/train.py"
    path.parent.mkdir()
    path.write_text("RATE = 1\n")
    before = code_hash("stages.train", tmp_path)
    path.write_text("RATE = 2\n")
    assert code_hash("stages.train", tmp_path) == before != hash_of(tmp_path, "stages.train")
