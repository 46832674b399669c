from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.core.artifacts.code import import_closure
from workflow.closure import code_deps, entry_of, write_deps

FILES = {
    "stages/__init__.py": "",
    "stages/speak/__init__.py": "",
    "stages/speak/__main__.py": "from stages.core.audio.mel import analyse\n",
    "stages/core/__init__.py": "",
    "stages/core/audio/__init__.py": "",
    "stages/core/audio/mel.py": "def analyse():\n    from ..text import letters\n",
    "stages/core/audio/unused.py": "x = 1\n",
    "stages/core/text/__init__.py": "from stages.core.errors import Wrong\n",
    "stages/core/text/letters.py": 'NAMES = "letters.tsv"\nTABLES = "tables"\n',
    "stages/core/text/letters.tsv": "a\n",
    "stages/core/text/tables/months.tsv": "b\n",
    "stages/core/text/notes.md": "read by nothing\n",
    "stages/core/errors.py": "class Wrong(Exception): ...\n",
}


@pytest.fixture
def root(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_a_dump_that_ends_half_way_leaves_the_pipeline_alone(root, monkeypatch):
    def dump(self, content, stream):
        stream.write("stages:")
        raise OSError("No space left on device")

    pipeline = root / "dvc.yaml"
    pipeline.write_text("stages: {speak: {cmd: python -m stages speak, deps: [data/a]}}\n")
    before = pipeline.read_text()
    monkeypatch.setattr(YAML, "dump", dump)
    with pytest.raises(OSError, match="No space left"):
        write_deps(pipeline)
    assert pipeline.read_text() == before


def test_closure_follows_lazy_and_relative_imports_and_packages_with_code(root):
    closure = {path.as_posix() for path in import_closure("stages.speak.__main__", root)}
    assert closure == {
        "stages/speak/__main__.py",
        "stages/core/audio/mel.py",
        "stages/core/text/__init__.py",
        "stages/core/text/letters.py",
        "stages/core/errors.py",
    }


def test_deps_name_files_where_a_room_is_used_in_part_and_the_data_that_modules_name(root):
    assert code_deps("speak", root) == [
        "stages/core/audio/mel.py",
        "stages/core/errors.py",
        "stages/core/text/__init__.py",
        "stages/core/text/letters.py",
        "stages/core/text/letters.tsv",
        "stages/core/text/tables",
        "stages/speak",
    ]


def test_deps_name_the_room_where_all_of_it_is_used(root):
    (root / "stages/core/text/notes.md").unlink()
    (root / "stages/core/audio/unused.py").unlink()
    expected = ["stages/core/audio", "stages/core/errors.py", "stages/core/text", "stages/speak"]
    assert code_deps("speak", root) == expected


def test_a_part_of_a_stage_is_covered_by_its_own_files_and_the_stages_it_starts(root):
    folder = root / "stages/compare"
    folder.mkdir()
    (folder / "__main__.py").write_text("from stages.core.text import letters\n")
    (folder / "run.py").write_text('from stages.compare.naming import name\nSTARTED = "stages.speak"\n')
    (folder / "naming.py").write_text("def name(): ...\n")
    assert code_deps("compare.run", root) == [
        "stages/compare/naming.py", "stages/compare/run.py", *code_deps("speak", root)]
    assert entry_of("python -m stages compare run fast-1", root) == "compare.run"
    assert entry_of("python -m stages compare --all", root) == entry_of("python -m stages compare", root) == "compare"


def test_written_deps_keep_data_deps_and_comments(root: Path):
    path = root / "dvc.yaml"
    definition = "cmd: python -m stages speak\n    deps:\n    - data/text\n    - stages/gone\n"
    path.write_text(f"# why\nstages:\n  speak:\n    {definition}")
    assert write_deps(path) == ["speak"]
    assert write_deps(path) == []
    assert path.read_text().startswith("# why\n")
    assert "- data/text" in path.read_text() and "stages/gone" not in path.read_text()
