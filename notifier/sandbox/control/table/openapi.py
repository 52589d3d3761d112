"""The OpenAPI 3.1 description of the control API, and the page docs/sandbox-api.md, made from the table of routes."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from notifier.sandbox.control.routes import API, ControlRoute, Schema
from notifier.sandbox.error_codes import JsonObject

TITLE = "Control API of the Feishu sandbox"
INTRODUCTION = (
    "For scripts, tests and the page. JSON in and out. Refused requests get HTTP 400 or 404 with one sentence in "
    "`error`. The platform's own calls are under /open-apis and not described here."
)
REFUSED = {"400": "The input is invalid.", "404": "It names something that does not exist."}


def describe_routes(
    routes: Iterable[ControlRoute], schemas: Mapping[str, Schema], groups: Sequence[str]
) -> JsonObject:
    """The OpenAPI document. schemas: by name, for references. groups: the sections, in order."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.full_path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": INTRODUCTION, "version": "1"},
        "servers": [{"url": "/"}],
        "tags": [{"name": group} for group in groups],
        "paths": paths,
        "components": {"schemas": dict(schemas)},
    }


def _operation(route: ControlRoute) -> JsonObject:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in placeholders(route.path)
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in route.query.items()
    ]
    operation: JsonObject = {
        "tags": [route.group],
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {route.content_type: {"schema": route.answer}}},
            **{
                status: {
                    "description": reason,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, reason in REFUSED.items()
            },
        },
    }
    if route.body is not None:
        content: JsonObject = {"schema": route.body, "example": route.example}
        operation["requestBody"] = {
            "required": bool(route.body.get("required")),
            "content": {"application/json": content},
        }
    return operation


def placeholders(path: str) -> list[str]:
    """The names of the placeholders in a path."""
    return re.findall(r"\{(\w+)\}", path)


def operation_id(route: ControlRoute) -> str:
    """A unique name, such as post_events_event_id_push."""
    words = re.findall(r"\w+", route.path.replace("-", "_"))
    return "_".join([route.method.lower(), *words])


def write_page(routes: Sequence[ControlRoute], groups: Sequence[str]) -> str:
    """The text of the tables in docs/sandbox-api.md: one section per group, one row per route."""
    sections = []
    for group in groups:
        rows = [_row(route) for route in routes if route.group == group]
        head = "| route | what it does | body or query |\n| --- | --- | --- |"
        sections.append("\n".join([f"## {group}", "", head, *rows]))
    return "\n\n".join(sections) + "\n"


def _row(route: ControlRoute) -> str:
    if route.query:
        given = ", ".join(f"`{name}`" for name in route.query)
    elif route.example:
        given = f"`{json.dumps(route.example, ensure_ascii=False)}`"
    else:
        given = ""
    return f"| `{route.method} {route.full_path.removeprefix(API)}` | {route.summary} | {given} |"
