"""Compares answers of the control API with its own description."""

import re
from typing import Any

from jsonschema import Draft202012Validator

DESCRIPTION = "/api/openapi.json"
_known: dict[str, Any] = {}


def set_description(description: dict[str, Any]) -> None:
    """Called once, with the answer of GET /api/openapi.json."""
    _known.update(description)


def is_known() -> bool:
    return bool(_known)


def find_operation(method: str, path: str) -> dict[str, Any]:
    """The operation for a call. The path may have a query."""
    plain = path.partition("?")[0]
    if plain in _known["paths"]:  # /messages before /{name}
        return dict(_known["paths"][plain].get(method.lower(), {}))
    for template, operations in _known["paths"].items():
        if method.lower() in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            return dict(operations[method.lower()])
    return {}


def check_schema(schema: dict[str, Any], content: object, what: str) -> None:
    """Fails with the first difference between the content and its schema."""
    whole = {**schema, "components": _known["components"]}  # references begin at the root
    validator = Draft202012Validator(whole)
    for error in validator.iter_errors(content):
        raise AssertionError(f"{what}: {error.json_path}: {error.message:.300}")


def check_answer(method: str, path: str, status: int, content: object) -> None:
    """Fails for an answer that the description does not have."""
    operation = find_operation(method, path)
    if not operation:
        assert 404 == status, f"{method} {path} is not described"
        return
    answers = operation["responses"]
    if status == 403:  # another origin or host; before any route
        return
    assert str(status) in answers, f"{method} {path}: HTTP {status} is not described"
    schema = answers[str(status)]["content"].get("application/json", {}).get("schema")
    if schema is not None:
        check_schema(schema, content, f"{method} {path}")
