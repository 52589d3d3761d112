"""Finds the line of a fault in a file of the card builder, whose errors name the variable or the button only."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from notifier.cards.lint_findings import LintFinding, LintPlace
from notifier.cards.positions.json_positions import JsonPositions

_UNKNOWN_VARIABLE = re.compile(r"there is no variable (\w+)")
_BUTTON_VALUE = "the value of a button must be"

_Path = tuple[str | int, ...]


def place_in_builder_file(finding: LintFinding, text: str) -> LintFinding:
    """Return a finding with its line in the file. text: the file, as JSON. Without a known line it stays as it is."""
    if finding.place is None:
        return finding
    unknown = _UNKNOWN_VARIABLE.search(finding.message)
    positions = JsonPositions(text)
    if unknown is not None:
        used = re.search(rf"\$\{{\s*{re.escape(unknown[1])}\s*\}}", text)
        found = positions.position_of(used.start()) if used else None
    elif _BUTTON_VALUE in finding.message:
        document = json.loads(text)
        path = next(_find_wrong_values((), document), None)
        found = None if path is None else positions.line_and_column(path, document)
    else:
        found = None
    if found is None:
        return finding
    return replace(finding, place=LintPlace(file=finding.place.file, line=found[0], column=found[1]))


def _find_wrong_values(path: _Path, node: object) -> Iterator[_Path]:
    """Yield the paths of callbacks whose value is not a reference alone."""
    if isinstance(node, dict):
        value = node.get("value")
        if node.get("type") == "callback" and not (isinstance(value, dict) and set(value) == {"ref"}):
            yield (*path, "value")
        for key, member in node.items():
            yield from _find_wrong_values((*path, key), member)
    elif isinstance(node, list):
        for index, member in enumerate(node):
            yield from _find_wrong_values((*path, index), member)
