"""Requests that no client should send: each gets an answer in the form of the API that was called."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from notifier.sandbox.api.app_info import AppInfoApi
from notifier.sandbox.api.gateway import UNKNOWN_CALL
from notifier.sandbox.control import calls_page
from notifier.sandbox.control.page_api import ControlApi
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, send, token

HALF = "a\ud800b"
MESSAGES = "/open-apis/im/v1/messages?receive_id_type=open_id"


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox() as running:
        yield running


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_half_a_surrogate_pair_in_a_message_is_refused(box: FeishuBox, place: str) -> None:
    """outside: an escape of the body. inside: one of the JSON text in `content`."""
    content = f'{{"text": "{HALF}"}}' if place == "outside" else json.dumps({"text": HALF})
    before = len(box.messages("ou_sandbox_lin"))

    reply = send(box, "", content=content)

    assert (400, 9499 if place == "outside" else 230001) == (reply.status, reply.code)
    assert "surrogate" in reply.content["msg"]
    assert before == len(box.messages("ou_sandbox_lin"))


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/open-apis/auth/v3/tenant_access_token/internal"),
        ("POST", "/callback/ws/endpoint"),
        ("POST", MESSAGES),
        ("PATCH", "/open-apis/im/v1/messages/om_none"),
        ("POST", "/open-apis/cardkit/v1/cards"),
        ("POST", "/open-apis/bot/v2/hook/none"),
    ],
)
@pytest.mark.parametrize(
    "body, kind",
    [
        (b'{"app_id": "\\ud800"}', "application/json"),
        (b'{"app_id": "\xed\xa0\x80"}', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"app_id": ' + b"[" * 100_000, "application/json"),
        (b"{}", "application/json; charset=nope"),
        (b"app_id=%ED%A0%80", "application/x-www-form-urlencoded; charset=nope"),
        (b"app_id=\xff", "application/x-www-form-urlencoded"),
        (b"--x", "multipart/form-data; boundary=x"),
    ],
)
def test_a_body_that_cannot_be_read_gets_an_answer(
    box: FeishuBox, method: str, path: str, body: bytes, kind: str
) -> None:
    box.add_call_fault(
        {"match": "GET /open-apis/none", "action": "hang"}
    )  # a rule that reads the body of each call
    authorization = f"Bearer {token(box)}"
    reply = call(box, method, path, body, **{"Content-Type": kind, "Authorization": authorization})

    assert reply.status < 500, reply.text
    assert isinstance(reply.code, int)


@pytest.mark.parametrize("query", ["%ED%A0%80", "%FF", "%00"])
def test_a_query_that_is_no_text_gets_an_answer(box: FeishuBox, query: str) -> None:
    assert 200 == call(box, "GET", f"/api/messages?contains={query}").status
    assert 400 == api(box, "GET", f"/im/v1/messages?container_id={query}&container_id_type=chat").status
    assert 404 == call(box, "GET", f"/api/events/{query}").status


def test_an_unexpected_error_is_logged_and_answered_as_json(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(ControlApi, "read_clock", fail)
    monkeypatch.setattr(AppInfoApi, "bot", fail)
    with FeishuBox() as broken:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{broken.url}/api/clock")
        reply = api(broken, "GET", "/bot/v3/info")
        [logged] = call(broken, "GET", "/api/requests?path=/open-apis/bot").content["requests"]

    assert 500 == caught.value.code
    assert "failed to answer" in json.loads(caught.value.read())["error"]
    assert (500, 2200, reply.headers["X-Tt-Logid"]) == (
        reply.status,
        reply.code,
        reply.content["error"]["log_id"],
    )
    assert (500, 2200) == (logged["status"], logged["code"])
    assert ["broken on purpose"] * 2 == [str(one.exc_info[1]) for one in caplog.records if one.exc_info]


def test_a_call_that_the_list_names_as_missing_is_unknown(box: FeishuBox) -> None:
    missing = re.findall(
        rf"^\| `(\w+) ([^`]+)` \| {calls_page.MISSING}", calls_page.calls_table(), re.MULTILINE
    )

    assert len(missing) > 20
    for method, path in missing:
        filled = re.sub(r"\{\w+\}", "cli_5a4db0c05a4db0c0", path)
        assert UNKNOWN_CALL == api(box, method, f"/{filled}").code, f"{method} {path}"
        assert f"{method} /open-apis/{filled}" in box.state()["unknown_calls"]
