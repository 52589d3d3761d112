"""Custom bots of groups: what their webhook address takes and refuses."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from notifier.sandbox.push.clicks import BadClickError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, api, call, card

HR, NOW = "oc_sandbox_hr", 1_700_000_000
TEXT = {"msg_type": "text", "content": {"text": "disk full"}}
POST = {"zh_cn": {"title": "disk full", "content": [[{"tag": "text", "text": "now"}]]}}


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    settings = SandboxSettings(clock=lambda: float(NOW), image_keys=frozenset({"img_known"}))
    with FeishuBox(settings) as found:
        yield found


def post(box: FeishuBox, hook: dict[str, Any], body: object) -> Reply:
    return call(box, "POST", urlsplit(hook["url"]).path, body)


def signed(secret: str, timestamp: int) -> dict[str, object]:
    """The signature as Feishu's guide describes it."""
    key = f"{timestamp}\n{secret}".encode()
    sign = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    return {"timestamp": str(timestamp), "sign": sign}


@pytest.mark.parametrize(
    "body, content",
    [
        (TEXT, {"text": "disk full"}),
        ({"msg_type": "post", "content": {"post": POST}}, POST),
        ({"msg_type": "image", "content": {"image_key": "img_known"}}, {"image_key": "img_known"}),
        ({"msg_type": "share_chat", "content": {"share_chat_id": HR}}, {"chat_id": HR}),
        ({"msg_type": "interactive", "card": card()}, card()),
        ({"msg_type": "interactive", "card": json.dumps(card())}, card()),
    ],
)
def test_a_webhook_posts_into_its_group(box: FeishuBox, body: object, content: object) -> None:
    reply = post(box, box.add_hook(HR), body)

    expected = {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}
    assert (200, expected) == (reply.status, reply.content)
    newest = box.messages(HR)[-1]
    assert (content, True) == (newest["content"], newest["is_of_custom_bot"])


def test_the_app_cannot_change_the_card_of_a_custom_bot(box: FeishuBox) -> None:
    post(box, box.add_hook(HR), {"msg_type": "interactive", "card": card()})
    message_id = box.messages(HR)[-1]["message_id"]

    assert 230001 == api(box, "PATCH", f"/im/v1/messages/{message_id}", {"content": json.dumps(card())}).code
    with pytest.raises(BadClickError, match="custom bots"):
        box.click(message_id, "ou_sandbox_lin", {"op": "x"})


@pytest.mark.parametrize(
    "body, status, code",
    [
        ({}, 400, 9499),
        ({"msg_type": "text", "content": {}}, 400, 9499),
        ({"msg_type": "text", "content": "text"}, 400, 9499),
        ({"msg_type": "file", "content": {"file_key": "x"}}, 400, 9499),
        ({"msg_type": "post", "content": {"zh_cn": {}}}, 400, 9499),
        ({"msg_type": "image", "content": {"image_key": "img_unknown"}}, 400, 9499),
        ({"msg_type": "share_chat", "content": {"share_chat_id": "oc_other"}}, 400, 9499),
        ({"msg_type": "text", "content": {"text": "x" * 20 * 1024}}, 400, 9499),
        ({"msg_type": "interactive", "card": card({"tag": "note"})}, 200, 11246),
        ({"msg_type": "interactive", "card": "{"}, 200, 11246),
        (b"not json", 400, 9499),
    ],
)
def test_wrong_content_is_refused_and_posts_nothing(
    box: FeishuBox, body: object, status: int, code: int
) -> None:
    before = len(box.messages(HR))
    reply = post(box, box.add_hook(HR), body)

    assert (status, code) == (reply.status, reply.code)
    assert before == len(box.messages(HR))


def test_an_unknown_token_is_refused_with_http_200(box: FeishuBox) -> None:
    reply = call(box, "POST", "/open-apis/bot/v2/hook/unknown", TEXT)

    assert (200, 19001, {}) == (reply.status, reply.code, reply.data)
    assert "incoming webhook access token invalid" in reply.content["msg"]


def test_a_keyword_must_be_in_a_text_and_not_in_an_address(box: FeishuBox) -> None:
    hook = box.add_hook(HR, keywords=["alert", "disk"])
    link = [[{"tag": "a", "text": "here", "href": "https://example.com/alert"}]]
    linked = {"msg_type": "post", "content": {"post": {"en_us": {"title": "x", "content": link}}}}
    cards = {"msg_type": "interactive", "card": card({"tag": "markdown", "content": "an alert"})}

    assert [0, 19024, 0] == [post(box, hook, body).code for body in (TEXT, linked, cards)]


def test_a_signature_is_checked_with_a_time_within_an_hour(box: FeishuBox) -> None:
    hook = box.add_hook(HR, is_signed=True)
    now = box.state()["now_ms"] // 1000
    attempts = [
        signed(hook["secret"], now),
        signed(hook["secret"], now - 3600),
        signed(hook["secret"], now - 3601),
        signed("other", now),
        {**signed(hook["secret"], now), "timestamp": str(now + 1)},
    ]

    assert [0, 0, 19021, 19021, 19021] == [post(box, hook, {**TEXT, **attempt}).code for attempt in attempts]
    box.advance(1)
    assert 19021 == post(box, hook, TEXT).code
    assert 0 == post(box, box.add_hook(HR), {**TEXT, "timestamp": "x", "sign": "y"}).code


def test_one_bot_takes_five_requests_a_second_and_a_hundred_a_minute(box: FeishuBox) -> None:
    hook, other = box.add_hook(HR), box.add_hook(HR)

    assert [0] * 5 + [11232] == [post(box, hook, TEXT).code for _ in range(6)]
    assert 0 == post(box, other, TEXT).code
    for _ in range(19):
        box.advance(1)
        assert [0] * 5 == [post(box, hook, TEXT).code for _ in range(5)]
    box.advance(1)
    assert 11232 == post(box, hook, TEXT).code
    box.advance(60)
    assert 0 == post(box, hook, TEXT).code


def test_hooks_are_added_over_http(box: FeishuBox) -> None:
    body = {"name": "Alerts (sample)", "keywords": ["disk"], "is_signed": True}
    hook = call(box, "POST", f"/api/groups/{HR}/hooks", body).content

    assert (HR, "Alerts (sample)", ["disk"]) == (hook["chat_id"], hook["name"], hook["keywords"])
    assert hook["url"].startswith(f"{box.url}/open-apis/bot/v2/hook/")
    assert 0 == post(box, hook, {**TEXT, **signed(hook["secret"], box.state()["now_ms"] // 1000)}).code
    assert 404 == call(box, "POST", "/api/groups/oc_unknown/hooks", {}).status
    for wrong in ("disk", [5], ["x"] * 11):
        assert 400 == call(box, "POST", f"/api/groups/{HR}/hooks", {"keywords": wrong}).status
