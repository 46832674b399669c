"""Every value and every source file edited, one at a time: stale is what it belongs to, for DVC and for Snakemake."""

import shutil
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from engine_project import ROOT, EngineProject

from tests.faults.leaves import NO_OTHER, OTHER_BASE, leaves, set_other
from workflow import stamps

PARAMS = ROOT / "params.yaml"
PHASES = ("lora", "full", "polish")
TRAININGS = {f"finetune@{phase}" for phase in PHASES}
EVALUATIONS = {"evaluate_speech_base", *(f"evaluate_speech@{phase}" for phase in PHASES)}
CORPUS, VOCABULARY, FEATURES, EXPORT, REPORT = (
    "prepare_corpus", "train_vocabulary", "extract_features", "export_model", "report")
BELONGS_TO = {  # a section is its stage's; these are shared, told by the report, or no stage's
    "base": {VOCABULARY, FEATURES, *TRAININGS, *EVALUATIONS, EXPORT, REPORT},
    "splits": {CORPUS, REPORT},
    "text": {CORPUS, *EVALUATIONS, EXPORT, REPORT},
    CORPUS: {CORPUS, REPORT},
    VOCABULARY: {VOCABULARY, REPORT},
    FEATURES: {FEATURES, REPORT},
    "finetune": {*TRAININGS, REPORT},
    "evaluate_speech": {*EVALUATIONS, REPORT},
    "gate_phase": {"gate_phase@lora", REPORT},
    EXPORT: {EXPORT},
    REPORT: {REPORT},
    **dict.fromkeys(("machine", "tracking", "speak", "compare_strategies", "build_base"), set()),
}
STAGES_OF = {
    CORPUS: {CORPUS}, VOCABULARY: {VOCABULARY}, FEATURES: {FEATURES}, "finetune": TRAININGS,
    "evaluate_speech": EVALUATIONS, EXPORT: {EXPORT}, REPORT: {REPORT},
}
RUNNER = {"stages/__main__.py", "stages/schema.py", "stages/undisturbed.py"}  # decide whether a stage may start
EVERY_NTH = 12
LEAVES = [leaf for leaf in leaves(yaml.safe_load(PARAMS.read_text())) if leaf not in NO_OTHER]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").rglob("*")
                 if path.is_file() and path.stat().st_size and "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished schedule with every value of params.yaml and every source file, run by stand-ins."""
    project = EngineProject.create(tmp_path_factory.mktemp("edits") / "whole")
    for name in SOURCES:
        if name not in RUNNER:
            (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project.folder / name)
    shutil.copy(PARAMS, project.folder / "params.yaml")
    project.run("dvc repro")
    shutil.copytree(project.folder / "data/base", project.folder / OTHER_BASE)
    return project


@pytest.fixture
def tree(whole, monkeypatch):
    """The same, to look at from within; the values need not make sense, only differ."""
    monkeypatch.chdir(whole.folder)
    monkeypatch.setattr(stamps, "check_params", dict)
    assert stale() == (set(), set()), "an edit was not taken back"
    return whole.folder


def stale() -> tuple[set[str], set[str]]:
    """The stages whose own inputs changed, as DVC tells and as Snakemake's stamps show."""
    mirror = stamps.Stamps(True, (stamps.SCHEDULE,))
    without_stamp = {Path(path).name for path in mirror.all() if not Path(path).exists()}
    repo = Repo(".")
    stages = [stage for stage in repo.index.stages if Path(stage.path_in_repo) == Path("dvc.yaml")]
    told = {stage.addressing for stage in stages if stage.status()}
    repo.close()
    return told, without_stamp


def belongs_to(leaf) -> set[str]:
    """The stages whose section a value is in."""
    return {f"finetune@{leaf[1]}", EXPORT, REPORT} if leaf[0] == "phases" else BELONGS_TO[leaf[0]]


@pytest.mark.faults("every value of params.yaml changed, one at a time",
                    "stale are the stages whose section it is, in DVC's status and Snakemake's stamps")
def test_a_changed_value_makes_stale_the_stages_of_its_section(tree, full, seen):
    tried = LEAVES if full else LEAVES[::EVERY_NTH]
    wrong = {}
    for leaf in tried:
        params = yaml.safe_load(PARAMS.read_text())
        set_other(params, leaf)
        Path("params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
        told, without_stamp = stale()
        if not told == without_stamp == belongs_to(leaf):
            wrong[leaf] = (told ^ belongs_to(leaf), without_stamp ^ belongs_to(leaf))
    shutil.copy(PARAMS, "params.yaml")
    assert wrong == {}
    seen(f"{len(tried)} of {len(LEAVES)} values, both engines alike")


def imported_by(stage: str) -> set[str]:
    """Every file of the project that a stage's entry imports, by the standard library's own account."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.run_script(str(ROOT / "stages" / stage / "__main__.py"))
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    return {file.resolve().relative_to(ROOT).as_posix() for file in files}


def depends_on(stage: str) -> set[str]:
    """What a stage imports, what lies in its own folder, and the tables beside a module that reads them."""
    imported = imported_by(stage)
    tables = "stages/core/text/tables"
    return {name for name in SOURCES if name in imported or name.startswith(f"stages/{stage}/")
            or name.startswith(f"{tables}/") and f"{tables}.py" in imported}


@pytest.mark.faults("every source file of the stages changed, one at a time",
                    "stale are the stages that import it, in DVC's status and Snakemake's stamps")
def test_a_changed_source_file_makes_stale_the_stages_that_import_it(tree, full, seen):
    depends = {stage: depends_on(stage) for stage in STAGES_OF}
    changed = [name for name in SOURCES if name not in RUNNER]
    tried = changed if full else changed[::EVERY_NTH]
    wrong = {}
    for name in tried:
        held = Path(name).read_bytes()
        Path(name).write_bytes(held + b"\n# changed\n")
        told, without_stamp = stale()
        Path(name).write_bytes(held)
        expected = set().union(*(STAGES_OF[stage] for stage in STAGES_OF if name in depends[stage]))
        if not told == without_stamp == expected:
            wrong[name] = told ^ expected
    assert wrong == {}
    seen(f"{len(tried)} of {len(changed)} files, both engines alike")
