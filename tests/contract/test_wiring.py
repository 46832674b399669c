"""The laws that hold the project together; a failing test prints what to do."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.compare_strategies.plan import PASSED_ON
from stages.core.artifacts.code import PACKAGE, import_closure, imported_modules, module_file
from stages.core.params.strict import read_params
from stages.report.provenance import TOLD
from stages.schema import DROPPED_BY_RUN_CACHE, PHASES, SECTIONS, STAGES, check_params, fields_named
from stages.undisturbed import PIPELINES
from workflow.closure import CORE, code_deps, entry_of, is_code
from workflow.setup import UPSTREAM

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = {
    name: stage.get("do", stage)
    for pipeline in PIPELINES
    for name, stage in yaml.safe_load((ROOT / pipeline).read_text())["stages"].items()
}
READ_WHOLE = {"compare_strategies.plan": PASSED_ON, "report": TOLD}
PLACEHOLDER = re.compile(r"/(NAME|KIND)\b")
PACKAGE_OF = {"yaml": "pyyaml", "parselmouth": "praat-parselmouth", "ruamel": "ruamel.yaml", "dvc_data": "dvc"}
USED_WITHOUT_IMPORT = {"snakemake", "protobuf"}
EVERY_STAGE_IS_KNOWN_TO = {Path("stages/__main__.py"), Path("stages/schema.py")}


def source_files(folder):
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def read(file):
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", source_files(PACKAGE), ids=str)
def test_stage_imports_only_core_and_core_imports_no_stage(file):
    if file in EVERY_STAGE_IS_KNOWN_TO:
        return
    own = CORE if CORE in file.parents else Path(PACKAGE, file.parts[1])
    for module in imported_modules(file, ROOT):
        imported = module_file(module, ROOT)
        if imported and imported.name != "__init__.py":
            allowed = own in imported.parents or CORE in imported.parents
            assert allowed, f"{file} imports {module}: move what both need into a room of stages/core"


@pytest.mark.parametrize("name", DEFINITIONS)
def test_code_deps_are_the_import_closure(name):
    declared = sorted(dep for dep in DEFINITIONS[name]["deps"] if is_code(dep))
    wanted = code_deps(entry_of(DEFINITIONS[name]["cmd"]))
    fix = "\n".join(f"    - {dep}" for dep in wanted)
    assert declared == wanted, f"{name}: run `python -m workflow.closure --write`; the code deps are\n{fix}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_of_a_stage_is_imported_by_one_that_is_run(stage):
    """Beside `__main__` a stage may hold commands of its own, run by their module's name."""
    run = [file for file in source_files(f"{PACKAGE}/{stage}") if 'if __name__ == "__main__":' in read(file)]
    closure = {found for file in run for found in import_closure(".".join(file.with_suffix("").parts))}
    idle = [file for file in source_files(f"{PACKAGE}/{stage}") if (ROOT / file).stat().st_size and file not in closure]
    assert not idle, f"nothing in {stage} imports {', '.join(map(str, idle))}: delete or import"


@pytest.mark.parametrize("file", [file for file in source_files(PACKAGE) if "__main__" in read(file)], ids=str)
def test_a_module_that_is_run_ends_users_errors_in_plain_words(file):
    """One that is started by its own name, and not by `python -m stages`, would end in a traceback."""
    if file == CORE / "text/__main__.py":
        return  # reads lines for a pipe: its words have no `error:`
    if '__name__ == "__main__"' in read(file):
        assert re.search(r"sys.exit\(.*\brun_command\(main\)|return run_command\(lambda", read(file)), \
            f"{file}: sys.exit(run_command(main))"


@pytest.mark.parametrize("name", DEFINITIONS)
def test_params_are_the_sections_that_the_stage_loads(name):
    """`tracking` and `machine` change no result, so they are no param of any stage."""
    entry = entry_of(DEFINITIONS[name]["cmd"])
    loaded = loaded_sections(entry) | set(READ_WHOLE.get(entry, ()))
    declared = {param.split(".")[0] for param in DEFINITIONS[name].get("params", [])}
    assert declared == loaded, f"{name}: params must be {', '.join(sorted(loaded))}"


def loaded_sections(entry):
    """Sections that the code of an entry reads, those aside that decide no result."""
    stage, _, part = entry.partition(".")
    loaded = set()
    for file in import_closure(f"{PACKAGE}.{stage}.{part or '__main__'}"):
        if Path(PACKAGE, stage) in file.parents:
            loaded |= set(re.findall(r'load_section\(\w+, "(\w+)"', read(file)))
            loaded |= {PHASES} if re.search(r'params(\(\))?(\.get\(|\[)"phases"', read(file)) else set()
    return loaded - {"tracking", "machine"}


def test_a_run_of_the_comparison_is_handed_every_section_that_its_commands_read():
    read_by_commands = loaded_sections("finetune") | loaded_sections("evaluate_speech")
    assert read_by_commands - {PHASES} <= set(PASSED_ON), "stages/compare_strategies/plan.py: PASSED_ON must hold these"


def test_one_name_everywhere():
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__main__.py")} - {"build_base"}
    rules = set()
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        rules |= set(re.findall(r"^rule (\w+):", file.read_text(), re.MULTILINE))
    assert folders == set(STAGES)
    assert rules == set(DEFINITIONS)
    assert {definition["cmd"].split()[3] for definition in DEFINITIONS.values()} == set(STAGES)
    assert set(STAGES) <= set(SECTIONS)
    for name, definition in DEFINITIONS.items():
        assert definition["cmd"].split()[:3] == ["python", "-m", "stages"]
        assert name.startswith(definition["cmd"].split()[3])


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_an_entry_with_help_and_a_config(stage):
    for file in ("__main__.py", "config.py"):
        assert (ROOT / PACKAGE / stage / file).is_file(), f"stages/{stage}/{file} is missing"
    entry = ast.parse((ROOT / PACKAGE / stage / "__main__.py").read_text())
    assert ast.get_docstring(entry), f"stages/{stage}/__main__.py: say what it reads and writes"
    assert any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in entry.body)


@pytest.mark.parametrize(
    "path", [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))], ids=lambda path: path.name
)
def test_params_pass_every_check_and_hold_no_key_that_the_run_cache_drops(path):
    check_params(path)
    assert list(fields_named(read_params(path), DROPPED_BY_RUN_CACHE)) == []


def test_params_file_is_the_miniature_preset():
    preset = (ROOT / "presets" / "miniature.yaml").read_text()
    assert (ROOT / "params.yaml").read_text() == preset, "cp params.yaml presets/miniature.yaml"


def test_check_of_params_is_light():
    """It runs whenever Snakemake parses: a config that imports torch would cost seconds each time."""
    heavy = ("torch", "transformers", "mlflow", "dvc", "matplotlib", "numpy")
    code = f"import sys, stages.schema as s; s.check_params(); print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]", said.stdout


def test_dvc_ignores_what_the_engines_leave_beside_inputs():
    ignored = (ROOT / ".dvcignore").read_text().split()
    assert {".gitignore", ".snakemake_timestamp", "__pycache__"} <= set(ignored)


def normal_name(package):
    """Spell a package's name as the index does, without its extras."""
    return re.sub(r"[-_.]+", "-", package.partition("[")[0]).lower()


def test_constraints_pin_every_requirement():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + sum(project["optional-dependencies"].values(), [UPSTREAM])
    pinned = [normal_name(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()]
    missing = [name for name in asked if normal_name(name) not in pinned]
    assert not missing, f"constraints.txt: pin {', '.join(missing)}"


def test_pyproject_requires_what_the_code_imports_and_nothing_else():
    import tomllib

    required = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    own = {"stages", "workflow", "demo", "benchmarks"}
    nodes = [node for folder in own for file in source_files(folder) for node in ast.walk(ast.parse(read(file)))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    modules = {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names
    imported = {PACKAGE_OF.get(module, normal_name(module)) for module in modules}
    assert imported - required == set(), "pyproject.toml and README.md: name them"
    assert required - imported - USED_WITHOUT_IMPORT == set(), "pyproject.toml and README.md: drop them"


def test_snakefile_fits_one_screen():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60


def test_what_snakemake_puts_into_a_shell_is_quoted():
    rules = "".join(read(path) for path in ("Snakefile", *(ROOT / "workflow/rules").glob("*.smk")))
    put_in = re.findall(r"{params[^}]*}", rules)
    assert put_in and [text for text in put_in if not text.endswith(":q}")] == []


def test_documents_name_files_that_are_there():
    """Links, and paths in code marks, of README, CONTRIBUTING and docs."""
    gone = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        links = [page.parent / link for link in re.findall(r"\]\(([^)#:\s]+)\)", text)]
        marked = [ROOT / path for path in re.findall(r"`((?:stages|workflow|tests|docs|presets)/[\w./-]+)`", text)]
        gone += [f"{page.name}: {path.relative_to(ROOT)}" for path in links + marked
                 if not path.resolve().exists() and not PLACEHOLDER.search(path.as_posix())]
    assert not gone, f"no such files: {', '.join(gone)}"
