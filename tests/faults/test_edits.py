"""Every value and every source file edited, one at a time: stale is what it belongs to, for DVC and for Snakemake."""

import pickle
import shutil
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo, lock_repo
from dvc.utils import serialize, strictyaml
from engine_project import ROOT, EngineProject
from fsspec.implementations.memory import MemoryFileSystem

from stages.schema import STAGES
from stages.undisturbed import COMPARISON, PIPELINES
from tests.faults.leaves import NO_OTHER, OTHER_BASE, leaves, set_other
from workflow import stamps

GATED = {"lora": {"previous": "base", "on_failure": "stop", "limits": {"phone_error_rate": {"max": 1.5}}}}
COMMENT = "\n# a comment\n"
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SHIPPED["gate_phase"] = GATED
SHIPPED["phases"]["full"]["start_from"] = "lora_gated"
SHIPPED["compare_strategies"] |= {"compared": ["lora", "hybrid"], "seeds": [1], "rate_factors": [3.0]}
PARAMS = yaml.safe_dump(SHIPPED, allow_unicode=True, sort_keys=False)
TRAININGS = {f"finetune@{phase}" for phase in SHIPPED["phases"]}
EVALUATIONS = {"evaluate_speech_base", *(f"evaluate_speech@{phase}" for phase in SHIPPED["phases"])}
GATES = {f"gate_phase@{phase}" for phase in GATED}
CORPUS, VOCABULARY, FEATURES, EXPORT, REPORT, COMPARED = (
    "prepare_corpus", "train_vocabulary", "extract_features", "export_model", "report", "compare_strategies")
PLAN, TABLE = f"{COMPARED}_plan", f"{COMPARED}_table"
BELONGS_TO = {  # a section is its stage's; these are shared, told by the report, passed on by the plan, or no stage's
    "base": {VOCABULARY, FEATURES, *TRAININGS, *EVALUATIONS, EXPORT, REPORT, PLAN},
    "splits": {CORPUS, REPORT},
    "text": {CORPUS, *EVALUATIONS, EXPORT, REPORT, PLAN},
    CORPUS: {CORPUS, REPORT},
    VOCABULARY: {VOCABULARY, REPORT},
    FEATURES: {FEATURES, REPORT, PLAN},
    "finetune": {*TRAININGS, REPORT, PLAN},
    "evaluate_speech": {*EVALUATIONS, REPORT, PLAN},
    "gate_phase": {*GATES, REPORT},
    EXPORT: {EXPORT},
    REPORT: {REPORT},
    COMPARED: {PLAN, TABLE},
    **dict.fromkeys(("machine", "tracking", "speak", "build_base"), set()),
}
ENTRY = "stages/__main__.py"
RUNNER = {ENTRY, "stages/schema.py", "stages/undisturbed.py"}  # decide whether a stage may start
EVERY_NTH = 40
LEAVES = [leaf for leaf in leaves(SHIPPED) if leaf not in NO_OTHER]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").rglob("*")
                 if path.is_file() and path.stat().st_size and "__pycache__" not in path.parts)


def runs(params) -> set[str]:
    """The runs that a comparison consists of."""
    compared = params[COMPARED]
    return {f"{COMPARED}@{strategy}-{corpus}-{seed}" for strategy in compared["compared"]
            for corpus in compared["corpora"] for seed in compared["seeds"]} | {
            f"{COMPARED}_rates@{strategy}-rate-{factor}" for strategy in compared["compared"]
            for factor in compared["rate_factors"]}


SEVERAL = {"finetune": TRAININGS, "evaluate_speech": EVALUATIONS, "gate_phase": GATES}
STAGES_OF = {  # of every entry: a stage, or a part of the comparison
    **{stage: SEVERAL.get(stage, {stage}) for stage in STAGES if stage != COMPARED},
    f"{COMPARED}/plan": {PLAN}, f"{COMPARED}/run": runs(SHIPPED), f"{COMPARED}/table": {TABLE},
}
STARTED = {f"{COMPARED}/run": ("finetune", "evaluate_speech")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished schedule and comparison with every value of params.yaml and every source file, run by stand-ins."""
    project = EngineProject.create(tmp_path_factory.mktemp("edits") / "whole")
    own = shutil.ignore_patterns("__pycache__", *(Path(name).name for name in RUNNER if name != ENTRY))
    runner = (project.folder / ENTRY).read_text()
    shutil.copytree(ROOT / "stages", project.folder / "stages", dirs_exist_ok=True, ignore=own)
    (project.folder / ENTRY).write_text(runner)
    (project.folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
    project.run("dvc repro dvc.yaml compare/dvc.yaml")
    shutil.copytree(project.folder / "data/base", project.folder / OTHER_BASE)
    return project


@pytest.fixture
def tree(whole, monkeypatch):
    """The same, to look at from within; the values need not make sense, only differ."""
    monkeypatch.chdir(whole.folder)
    monkeypatch.setattr(stamps, "check_params", dict)
    monkeypatch.setattr(stamps, "hold_run_lock", lambda waits: True)
    quick = parse_once(serialize.parse_yaml)
    for module in (strictyaml, serialize, serialize._yaml):
        monkeypatch.setattr(module, "parse_yaml", quick, raising=False)
    assert stale() == (set(), set()), "an edit was not taken back"
    return whole.folder


def parse_once(parse):
    """Let DVC parse the same text once: a look at the tree takes it 50 times, a fifth of a second each."""
    known: dict[tuple[str, str], bytes] = {}

    def parse_known(text, path, typ="safe"):
        if (text, typ) not in known:
            known[text, typ] = pickle.dumps(parse(text, path, typ))
        return pickle.loads(known[text, typ])

    return parse_known


def stale() -> tuple[set[str], set[str]]:
    """The stages whose own inputs changed, as DVC tells and as Snakemake's stamps show."""
    mirror = stamps.Stamps(True, PIPELINES)
    paths = mirror.all() + mirror.all(COMPARISON)
    repo = Repo(".")
    with lock_repo(repo):
        told = {stamps.name_of(stage) for stage in repo.index.stages if stage.status()}
    repo.close()
    forget_trees()
    return told, {Path(path).name for path in paths if not Path(path).exists()}


def forget_trees() -> None:
    """Drop what DVC keeps in memory of every folder it has hashed, which grows with each look and slows the next."""
    MemoryFileSystem.clear_instance_cache()
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def belongs_to(leaf, params) -> set[str]:
    """The stages whose section a value is in; with the value a comparison may have runs that it had not."""
    if leaf[0] == "phases":
        return {f"finetune@{leaf[1]}", EXPORT, REPORT, PLAN}
    read_by_runs = runs(SHIPPED) if leaf == ("base", "path") else set()
    return BELONGS_TO[leaf[0]] | read_by_runs | (runs(params) - runs(SHIPPED))


@pytest.mark.faults("every value of params.yaml changed, one at a time",
                    "stale are the stages whose section it is, in DVC's status and Snakemake's stamps")
def test_a_changed_value_makes_stale_the_stages_of_its_section(tree, full, seen):
    tried = LEAVES if full else LEAVES[::EVERY_NTH]
    wrong = {}
    for leaf in tried:
        params = yaml.safe_load(PARAMS)
        set_other(params, leaf)
        Path("params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
        told, without_stamp = stale()
        expected = belongs_to(leaf, params)
        if not told == without_stamp == expected:
            wrong[leaf] = (told ^ expected, without_stamp ^ expected)
    Path("params.yaml").write_text(PARAMS, encoding="utf-8")
    assert wrong == {}
    seen(f"{len(tried)} of {len(LEAVES)} values, both engines alike")


def imported_by(file: str) -> set[str]:
    """Every file of the project that an entry imports, by the standard library's own account."""
    finder = ModuleFinder(path=[str(Path.cwd())])
    finder.run_script(file)
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    return {file.resolve().relative_to(Path.cwd().resolve()).as_posix() for file in files}


def depends_on(entry: str) -> set[str]:
    """What an entry imports, what lies in a stage's own folder, the tables beside a module that reads them, and all of
    that of the stages that it starts.
    """
    is_stage, tables = entry in STAGES, "stages/core/text/tables"
    imported = imported_by(f"stages/{entry}/__main__.py" if is_stage else f"stages/{entry}.py")
    own = {name for name in SOURCES if name in imported or is_stage and name.startswith(f"stages/{entry}/")
           or name.startswith(f"{tables}/") and f"{tables}.py" in imported}
    return own.union(*map(depends_on, STARTED.get(entry, ())))


@pytest.mark.faults("every source file of the stages changed, one at a time",
                    "stale are the stages that import it, in DVC's status and Snakemake's stamps")
def test_a_changed_source_file_makes_stale_the_stages_that_import_it(tree, full, seen):
    depends = {entry: depends_on(entry) for entry in STAGES_OF}
    changed = [name for name in SOURCES if name not in RUNNER]
    tried = changed if full else changed[::EVERY_NTH]
    wrong = {}
    for name in tried:
        held = Path(name).read_bytes()
        Path(name).write_bytes(held + COMMENT.encode())
        told, without_stamp = stale()
        Path(name).write_bytes(held)
        expected = set().union(*(STAGES_OF[entry] for entry in STAGES_OF if name in depends[entry]))
        if not told == without_stamp == expected:
            wrong[name] = told ^ expected
    assert wrong == {}
    seen(f"{len(tried)} of {len(changed)} files, both engines alike")


@pytest.mark.faults("README, docs, tests, rules, profiles, the runner of stages; comments in params.yaml and dvc.yaml",
                    "nothing is stale, in DVC's status and Snakemake's stamps")
def test_what_computes_nothing_makes_nothing_stale(tree, seen):
    for name in ("README.md", "docs/training.md", "tests/unit/test_it.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    edited = [path for name in ("docs", "tests", "workflow", "profiles")
              for path in Path(name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    edited += map(Path, ("README.md", "Snakefile", "params.yaml", "dvc.yaml", *RUNNER))
    held = {path: path.read_bytes() for path in edited}
    for path, content in held.items():
        path.write_bytes(content + COMMENT.encode())
    told = stale()
    for path, content in held.items():
        path.write_bytes(content)
    assert told == (set(), set())
    seen(f"{len(edited)} files at once; a comment in code that a stage imports does count: DVC goes by bytes")
