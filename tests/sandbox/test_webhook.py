"""Webhook: the posts of the sandbox, how it handles the answers, and which URLs it accepts."""

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from Crypto.Cipher import AES

from notifier.sandbox.faults.running import BadFaultError
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import call, card, send

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
KEY, TOKEN = SandboxSettings().webhook_encrypt_key, SandboxSettings().webhook_verification_token


class App:
    """An app's address. answer: status and body for whatever is no check of it. posts: headers and raw bodies.
    proves: it refuses what is not rightly signed.
    """

    def __init__(self) -> None:
        self.url = ""
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.check: Callable[[str], bytes] = lambda challenge: json.dumps({"challenge": challenge}).encode()
        self.block: threading.Event | None = None
        self.checks_signature = False

    def take(self, headers: dict[str, str], raw: bytes) -> tuple[int, bytes]:
        self.posts.append((headers, raw))
        if self.checks_signature and not self.is_signed(headers, raw):
            return 401, b""
        plain = self.plain(raw)
        if plain.get("type") == "url_verification":
            return 200, self.check(plain["challenge"])
        if self.block is not None:
            self.block.wait(30)
        return self.answer

    def is_signed(self, headers: dict[str, str], raw: bytes) -> bool:
        before = headers["X-Lark-Request-Timestamp"] + headers["X-Lark-Request-Nonce"] + KEY
        return headers.get("X-Lark-Signature") == hashlib.sha256(before.encode() + raw).hexdigest()

    def plain(self, raw: bytes) -> Any:
        body = json.loads(raw)
        if "encrypt" not in body:
            return body
        sealed = base64.b64decode(body["encrypt"])
        cipher = AES.new(hashlib.sha256(KEY.encode()).digest(), AES.MODE_CBC, iv=sealed[:16])
        padded = cipher.decrypt(sealed[16:])
        return json.loads(padded[: -padded[-1]])

    @property
    def received_payloads(self) -> list[Any]:
        """What was posted, without the checks."""
        return [
            plain for _, raw in self.posts if (plain := self.plain(raw)).get("type") != "url_verification"
        ]


@contextmanager
def serving(app: App) -> Iterator[App]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status, body = app.take(dict(self.headers), raw)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    app.url = f"http://127.0.0.1:{server.server_port}/events"
    try:
        yield app
    finally:
        if app.block is not None:
            app.block.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def app() -> Iterator[App]:
    with serving(App()) as running:
        yield running


def test_an_event_is_posted_encrypted_signed_and_with_the_token(feishu_box: FeishuBox, app: App) -> None:
    assert "" == feishu_box.set_webhook(app.url)
    [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
    feishu_box.wait_for(lambda: feishu_box.event(event_id)["state"] == "acknowledged", "it is acknowledged")

    headers, raw = app.posts[-1]
    signed = headers["X-Lark-Request-Timestamp"] + headers["X-Lark-Request-Nonce"] + KEY
    assert hashlib.sha256(signed.encode() + raw).hexdigest() == headers["X-Lark-Signature"]
    assert abs(int(headers["X-Lark-Request-Timestamp"]) - feishu_box.state()["now_ms"] / 1000) < 60
    (payload,) = app.received_payloads
    assert (event_id, TOKEN) == (payload["header"]["event_id"], payload["header"]["token"])
    assert ["webhook"] == [push["connection"] for push in feishu_box.event(event_id)["pushes"]]


def test_without_a_key_it_is_plain(app: App) -> None:
    with FeishuBox(SandboxSettings(webhook_encrypt_key="")) as box:
        assert "" == box.set_webhook(app.url)
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
        box.wait_for(lambda: box.event(event_id)["state"] == "acknowledged", "it is acknowledged")

    headers, raw = app.posts[-1]
    assert TOKEN == json.loads(raw)["header"]["token"]
    assert "X-Lark-Signature" not in headers


@pytest.mark.parametrize("status", [500, 401, 302, 204])
def test_anything_but_200_is_pushed_again(feishu_box: FeishuBox, app: App, status: int) -> None:
    feishu_box.set_webhook(app.url)
    app.answer = status, b""
    [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
    feishu_box.wait_for(lambda: feishu_box.push_codes(event_id) == [status], "it was refused")
    app.answer = 200, b""
    feishu_box.advance(15)

    feishu_box.wait_for(lambda: feishu_box.push_codes(event_id) == [status, 200], "it was taken")
    assert 2 == len(app.received_payloads)


def test_no_answer_in_time_is_none(app: App) -> None:
    app.block = threading.Event()
    with FeishuBox(SandboxSettings(answer_seconds=0.1)) as box:
        box.set_webhook(app.url)
        message_id = send(box, card()).data["message_id"]
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
        box.wait_for(lambda: box.event(event_id)["pushes"], "it was pushed")

        assert 200341 == box.click(message_id, LIN, {"ref": "a"})["code"]
        assert [None] == box.push_codes(event_id)


def test_a_click_is_posted_and_its_answer_shown(feishu_box: FeishuBox, app: App) -> None:
    feishu_box.set_webhook(app.url)
    message_id = send(feishu_box, card()).data["message_id"]
    toast, done = {"type": "success", "content": "好"}, card({"tag": "hr"})
    app.answer = 200, json.dumps({"toast": toast, "card": {"type": "raw", "data": done}}).encode()

    clicked = feishu_box.click(message_id, LIN, {"ref": "a"})

    assert (0, toast, True) == (clicked["code"], clicked["toast"], clicked["card_updated"])
    assert done == feishu_box.all_messages()[-1]["content"]
    (payload,) = app.received_payloads
    assert ("card.action.trigger", TOKEN) == (payload["header"]["event_type"], payload["header"]["token"])
    assert payload["event"]["token"].startswith("c-")


@pytest.mark.parametrize(
    "answer, code",
    [((200, b""), 0), ((200, b"{}"), 0), ((500, b""), 200671), ((302, b""), 200671), ((200, b"ok"), 200672)],
)
def test_a_bad_answer_to_a_click_is_shown_as_its_code(
    feishu_box: FeishuBox, app: App, answer: tuple[int, bytes], code: int
) -> None:
    feishu_box.set_webhook(app.url)
    app.answer = answer

    assert code == feishu_box.click(send(feishu_box, card()).data["message_id"], LIN, {})["code"]


def test_a_stopped_app_is_not_reached(feishu_box: FeishuBox) -> None:
    with serving(App()) as gone:
        assert "" == feishu_box.set_webhook(gone.url)
    message_id = send(feishu_box, card()).data["message_id"]
    [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)

    assert 200342 == feishu_box.click(message_id, LIN, {})["code"]
    feishu_box.wait_for(lambda: feishu_box.push_codes(event_id) == [None], "it was tried")


@pytest.mark.parametrize("answer", [b"", b"ok", b"[]", b'{"challenge": "another"}'])
def test_an_address_that_fails_the_check_is_refused(feishu_box: FeishuBox, app: App, answer: bytes) -> None:
    app.check = lambda _: answer

    assert "the answer is not" in feishu_box.set_webhook(app.url)
    assert "" == feishu_box.state()["webhook_url"]


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "https://127.0.0.1/x", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/", "x"],
)
def test_only_this_machine_is_posted_to(feishu_box: FeishuBox, url: str) -> None:
    with pytest.raises(BadWebhookError, match="loopback"):
        feishu_box.set_webhook(url)
    with pytest.raises(BadWebhookError, match="loopback"), FeishuBox(SandboxSettings(webhook_url=url)):
        pass


def test_it_is_set_over_http_too(feishu_box: FeishuBox, app: App) -> None:
    def post(body: object) -> tuple[int, Any]:
        reply = call(feishu_box, "POST", "/api/webhook", body)
        return reply.status, reply.content

    assert (200, {"url": app.url}) == post({"url": app.url})
    assert app.url == feishu_box.state()["webhook_url"]
    assert (400, {"error": '"url" must be text'}) == post({"url": 7})
    assert "loopback" in post({"url": "http://example.com"})[1]["error"]
    app.check = lambda _: b"no"
    assert "did not pass the check" in post({"url": app.url})[1]["error"]
    assert (200, {"url": ""}) == post({"url": ""})
    assert "" == feishu_box.state()["webhook_url"]


def test_what_waits_is_posted_as_soon_as_the_app_is_up(app: App) -> None:
    """The sandbox has the URL before the app starts, as with `notifier sandbox --webhook`."""
    with FeishuBox(SandboxSettings(webhook_url=app.url, opening_events=True)) as box:
        box.wait_for(lambda: box.unacknowledged() == 0, "all balances are acknowledged")
    assert 4 == len(app.received_payloads)


def test_back_on_the_long_connection_nothing_is_posted(feishu_box: FeishuBox, app: App) -> None:
    feishu_box.set_webhook(app.url)
    feishu_box.set_webhook("")
    [event_id] = feishu_box.change_balance(LIN_ACCOUNT, points=5)
    feishu_box.wait_for(lambda: feishu_box.push_codes(event_id) == [None], "no client was connected")

    assert [] == app.received_payloads


@pytest.mark.parametrize("damage", ["bytes", "header", "chunk"])
def test_a_damaged_post_is_whole_the_next_time(app: App, damage: str) -> None:
    with FeishuBox(SandboxSettings(redelivery_seconds=(0.1,))) as box:
        box.set_webhook(app.url)
        app.checks_signature = True
        box.start_fault("corrupt", damage=damage)
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)

        box.wait_for(lambda: box.push_codes(event_id) == [401, 200], "it came whole")


def test_in_a_black_hole_nothing_is_posted(app: App) -> None:
    with FeishuBox(SandboxSettings(answer_seconds=0.1, redelivery_seconds=(0.1,) * 50)) as box:
        box.set_webhook(app.url)
        checks = len(app.posts)
        box.start_fault("black_hole")
        [event_id] = box.change_balance(LIN_ACCOUNT, points=5)
        box.wait_for(lambda: len(box.push_codes(event_id)) > 1, "it is tried again")
        posted = len(app.posts) - checks
        box.end_all_faults()
        box.wait_for(lambda: box.push_codes(event_id)[-1] == 200, "it is posted")

    assert 0 == posted


def test_faults_of_the_long_connection_cannot_be_started_with_a_webhook(
    feishu_box: FeishuBox, app: App
) -> None:
    feishu_box.set_webhook(app.url)

    with pytest.raises(BadFaultError, match="half_open needs the long connection"):
        feishu_box.start_fault("half_open")
    feishu_box.set_webhook("")
    assert feishu_box.start_fault("half_open")
