"""The table of licences in docs/licences.md, from what the installed packages say of themselves.

python -m workflow.licences    bring the table up to date
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from stages.core.artifacts.files import write_text
from stages.core.errors import UserError, printable

PAGE, CONSTRAINTS = Path("docs/licences.md"), Path("constraints.txt")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
SHORT_CHARACTERS = 60
UNSTATED, ABSENT = "not stated by the package", "not installed here"
LICENCE_FILE = re.compile(r"(licen[cs]e|copying)", re.IGNORECASE)


def main() -> int:
    """Write the table."""
    try:
        write_text(PAGE, with_table(PAGE.read_text(encoding="utf-8"), table(pins())))
    except (OSError, UserError) as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 2
    print(f"{PAGE}: {len(pins())} packages")
    return 0


def pins(path: Path = CONSTRAINTS) -> dict[str, str]:
    """Name and version of every pinned package."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def table(packages: dict[str, str]) -> str:
    """A row a package."""
    rows = [f"| {name} | {version} | {licence_of(name)} |" for name, version in packages.items()]
    return "\n".join(["| package | version | licence, in its own words |", "|---|---|---|", *rows])


def with_table(page: str, new: str) -> str:
    """The page with another table between its marks.

    Raises:
        UserError: the page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{PAGE}: must hold the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def licence_of(name: str) -> str:
    """What an installed package says of its licence: expression, classifiers, field or file, the first that speaks."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return ABSENT
    said = package.metadata
    classes = [line.split(" :: ")[-1] for line in said.get_all("Classifier") or [] if line.startswith("License ::")]
    expression, field = ((said.get_all(name) or [""])[0].strip() for name in ("License-Expression", "License"))
    ways = (expression, "; ".join(one for one in classes if one != "OSI Approved"),
            field if len(field) <= SHORT_CHARACTERS else "", title_of_file(package))
    return next((way.replace("|", "or") for way in ways if way), UNSTATED)


def title_of_file(package: Distribution) -> str:
    """The first line of the licence file that a package brings."""
    for file in package.files or []:
        path = Path(str(file.locate()))
        if LICENCE_FILE.match(path.name) and ".dist-info" in str(path) and path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip()[:SHORT_CHARACTERS] for line in lines if line.strip()), "")
    return ""


if __name__ == "__main__":
    sys.exit(main())
