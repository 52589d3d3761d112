"""Wire: the plainest possible clients of the platform, so that tests see bytes and codes and no SDK."""

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from notifier.sandbox.push.frames import Frame
from notifier.sandbox.testing import FeishuBox
from support.control_schema import DESCRIPTION, check_answer, is_known, set_description


class Reply:
    """status and headers as received; content is the parsed JSON, or {} for anything else."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        try:
            self.content: Any = json.loads(self.text)
        except ValueError:
            self.content = {}

    @property
    def code(self) -> Any:
        return self.content.get("code")

    @property
    def data(self) -> Any:
        return self.content["data"]


def call(box: FeishuBox, method: str, path: str, body: object = None, **headers: str) -> Reply:
    """One HTTP call. body: JSON, or bytes as they are. Answers of the control API must match its description."""
    reply = _call(box, method, path, body, **headers)
    if path.startswith("/api/") and path != DESCRIPTION:
        if not is_known():
            set_description(_call(box, "GET", DESCRIPTION).content)
        check_answer(method, path, reply.status, reply.content)
    return reply


def _call(box: FeishuBox, method: str, path: str, body: object = None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(box.url).netloc, timeout=20)
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, body=raw, headers={"Content-Type": "application/json", **headers})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def token(box: FeishuBox) -> str:
    reply = call(
        box,
        "POST",
        "/open-apis/auth/v3/tenant_access_token/internal",
        {"app_id": box.app_id, "app_secret": box.app_secret},
    )
    return str(reply.content["tenant_access_token"])


def api(box: FeishuBox, method: str, path: str, body: object = None) -> Reply:
    """A call of the app, with a good token."""
    return call(box, method, f"/open-apis{path}", body, Authorization=f"Bearer {token(box)}")


def send(box: FeishuBox, card_or_text: object, *, to: str = "ou_sandbox_lin", **more: object) -> Reply:
    """Sends a card, or a text if it is a string. more: members of the body to add or replace."""
    id_type = "chat_id" if to.startswith("oc_") else "open_id"
    body: dict[str, object] = {
        "receive_id": to,
        "msg_type": "interactive",
        "content": json.dumps(card_or_text),
    }
    if isinstance(card_or_text, str):
        body |= {"msg_type": "text", "content": json.dumps({"text": card_or_text})}
    return api(box, "POST", f"/im/v1/messages?receive_id_type={id_type}", {**body, **more})


def card(*elements: object, **more: object) -> dict[str, object]:
    """The smallest card around these elements."""
    body = list(elements) or [{"tag": "div", "text": {"tag": "plain_text", "content": "hello"}}]
    return {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": body}, **more}


def upload_form(box: FeishuBox, path: str, parts: list[tuple[str, bytes, str]]) -> Reply:
    """Uploads a form. parts: (name, content, more of the part's header)."""
    head = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = (
        b"".join(head.format(name, more).encode() + raw + b"\r\n" for name, raw, more in parts) + b"--x--\r\n"
    )
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Authorization": f"Bearer {token(box)}",
    }
    return call(box, "POST", f"/open-apis/im/v1/{path}", body, **headers)


class LongConnectionClient:
    """A client of the long connection that acknowledges only on request."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket

    def receive(self) -> Frame:
        raw = self.socket.recv(timeout=10)
        assert isinstance(raw, bytes)
        return Frame.from_bytes(raw)

    def acknowledge(self, frame: Frame, code: int = 200, data: object = None) -> None:
        content: dict[str, object] = {"code": code}
        if data is not None:
            content["data"] = base64.b64encode(json.dumps(data).encode()).decode()
        self.answer(frame, json.dumps(content).encode())

    def answer(self, frame: Frame, payload: bytes) -> None:
        echo = Frame(
            service=frame.service,
            method=frame.method,
            headers=(*frame.headers, ("biz_rt", "1")),
            payload=payload,
        )
        self.socket.send(echo.to_bytes())

    def event(self) -> tuple[Frame, Any]:
        frame = self.receive()
        return frame, json.loads(frame.payload or b"")


def discover(box: FeishuBox, app_id: str | None = None, app_secret: str | None = None) -> Reply:
    app_id = box.app_id if app_id is None else app_id
    app_secret = box.app_secret if app_secret is None else app_secret
    return call(box, "POST", "/callback/ws/endpoint", {"AppID": app_id, "AppSecret": app_secret})


@contextmanager
def listening(box: FeishuBox) -> Iterator[LongConnectionClient]:
    before = box.connections()
    with connect(discover(box).data["URL"], proxy=None) as socket:
        box.wait_for(lambda: box.connections() > before, "the listener is connected")
        yield LongConnectionClient(socket)
