"""Make the virtual environment. Run by the system's Python, so only the standard library, and syntax of any Python 3.

python3 workflow/setup.py [FOLDER]              make or mend FOLDER (.venv); a second call does nothing that is done
python3 workflow/setup.py --extra NAME [FOLDER] add an extra of pyproject.toml to a made FOLDER; may be given again
python3 workflow/setup.py --interop [FOLDER]    add upstream's package to a made FOLDER, for the tests against it
"""

import argparse
import glob
import os
import platform
import subprocess
import sys
import time
import venv
from typing import NoReturn

OLDEST_PYTHON = (3, 11)
CONSTRAINTS = "constraints.txt"
TORCH_PACKAGES = ("torch", "torchaudio")
PACKAGES_OF_VENV = ("pip-", "setuptools-")
DISABLED = ".disabled"  # suffix of torchaudio's libraries that do not load beside this torch
UPSTREAM = "indextts2-inference"


def main() -> int:
    """Make the environment, or add upstream's package to it."""
    parser = argparse.ArgumentParser(prog="setup.py", description="Make the virtual environment.")
    parser.add_argument("folder", nargs="?", default=".venv", metavar="FOLDER")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="add an extra: s3, cluster")
    parser.add_argument("--interop", action="store_true", help="add upstream's package, which only tests import")
    options = parser.parse_args()
    began = time.time()
    check_python()
    if options.extra:
        add_extras(options.folder, options.extra)
    if options.interop:
        add_upstream(options.folder)
    if not (options.extra or options.interop):
        make_environment(options.folder)
    say(f"done in {time.time() - began:.0f} seconds")
    return 0


def make_environment(folder: str) -> None:
    """Create, install, repair, in this order; the marker file comes last. The project itself runs from its folder.

    An environment without pip is what a set-up that was stopped leaves: it is made anew.
    """
    began = time.time()
    python = python_of(folder)
    if not (os.path.exists(python) and imports(python, "pip")):
        say(f"creating {folder} with Python {platform.python_version()}")
        begun = os.path.exists(os.path.join(folder, "pyvenv.cfg"))
        packages = glob.glob(os.path.join(folder, "lib", "python*", "site-packages", "*.dist-info"))
        if [path for path in packages if not os.path.basename(path).startswith(PACKAGES_OF_VENV)]:
            fail(f"{folder} holds packages but no pip, so another tool made it; move it away, then: make setup")
        venv.create(folder, with_pip=True, symlinks=True, clear=begun)
    install(python, [pinned(name) for name in TORCH_PACKAGES])
    install(python, project_table()["dependencies"])
    repair_torchaudio(python)
    with open(os.path.join(folder, ".complete"), "w") as file:
        file.write(f"{time.time() - began:.0f} seconds\nin {os.path.realpath(folder)}\n")


def add_extras(folder: str, names: list) -> None:
    """Install extras of pyproject.toml."""
    known = project_table()["optional-dependencies"]
    if unknown := [name for name in names if name not in known]:
        fail(f"no extra named {unknown[0]}; there are {', '.join(known)}")
    install(made_python(folder), [need for name in names for need in known[name]])


def add_upstream(folder: str) -> None:
    """Install upstream's package without what it requires: the tests import its GPT, which needs the extra only."""
    add_extras(folder, ["interop"])
    install(made_python(folder), [pinned(UPSTREAM)], "--no-deps")


def made_python(folder: str) -> str:
    """Give the interpreter of an environment that is there."""
    python = python_of(folder)
    if not os.path.exists(python):
        fail(f"no environment in {folder} to add to; first: make setup")
    return python


def python_of(folder: str) -> str:
    """Give the interpreter of an environment."""
    return os.path.join(folder, "bin", "python")


def check_python() -> None:
    """Refuse a Python that is too old or cannot make virtual environments."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        found = f"{sys.executable} is {platform.python_version()}"
        fail(f"needs Python {wanted} or newer, but {found}; name another with: make setup PYTHON=/path/to/python3")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        fail("this Python cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv")


def pinned(package: str) -> str:
    """Give a package with the version that the constraints name, such as torch==2.13.0."""
    with open(CONSTRAINTS) as file:
        for line in file:
            if line.split("==")[0].strip().lower() == package:
                return line.strip()
    fail(f"{CONSTRAINTS}: no pin for {package}")


def project_table() -> dict:
    """Give the table `project` of pyproject.toml."""
    import tomllib

    with open("pyproject.toml", "rb") as file:
        return dict(tomllib.load(file)["project"])


def install(python: str, requirements: list, *more_options: str) -> None:
    """Install wheels under the constraints; no requirement needs a compiler.

    Their bytecode is made by all cores, where pip would take one; files that are templates of Python are passed over.
    """
    say("installing " + " ".join(requirements))
    options = ["--quiet", "--prefer-binary", "--no-compile", "--disable-pip-version-check", "-c", CONSTRAINTS]
    if subprocess.call([python, "-m", "pip", "install", *options, *more_options] + requirements):
        fail("pip could not install {}; its message is above".format(" ".join(requirements)))
    library = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    subprocess.call([python, "-m", "compileall", "-qq", "-j", "0", library])


def repair_torchaudio(python: str) -> None:
    """Leave a torchaudio that imports.

    Its wheel links CUDA libraries. Beside a CPU-only torch they are missing, the import fails, and that of transformers
    with it. Without its libraries torchaudio works in a mode of its own that lacks only what the project does not use.
    """
    if imports(python, "torchaudio"):
        say("torchaudio imports; nothing to repair")
        return
    moved = torchaudio_libraries(python)
    for path in moved:
        os.rename(path, path + DISABLED)
    if not imports(python, "torchaudio"):
        for path in moved:
            os.rename(path + DISABLED, path)
        fail(f"torchaudio does not import, with or without its libraries; see: {python} -c 'import torchaudio'")
    names = ", ".join(os.path.basename(path) for path in moved)
    say(f"torchaudio's libraries need CUDA, which this torch lacks: set {names} aside as *{DISABLED}; it imports now")


def imports(python: str, module: str) -> bool:
    """Tell whether a module imports in the environment."""
    command = [python, "-c", "import " + module]
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def torchaudio_libraries(python: str) -> list:
    """Give the shared libraries of the environment's torchaudio."""
    find = "import importlib.util; print(importlib.util.find_spec('torchaudio').submodule_search_locations[0])"
    package = subprocess.check_output([python, "-c", find]).decode().strip()
    folder = os.path.join(package, "lib")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".so")]


def say(text: str) -> None:
    """Tell a step."""
    print("setup: " + text, flush=True)


def fail(text: str) -> NoReturn:
    """Stop with one clear line."""
    sys.exit("setup: " + text)


if __name__ == "__main__":
    sys.exit(main())
