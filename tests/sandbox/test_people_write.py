"""People write: real messages with real ids, whose events go out only as the platform lets them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from notifier.sandbox.chat.people import BadActionError
from notifier.sandbox.event_types import PUSHABLE_EVENTS
from notifier.sandbox.settings import DEFAULT_SCOPES, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call

LIN, CHEN, GROUP = "ou_sandbox_lin", "ou_sandbox_chen", "oc_sandbox_hr"
LIN_CHAT = "oc_sandbox_p2p_lin"


@pytest.fixture(scope="module")
def shared_box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings()) as box:
        yield box


@pytest.fixture
def box(shared_box: FeishuBox) -> FeishuBox:
    shared_box.set_scopes(DEFAULT_SCOPES)
    return shared_box


def newest(box: FeishuBox) -> tuple[str, Any]:
    """The type and the content of the newest event."""
    (event,) = box.newest_events(1)
    return event["event_type"], json.loads(box.payload(event["event_id"]))["event"]


def wire(box: FeishuBox, message_id: str) -> Any:
    """The message as the app reads it."""
    (message,) = api(box, "GET", f"/im/v1/messages/{message_id}").data["items"]
    return message


def test_a_private_message_is_readable_and_its_event_goes_out(box: FeishuBox) -> None:
    message_id = box.write(LIN, "余额")

    event_type, event = newest(box)
    message = event["message"]
    assert ("im.message.receive_v1", message_id, "p2p") == (
        event_type,
        message["message_id"],
        message["chat_type"],
    )
    assert {"text": "余额"} == json.loads(message["content"])
    assert LIN == event["sender"]["sender_id"]["open_id"]
    read = wire(box, message_id)
    assert (message_id, "user", LIN, LIN_CHAT) == (
        read["message_id"],
        read["sender"]["sender_type"],
        read["sender"]["id"],
        read["chat_id"],
    )
    assert message["content"] == read["body"]["content"]


def test_a_mention_of_the_bot_is_a_placeholder_with_an_entry(box: FeishuBox) -> None:
    message_id = box.write(CHEN, '<at user_id="ou_sandbox_lin"></at> balance', chat_id=GROUP)

    message = newest(box)[1]["message"]
    bot, lin = message["mentions"]
    assert {"text": "@_user_1 @_user_2 balance"} == json.loads(message["content"])
    assert ("@_user_1", "ou_sandbox_bot", "bot") == (bot["key"], bot["id"]["open_id"], bot["mentioned_type"])
    assert ("@_user_2", LIN, "user") == (lin["key"], lin["id"]["open_id"], lin["mentioned_type"])
    assert ["@_user_1", "@_user_2"] == [each["key"] for each in wire(box, message_id)["mentions"]]


@pytest.mark.parametrize(
    "place, scope",
    [
        ({}, "im:message.p2p_msg:readonly"),
        ({"chat_id": GROUP}, "im:message.group_at_msg:readonly"),
        ({"chat_id": GROUP, "mention_bot": False}, "im:message.group_msg"),
    ],
    ids=["private", "group with @bot", "group without"],
)
def test_a_message_is_pushed_with_its_scope_only(box: FeishuBox, place: Any, scope: str) -> None:
    all_scopes = {*DEFAULT_SCOPES, "im:message.group_msg"}
    wanted = {"im:message.group_msg", scope} if scope == "im:message.group_at_msg:readonly" else {scope}
    box.set_scopes(all_scopes - wanted)
    before = len(box.events())
    silent = box.write(LIN, "hi", **place)
    box.set_scopes({scope, *DEFAULT_SCOPES})
    pushed = box.write(LIN, "hi", **place)

    assert 1 == len(box.events()) - before
    assert pushed == newest(box)[1]["message"]["message_id"]
    assert {silent, pushed} <= {message["message_id"] for message in box.all_messages()}


def test_replies_belong_to_the_first_message_of_the_chain(box: FeishuBox) -> None:
    first = box.write(LIN, "one")
    body = {"msg_type": "text", "content": '{"text": "two"}'}
    second = api(box, "POST", f"/im/v1/messages/{first}/reply", body).data
    third = box.write(LIN, "three", reply_to=second["message_id"])

    assert (first, first) == (second["root_id"], second["parent_id"])
    message = newest(box)[1]["message"]
    assert (third, first, second["message_id"]) == (
        message["message_id"],
        message["root_id"],
        message["parent_id"],
    )
    assert "thread_id" not in message


def test_a_thread_keeps_its_id_for_every_reply(box: FeishuBox) -> None:
    first = box.write(LIN, "one", chat_id=GROUP)
    body = {"msg_type": "text", "content": '{"text": "two"}', "reply_in_thread": True}
    second = api(box, "POST", f"/im/v1/messages/{first}/reply", body).data
    third = box.write(CHEN, "three", chat_id=GROUP, reply_to=second["message_id"])

    thread_ids = {wire(box, each)["thread_id"] for each in (first, second["message_id"], third)}
    assert {newest(box)[1]["message"]["thread_id"]} == thread_ids
    assert all(each.startswith("omt_") for each in thread_ids)


def test_the_menu_sends_its_key_and_seconds(box: FeishuBox) -> None:
    box.press_menu(LIN, "balance")

    event_type, event = newest(box)
    assert ("application.bot.menu_v6", "balance", LIN) == (
        event_type,
        event["event_key"],
        event["operator"]["operator_id"]["open_id"],
    )
    assert 10 == len(str(event["timestamp"]))
    with pytest.raises(BadActionError, match="items: balance"):
        box.press_menu(LIN, "nothing")


def test_the_control_api_writes_too(box: FeishuBox) -> None:
    body = {"open_id": LIN, "msg_type": "file", "content": {"file_name": "a.txt", "base64": "aGk="}}
    written = call(box, "POST", "/api/messages", body).content

    assert [newest(box)[1]["message"]["message_id"]] == [written["message_id"]]
    content = json.loads(newest(box)[1]["message"]["content"])
    assert ("a.txt", b"hi") == (content["file_name"], box.file(content["file_key"]))
    assert [written["event_ids"][0]] == [event["event_id"] for event in box.newest_events(1)]
    menu = call(box, "POST", "/api/menu", {"open_id": LIN, "event_key": "help"}).content
    assert menu["event_ids"] == [event["event_id"] for event in box.newest_events(1)]


@pytest.mark.parametrize(
    "body, status, error",
    [
        ({"open_id": "ou_nobody", "text": "hi"}, 404, "no person"),
        ({"open_id": LIN, "text": " "}, 400, "empty"),
        ({"open_id": LIN}, 400, "empty"),
        ({"open_id": LIN, "text": "hi", "chat_id": "oc_sandbox_p2p_chen"}, 404, "no chat"),
        ({"open_id": LIN, "text": "hi", "reply_to": "om_none"}, 404, "no message"),
        ({"open_id": LIN, "msg_type": "audio", "content": {}}, 400, "text, post, image, file"),
        ({"open_id": LIN, "msg_type": "image", "content": {"image_key": "img_none"}}, 404, "no image"),
        ({"open_id": LIN, "msg_type": "image", "content": {"base64": "aGk="}}, 400, "no image of a type"),
        ({"open_id": LIN, "text": "hi", "mention_bot": 1}, 400, "true or false"),
        ({"open_id": LIN, "text": "a\ud800b"}, 400, "surrogate"),
        ({"open_id": LIN, "text": "hi", "chatid": "oc_x"}, 400, "'chatid'; allowed: open_id, chat_id,"),
    ],
)
def test_what_a_person_cannot_write_is_refused(box: FeishuBox, body: Any, status: int, error: str) -> None:
    before = len(box.messages(LIN))
    reply = call(box, "POST", "/api/messages", body)

    assert status == reply.status
    assert error in reply.content["error"]
    assert before == len(box.messages(LIN))


def test_a_fresh_app_has_no_input_box() -> None:
    with FeishuBox(SandboxSettings(fresh=True)) as fresh:
        assert [] == fresh.state()["console"]["draft"]["events"]
        with pytest.raises(BadActionError, match="does not see the bot"):
            fresh.write(LIN, "hi")
    with FeishuBox(SandboxSettings(subscribed_events=frozenset())) as silent:
        with pytest.raises(BadActionError, match="no input box"):
            silent.write(LIN, "hi")
        assert silent.write(LIN, "hi", chat_id=GROUP)
        assert [] == silent.events()


def test_the_app_subscribes_to_all_that_the_sandbox_pushes(box: FeishuBox) -> None:
    console = box.state()["console"]
    assert sorted(PUSHABLE_EVENTS) == console["draft"]["events"] == console["event_types"]


def test_a_message_that_the_bot_does_not_get_is_shown_at_once(feishu_box: FeishuBox) -> None:
    feishu_box.set_group("oc_sandbox_hr", has_bot=False)
    revision = feishu_box.state()["revision"]

    feishu_box.write("ou_sandbox_lin", "hi", chat_id="oc_sandbox_hr")

    assert revision < feishu_box.state()["revision"]
