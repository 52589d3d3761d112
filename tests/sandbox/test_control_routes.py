"""The table of routes: its description, and what each route answers to bad input."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from notifier.sandbox.app_console import AppSettings
from notifier.sandbox.control.server import build_app
from notifier.sandbox.control.table.all_routes import list_routes
from notifier.sandbox.control.table.entries import GROUPS
from notifier.sandbox.control.table.openapi import placeholders, write_page
from notifier.sandbox.control.table.schemas import SCHEMAS
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.sandbox.world.world import World
from sandbox.clients import Reply, call, card, send
from support.control_schema import check_schema, set_description

LIN = "7000000000000000001"
PAGE = Path(__file__).parents[2] / "docs" / "sandbox-api.md"


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(digest_command=("true",))) as running:
        yield running


@pytest.fixture(scope="module")
def description(box: FeishuBox) -> Any:
    found = call(box, "GET", "/api/openapi.json").content
    set_description(found)
    return found


async def test_every_route_of_the_server_is_described(description: Any) -> None:
    app = build_app(World(SandboxSettings()))
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and route.resource.canonical.startswith("/api/")
        and route.method != "HEAD"
    } - {("*", "/api/{rest}")}
    described = {
        (method.upper(), path) for path, operations in description["paths"].items() for method in operations
    }

    assert served == described


def test_the_description_is_a_complete_openapi_document(description: Any) -> None:
    assert "3.1.0" == description["openapi"]
    names = [
        operation["operationId"] for path in description["paths"].values() for operation in path.values()
    ]
    assert len(names) == len(set(names))
    for schema in description["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, operations in description["paths"].items():
        for operation in operations.values():
            in_path = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert placeholders(path) == in_path
            assert operation["summary"].endswith(".")
            assert operation["tags"][0] in GROUPS
            for answer in operation["responses"].values():
                for content in answer["content"].values():
                    Draft202012Validator.check_schema(content["schema"])
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(description)))
    assert set(SCHEMAS) == references


def bodies(description: Any) -> Iterator[tuple[str, Any, Any]]:
    for path, operations in description["paths"].items():
        if "requestBody" in operations.get("post", {}):
            content = operations["post"]["requestBody"]["content"]["application/json"]
            yield path, content["schema"], content["example"]


def test_each_example_matches_its_schema(description: Any) -> None:
    for path, schema, example in bodies(description):
        check_schema(schema, example, path)


def test_the_console_route_describes_every_setting(description: Any) -> None:
    [schema] = [schema for path, schema, _ in bodies(description) if path == "/api/console"]

    assert set(AppSettings.__slots__) == set(schema["properties"])


KNOWN = {
    "open_id": "ou_sandbox_lin",
    "chat_id": "oc_sandbox_hr",
    "account_id": LIN,
    "order_id": "o-none",
    "fault_id": "fault-0",
    "event_id": "ev_none",
    "log_id": "none",
    "file_key": "file_none",
    "name": "none",
    "message_id": "om_none",
    "reaction_id": "none",
    "id": "none",
}
"""A value for each placeholder: those of the sample people exist, the others do not."""


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: KNOWN[found[1]], path)


WRONG = {"string": 5, "integer": "five", "number": "five", "boolean": "yes", "array": {}, "object": []}


def wrong_values(schema: Any) -> Iterator[object]:
    """Values that do not match the schema of a member."""
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    yield WRONG[kind]
    if "enum" in schema:
        yield "none of them" if kind == "string" else -1
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if kind in ("integer", "number"):
        yield True
    if kind == "array":
        yield [5 if schema["items"].get("type") != "integer" else "five"]


def refused(reply: Reply, what: str) -> None:
    assert reply.status in (400, 404), f"{what}: HTTP {reply.status} {reply.text:.200}"
    sentence = reply.content["error"]
    assert 10 < len(sentence) < 1500, what
    assert "\n" not in sentence, what
    assert "Traceback" not in sentence, what


def test_each_route_refuses_what_its_schema_does_not_allow(box: FeishuBox, description: Any) -> None:
    """Each member in turn with a wrong type or value, and each required one left out."""
    tried = 0
    for path, schema, example in bodies(description):
        for name, member in schema.get("properties", {}).items():
            if not member.get("type"):  # refers to another schema, or can be anything
                continue
            for wrong in wrong_values(member):
                body = {**example, name: wrong}
                if path == "/api/messages" and name == "content":
                    body["msg_type"] = "text"
                refused(call(box, "POST", filled(path), body), f"{path} {body}")
                tried += 1
        if schema["additionalProperties"] is False:
            reply = call(box, "POST", filled(path), {**example, "member": 1})
            refused(reply, f"{path} with an unknown member")
            assert "'member'; allowed: " in reply.content["error"]
        for name in schema.get("required", []):
            body = {key: value for key, value in example.items() if key != name}
            refused(call(box, "POST", filled(path), body), f"{path} without {name}")
            tried += 1
    assert tried > 80


BAD_BODIES = (b"{", b"\xff", b"[]", b'"x"', b"[" * 100_000, b"null", b'{"a": "\\ud800"}', b'{"\\uDFFF": 1}')


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_body_that_is_no_json_object_is_refused(box: FeishuBox, description: Any, body: bytes) -> None:
    for path, _, _ in bodies(description):
        refused(call(box, "POST", filled(path), body), f"{path} {body[:20]!r}")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\xed\xa0\x80", b'name: "\\ud800"', b"a: b: c"])
@pytest.mark.parametrize("kind", ["application/yaml", "application/json"])
def test_a_world_that_cannot_be_read_is_refused(box: FeishuBox, kind: str, body: bytes) -> None:
    refused(call(box, "PUT", "/api/world", body, **{"Content-Type": kind}), kind)


def test_the_charset_of_a_body_is_not_asked_for(box: FeishuBox) -> None:
    """JSON is UTF-8, whatever the header says."""
    kind = {"Content-Type": "application/json; charset=nope"}

    assert 200 == call(box, "POST", "/api/release", b"{}", **kind).status


def test_each_route_refuses_unknown_query_parameters(box: FeishuBox, description: Any) -> None:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            reply = call(box, method.upper(), f"{filled(path)}?foo=1&app={box.app_id}")
            refused(reply, f"{method} {path}")
            assert "query parameter 'foo'; allowed: " in reply.content["error"] or reply.status == 404
            names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
            assert ", ".join([*names, "app"]) in reply.content["error"]


def test_unknown_ids_are_refused_with_404(box: FeishuBox, description: Any) -> None:
    tried = 0
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if not placeholders(path):
                continue
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            unknown = re.sub(r"\{\w+\}", "there-is-none", path)
            reply = call(box, method.upper(), unknown, content.get("example"))
            refused(reply, f"{method} {unknown}")
            is_fixed = path.endswith("/enter")  # each person has one private chat; any other is a wrong one
            assert is_fixed or reply.status == 404, f"{method} {unknown}"
            tried += 1
    assert tried > 8


@pytest.mark.parametrize(
    "query",
    ["wait=-1", "wait=61", "wait=nan", "wait=soon", "limit=0", "limit=1001", "limit=many", "after=none"],
)
@pytest.mark.parametrize("kind", ["messages", "events", "requests"])
def test_a_read_refuses_bad_parameters(box: FeishuBox, kind: str, query: str) -> None:
    refused(call(box, "GET", f"/api/{kind}?{query}"), query)


@pytest.mark.parametrize(
    "path",
    [
        "/messages?sender=bot",
        "/messages?open_id=ou_none",
        "/messages?open_id=ou_sandbox_lin&chat_id=oc_x",
        "/events?state=lost",
        "/requests?status=ok",
        "/requests?code=none",
    ],
)
def test_a_read_refuses_bad_filters(box: FeishuBox, path: str) -> None:
    refused(call(box, "GET", f"/api{path}"), path)


@pytest.mark.parametrize(
    "path, body, status",
    [
        ("/changes", {"changes": [{"account_id": "1"}]}, 404),
        ("/changes", {"changes": [{"account_id": []}]}, 404),
        ("/changes", {"changes": [{"account_id": LIN, "points": "5"}]}, 400),
        ("/changes", {"changes": [{"account_id": LIN, "points": True}]}, 400),
        ("/changes", {"changes": [{"account_id": LIN, "pionts": 5}]}, 400),
        ("/changes", {"changes": [{"account_id": LIN, "cash": []}]}, 400),
        ("/changes", {"changes": [{"account_id": LIN, "currency_form": "roman"}]}, 400),
        ("/events", {"frame_base64": "?"}, 400),
        ("/events", {}, 400),
        ("/events", {"event_type": "x"}, 400),
        ("/events", {"frame_base64": 5}, 400),
        ("/events", {"event_type": "", "event": {}}, 400),
        ("/clicks", {"message_id": "om_x", "open_id": "ou_x"}, 400),
        ("/people", {"name": " "}, 400),
        ("/clock", {"seconds": 10**300}, 400),
        ("/snapshots", {"name": "../x"}, 400),
        ("/snapshots", {"name": "x" * 65}, 400),
        ("/nothing", {}, 404),
    ],
)
def test_bad_input_is_refused_with_a_sentence(box: FeishuBox, path: str, body: object, status: int) -> None:
    reply = call(box, "POST", f"/api{path}", body)

    refused(reply, path)
    assert status == reply.status


def test_a_form_of_a_request_does_not_change_the_sandbox(box: FeishuBox) -> None:
    """The refused requests of this file leave the accounts as they were."""
    assert (120, 1) == (box.account(LIN)["points"], box.account(LIN)["status"])
    assert 0 == send(box, card()).code


async def test_the_page_lists_every_route() -> None:
    world = World(SandboxSettings())
    tables = write_page(list_routes(world.first, world), GROUPS)

    assert tables in PAGE.read_text(encoding="utf-8"), "see: python -m notifier.sandbox.control.table"
