"""Known vulnerabilities of what constraints.txt pins, asked of https://osv.dev in one request.

python -m workflow.audit    exit status 0 none known, 1 some are, 3 nobody could be asked: then nothing is known

Sent are names and versions of the pins, which are public, and nothing else.
"""

import json
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

from pydantic import BaseModel, ValidationError

from workflow.licences import CONSTRAINTS, pins

SERVICE = "https://api.osv.dev/v1/querybatch"
PAGE = "https://osv.dev/vulnerability/"
TIMEOUT_SECONDS = 30.0
CLEAN, VULNERABLE, UNASKED = 0, 1, 3
Ask = Callable[[dict[str, Any]], Any]


class Vulnerability(BaseModel):
    """What is asked of the service's word on one vulnerability."""

    id: str


class Result(BaseModel):
    """The service's word on one package."""

    vulns: list[Vulnerability] = []


class Answer(BaseModel):
    """The service's word on the packages, in the order in which they were asked for."""

    results: list[Result]


def main() -> int:
    """Ask, and tell."""
    return report(pins(), ask_service)


def report(packages: Mapping[str, str], ask: Ask) -> int:
    """Print what is known of the packages; give the exit status."""
    try:
        found = vulnerabilities(packages, ask)
    except (OSError, ValueError, HTTPException) as error:
        print(f"audit: not done: {SERVICE} gave no answer ({getattr(error, 'reason', None) or error}); whether any of "
              f"the {len(packages)} pins of {CONSTRAINTS} is vulnerable is unknown", file=sys.stderr)
        return UNASKED
    for name, known in found.items():
        print(f"{name}=={packages[name]}: " + ", ".join(PAGE + one for one in known))
    print(f"audit: {len(found)} of {len(packages)} pins have known vulnerabilities")
    return VULNERABLE if found else CLEAN


def vulnerabilities(packages: Mapping[str, str], ask: Ask) -> dict[str, list[str]]:
    """Package -> ids of its known vulnerabilities; packages without any are left out.

    Raises:
        ValueError: the answer is not one for these packages.
    """
    queries = [{"package": {"ecosystem": "PyPI", "name": name}, "version": version}
               for name, version in packages.items()]
    answer = ask({"queries": queries})
    try:
        results = Answer.model_validate(answer).results
    except ValidationError:
        raise ValueError("its answer has another shape than the one that it documents") from None
    told = zip(packages, results, strict=True)
    return {name: [one.id for one in result.vulns] for name, result in told if result.vulns}


def ask_service(question: dict[str, Any]) -> Any:
    """Post a question as JSON."""
    request = Request(SERVICE, json.dumps(question).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
