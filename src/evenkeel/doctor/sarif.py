"""Findings as SARIF 2.1.0: what editors and code hosts read."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evenkeel.doctor.finding import Finding
from evenkeel.doctor.rules import RULES
from evenkeel.version import __version__

_LINE = re.compile(r"(.+):(\d+)$")
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: tuple[Finding, ...]) -> str:
    """The findings with the pages of their rules; a program's line as a location in its file."""
    codes = sorted({found.code for found in findings})
    driver = {
        "name": "evenkeel",
        "version": __version__,
        "rules": [
            {
                "id": code,
                "name": RULES[code].name,
                "shortDescription": {"text": RULES[code].title},
                "fullDescription": {"text": RULES[code].title},
                "help": {"text": RULES[code].page.strip()},
            }
            for code in codes
        ],
    }
    run = {"tool": {"driver": driver}, "results": [_result(found) for found in findings]}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _result(found: Finding) -> dict[str, Any]:
    return {
        "ruleId": found.code,
        "level": found.severity.label,
        "message": {"text": f"{found.says}; {found.do}"},
        "locations": [_location(found.place)],
    }


def _location(place: str) -> dict[str, Any]:
    line = _LINE.match(place)
    if line is None:
        return {"logicalLocations": [{"fullyQualifiedName": place or "model", "kind": "member"}]}
    region = {"startLine": int(line[2])}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(line[1])}, "region": region}}


def _uri(file: str) -> str:
    """Relative to here, where code hosts look for it; of a file that lies elsewhere, where it lies."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
