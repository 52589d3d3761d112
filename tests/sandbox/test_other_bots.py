"""Calls that other bots and SDKs make at the sandbox, and that our own program does not need."""

import io
import json
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox


def token(box: FeishuBox, *, slash: str = "") -> str:
    body = {"app_id": box.app_id, "app_secret": box.app_secret}
    found = call(box, "POST", f"/open-apis/auth/v3/tenant_access_token/internal{slash}", body, bearer="")
    return str(found["tenant_access_token"])


def call(
    box: FeishuBox, method: str, path: str, body: Any = None, *, bearer: str | None = None
) -> dict[str, Any]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    if bearer != "":
        headers["Authorization"] = f"Bearer {bearer or token(box)}"
    request = urllib.request.Request(box.url + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {"status": answer.status, **json.load(answer)}
    except urllib.error.HTTPError as refused:
        return {"status": refused.code, **json.load(refused)}


def test_a_bot_learns_who_it_is(feishu_box: FeishuBox) -> None:
    """Node's LarkChannel, nonebot's adapter and Satori ask this first, and stop without an answer."""
    found = call(feishu_box, "GET", "/open-apis/bot/v3/info")

    assert (200, 0, 2) == (found["status"], found["code"], found["bot"]["activate_status"])
    assert found["bot"]["avatar_url"].startswith("https://")
    assert found["bot"]["open_id"].startswith("ou_")


def test_the_token_call_with_a_slash_at_its_end(feishu_box: FeishuBox) -> None:
    assert token(feishu_box, slash="/")


@pytest.mark.parametrize(
    "path",
    ["/open-apis/calendar/v4/calendars", "/open-apis/drive/v1/files", "/callback/x"],
)
def test_an_unknown_call_is_answered_in_json_and_counted(feishu_box: FeishuBox, path: str) -> None:
    found = call(feishu_box, "GET", path)

    assert (404, 404) == (found["status"], found["code"])
    assert f"GET {path}" in found["msg"]
    assert {f"GET {path}": 1} == feishu_box.state()["unknown_calls"]


def test_several_people_at_once_are_no_person_of_that_name(feishu_box: FeishuBox) -> None:
    path = "/open-apis/contact/v3/users/batch?user_ids=ou_sandbox_lin&user_ids=ou_sandbox_zhou&user_ids=ou_x"
    found = call(feishu_box, "GET", path)

    assert ["ou_sandbox_lin", "ou_sandbox_zhou"] == [each["open_id"] for each in found["data"]["items"]]


def test_the_official_sdk_uploads_a_file_without_a_name_of_the_part(feishu_box: FeishuBox) -> None:
    import lark_oapi as lark  # noqa: PLC0415 - seconds and 130 MB, which not each test process needs
    from lark_oapi.api.im.v1 import CreateFileRequest, CreateFileRequestBody  # noqa: PLC0415 - see above

    client = (
        lark.Client.builder()
        .app_id(feishu_box.app_id)
        .app_secret(feishu_box.app_secret)
        .domain(feishu_box.url)
        .build()
    )
    content = bytes(range(256))
    body = (
        CreateFileRequestBody.builder()
        .file_type("stream")
        .file_name("a.bin")
        .file(io.BytesIO(content))
        .build()
    )
    answer = client.im.v1.file.create(CreateFileRequest.builder().request_body(body).build())

    assert answer.success(), answer.msg
    assert content == feishu_box.file(answer.data.file_key)


@pytest.mark.parametrize(
    "form_type, body",
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"\x00\xff"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nab'),
    ],
)
def test_a_damaged_form_is_answered_in_json(feishu_box: FeishuBox, form_type: str, body: bytes) -> None:
    headers = {"Content-Type": form_type, "Authorization": f"Bearer {token(feishu_box)}"}
    request = urllib.request.Request(f"{feishu_box.url}/open-apis/im/v1/files", data=body, headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)

    assert (400, 234001) == (refused.value.code, json.load(refused.value)["code"])


@pytest.fixture
def answering() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A webhook that answers 200 with the given body; its address and the body."""
    said = {"body": b""}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = (
                json.dumps({"challenge": sent["challenge"]}).encode() if "challenge" in sent else said["body"]
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/events", said
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "body, state",
    [
        (b"", "acknowledged"),
        (b"{}", "acknowledged"),
        (b'{"code":0}', "acknowledged"),
        (b"null", "acknowledged"),
        (b"<html>hello</html>", "waiting"),
        (b'"no handler"', "waiting"),
    ],
)
def test_an_answer_of_200_that_no_app_gives_is_not_delivered(
    answering: tuple[str, dict[str, bytes]], body: bytes, state: str
) -> None:
    url, said = answering
    said["body"] = body
    with FeishuBox(SandboxSettings(webhook_encrypt_key="", webhook_verification_token="t")) as box:
        assert "" == box.set_webhook(url)
        (event_id,) = box.change_balance("7000000000000000001", points=1)
        box.wait_for(lambda: bool(box.push_codes(event_id)) and box.push_codes(event_id)[0], "it was pushed")

        assert state == box.event(event_id)["state"]
