"""Make the virtual environment. Run by the system's Python, so only the standard library, and syntax of any Python 3.

python3 workflow/setup.py [FOLDER]    make or mend FOLDER (.venv); a second call does nothing that is done
"""

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
DISABLED = ".disabled"  # suffix of torchaudio's libraries that do not load beside this torch


def main() -> int:
    """Check, create, install, repair, in this order; the marker file comes last."""
    folder = sys.argv[1] if len(sys.argv) > 1 else ".venv"
    began = time.time()
    check_python()
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        say(f"creating {folder} with Python {platform.python_version()}")
        venv.create(folder, with_pip=True, symlinks=True)
    install(python, [pinned(name) for name in TORCH_PACKAGES])
    install(python, project_requirements())
    repair_torchaudio(python)
    with open(os.path.join(folder, ".complete"), "w") as file:
        file.write(f"{time.time() - began:.0f} seconds\n")
    say(f"done in {time.time() - began:.0f} seconds")
    return 0


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


def project_requirements() -> list:
    """Give what pyproject.toml asks for, the tools of its tests included; the project itself runs from its folder."""
    import tomllib

    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def install(python: str, requirements: list) -> None:
    """Install wheels under the constraints; no requirement needs a compiler."""
    say("installing " + " ".join(requirements))
    options = ["--quiet", "--prefer-binary", "--disable-pip-version-check", "-c", CONSTRAINTS]
    if subprocess.call([python, "-m", "pip", "install"] + options + requirements):
        fail("pip could not install {}; its message is above".format(" ".join(requirements)))


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
