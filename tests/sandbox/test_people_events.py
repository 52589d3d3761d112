"""What people do reaches a bot that uses the official SDK, whose own models understand every field of each event."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.chat.people import BadActionError
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import DEFAULT_SCOPES, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, send

CLIENT = Path(__file__).parent / "event_client.py"
LIN, CHEN, ZHOU, GROUP = "ou_sandbox_lin", "ou_sandbox_chen", "ou_sandbox_zhou", "oc_sandbox_hr"
SLOW_IMPORT_SECONDS = 90
Act = Callable[[FeishuBox], object]


@pytest.fixture(scope="module")
def listened() -> Iterator[tuple[FeishuBox, Any]]:
    """A sandbox, and the lines of a client in a process of its own, as the SDK cannot be stopped."""
    with FeishuBox(SandboxSettings(quotas=False)) as box:
        command = [sys.executable, str(CLIENT), box.url, box.app_id, box.app_secret]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                box.wait_for(box.connections, "the SDK is connected", SLOW_IMPORT_SECONDS)
                yield box, process.stdout
            finally:
                process.kill()


def _text(box: FeishuBox, to: str = LIN) -> str:
    return str(send(box, "hello", to=to).data["message_id"])


def _change_group(box: FeishuBox, **changes: object) -> None:
    assert 200 == call(box, "PATCH", f"/api/groups/{GROUP}", changes).status


def _react_and_remove(box: FeishuBox) -> None:
    message_id = _text(box)
    box.remove_reaction(message_id, box.react(LIN, message_id, "SMILE"))


def _react_as_app(box: FeishuBox) -> None:
    message_id = box.write(LIN, "hi")
    api(box, "POST", f"/im/v1/messages/{message_id}/reactions", {"reaction_type": {"emoji_type": "Typing"}})


ACTIONS: dict[str, tuple[Act, dict[str, object]]] = {
    "im.message.receive_v1": (lambda box: box.write(CHEN, "balance", chat_id=GROUP), {}),
    "im.message.message_read_v1": (lambda box: box.read(LIN, _text(box)), {}),
    "im.message.recalled_v1": (
        lambda box: box.recall(LIN, box.write(LIN, "oh")),
        {"recall_type": "message_owner", "chat_id": "oc_sandbox_p2p_lin"},
    ),
    "im.message.reaction.created_v1": (
        lambda box: box.react(LIN, _text(box), "SMILE"),
        {"operator_type": "user", "reaction_type": {"emoji_type": "SMILE"}},
    ),
    "im.message.reaction.created_v1 of the app": (_react_as_app, {"operator_type": "app"}),
    "im.message.reaction.deleted_v1": (_react_and_remove, {"operator_type": "user"}),
    "im.chat.member.bot.deleted_v1": (
        lambda box: box.set_bot_in_group(LIN, GROUP, is_member=False),
        {"chat_id": GROUP},
    ),
    "im.chat.member.bot.added_v1": (
        lambda box: box.set_bot_in_group(LIN, GROUP, is_member=True),
        {"chat_id": GROUP},
    ),
    "im.chat.member.user.deleted_v1": (
        lambda box: _change_group(box, members=[LIN, CHEN]),
        {"chat_id": GROUP},
    ),
    "im.chat.member.user.added_v1": (
        lambda box: _change_group(box, members=[LIN, CHEN, ZHOU]),
        {"chat_id": GROUP},
    ),
    "im.chat.updated_v1": (lambda box: _change_group(box, name="new"), {"after_change": {"name": "new"}}),
    "im.chat.access_event.bot_p2p_chat_entered_v1": (
        lambda box: box.enter_chat(LIN),
        {"chat_id": "oc_sandbox_p2p_lin"},
    ),
    "application.bot.menu_v6": (lambda box: box.press_menu(LIN, "help"), {"event_key": "help"}),
    "im.chat.disbanded_v1": (lambda box: _change_group(box, dissolved=True), {"chat_id": GROUP}),
}
"""By event type: what causes it, and members of its content."""


def _reset_group(box: FeishuBox, *, has_bot: bool = True, has_zhou: bool = True) -> None:
    def operation(sandbox: Sandbox) -> None:
        group = sandbox.tenant.groups[GROUP]
        group.members = [LIN, CHEN, ZHOU] if has_zhou else [LIN, CHEN]
        group.name, group.has_bot, group.dissolved = "old", has_bot, False

    box._call(operation)


@pytest.mark.parametrize("name", ACTIONS)
def test_the_models_of_the_sdk_understand_every_member(listened: tuple[FeishuBox, Any], name: str) -> None:
    box, lines = listened
    act, members = ACTIONS[name]
    _reset_group(box, has_bot="bot.added" not in name, has_zhou="user.added" not in name)
    before = len(box.events())
    act(box)
    records = box.events()[before:]
    shown = [json.loads(lines.readline()) for _ in records]

    assert name.partition(" ")[0] == records[-1]["event_type"]
    pushed = {record["event_id"]: json.loads(box.payload(record["event_id"]))["event"] for record in records}
    assert pushed == {one["event_id"]: one["event"] for one in shown}
    event = pushed[records[-1]["event_id"]]
    assert members == {key: event[key] for key in members}


@pytest.fixture(scope="module")
def shared_box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(quotas=False)) as box:
        yield box


@pytest.fixture
def box(shared_box: FeishuBox) -> FeishuBox:
    _reset_group(shared_box)
    shared_box.set_scopes(DEFAULT_SCOPES)
    return shared_box


def events_of(box: FeishuBox, act: Act) -> list[str]:
    before = len(box.events())
    act(box)
    return [event["event_type"] for event in box.events()[before:]]


def test_reading_is_reported_once_and_in_private_chats_only(box: FeishuBox) -> None:
    private, group = _text(box), _text(box, GROUP)

    assert ["im.message.message_read_v1"] == events_of(box, lambda one: [one.read(LIN, private)] * 2)
    assert [] == events_of(box, lambda one: one.read(LIN, private))
    assert [] == events_of(box, lambda one: one.read(LIN, group))
    (message,) = [one for one in box.messages(GROUP) if one["message_id"] == group]
    assert [LIN] == message["read_by"]


def test_a_group_without_the_bot_is_silent(box: FeishuBox) -> None:
    message_id = box.write(LIN, "hi", chat_id=GROUP)
    box.set_group(GROUP, has_bot=False)

    def act(one: FeishuBox) -> None:
        one.write(LIN, "hi", chat_id=GROUP)
        one.react(LIN, message_id, "SMILE")
        one.recall(LIN, message_id)
        _change_group(one, name="other", members=[LIN])

    assert [] == events_of(box, act)


@pytest.mark.parametrize("scope, pushed", [("im:message.reactions:read", 1), ("im:message", 0)])
def test_an_event_needs_one_of_its_scopes(box: FeishuBox, scope: str, pushed: int) -> None:
    message_id = _text(box)
    box.set_scopes([scope])

    assert pushed == len(events_of(box, lambda one: one.react(LIN, message_id, "SMILE")))


def test_the_changes_of_a_group_push_events(box: FeishuBox) -> None:
    def change(**changes: object) -> list[str]:
        return events_of(box, lambda one: _change_group(one, **changes))

    assert ["im.chat.updated_v1", "im.chat.member.user.deleted_v1"] == change(name="new", members=[LIN])
    assert ["im.chat.member.user.added_v1"] == change(members=[LIN, ZHOU])
    assert [] == change(members=[CHEN])  # nobody is left who could have done it
    change(members=[CHEN, LIN])

    assert ["im.chat.updated_v1"] == change(muted=True)
    assert [] == change(muted=True)
    assert ["im.chat.updated_v1", "im.chat.member.bot.deleted_v1"] == change(muted=False, has_bot=False)
    assert [] == change(dissolved=True)
    change(dissolved=False)
    assert ["im.chat.member.bot.added_v1", "im.chat.disbanded_v1"] == change(has_bot=True, dissolved=True)


def test_the_state_shows_what_people_did(box: FeishuBox) -> None:
    message_id = box.write(LIN, "余额", chat_id=GROUP)
    reaction_id = box.react(CHEN, message_id, "CheckMark")
    shown = next(one for one in box.messages(GROUP) if one["message_id"] == message_id)

    assert {"id": LIN, "id_type": "open_id", "sender_type": "user", "name": "林小满（示例）"} == shown[
        "sender"
    ]
    reaction = {"reaction_id": reaction_id, "emoji_type": "CheckMark", "operator_id": CHEN}
    assert [reaction] == shown["reactions"]
    assert [("@_user_1", "ou_sandbox_bot")] == [(one["key"], one["open_id"]) for one in shown["mentions"]]
    assert not shown["is_recalled"]
    box.recall(LIN, message_id)
    assert next(one for one in box.messages(GROUP) if one["message_id"] == message_id)["is_recalled"]
    state = box.state()
    assert {"event_key": "balance", "name": "余额", "en_name": "Balance"} in state["menu"]


@pytest.mark.parametrize(
    "path, body, status, error",
    [
        ("/messages/om_none/recall", {"open_id": LIN}, 404, "no message"),
        ("/messages/{}/recall", {"open_id": CHEN}, 400, "only the sender"),
        ("/messages/{}/reactions", {"open_id": LIN, "emoji_type": "smile"}, 400, "case matters"),
        ("/messages/{}/reactions", {"open_id": CHEN, "emoji_type": "SMILE"}, 400, "not in the chat"),
        ("/messages/{}/read", {"open_id": CHEN}, 400, "not in the chat"),
        ("/chats/oc_sandbox_hr/enter", {"open_id": LIN}, 400, "not the private chat"),
        ("/groups/oc_none/bot", {"open_id": LIN, "is_member": True}, 404, "no group"),
        ("/groups/oc_sandbox_hr/bot", {"open_id": LIN}, 400, "is_member"),
    ],
)
def test_wrong_actions_over_http_are_explained(
    box: FeishuBox, path: str, body: object, status: int, error: str
) -> None:
    message_id = box.write(LIN, "hi")
    reply = call(box, "POST", "/api" + path.format(message_id), body)

    assert (status, True) == (reply.status, error in reply.content["error"])


def test_every_action_works_over_http(box: FeishuBox) -> None:
    mine, theirs = box.write(LIN, "hi"), _text(box)

    def post(path: str, **body: object) -> Any:
        return call(box, "POST", f"/api{path}", {"open_id": LIN, **body}).content

    reaction_id = post(f"/messages/{theirs}/reactions", emoji_type="OK")["reaction_id"]
    done = [
        call(box, "DELETE", f"/api/messages/{theirs}/reactions/{reaction_id}").content,
        post(f"/messages/{theirs}/read"),
        post(f"/messages/{mine}/recall"),
        post("/chats/oc_sandbox_p2p_lin/enter"),
        post(f"/groups/{GROUP}/bot", is_member=False),
    ]
    assert [1] * len(done) == [len(one["event_ids"]) for one in done]
    again = call(box, "DELETE", f"/api/messages/{theirs}/reactions/{reaction_id}")
    assert 404 == again.status


def test_people_cannot_do_what_feishu_does_not_let_them(box: FeishuBox) -> None:
    old = box.write(LIN, "hi")
    box.advance(86_401)
    with pytest.raises(BadActionError, match="too old"):
        box.recall(LIN, old)
    recalled = box.write(LIN, "hi")
    box.recall(LIN, recalled)
    for again in (box.recall, box.read):
        with pytest.raises(BadActionError, match="recalled"):
            again(LIN, recalled)
    box.set_person(LIN, status="resigned")
    try:
        with pytest.raises(BadActionError, match="resigned"):
            box.write(LIN, "hi")
    finally:
        box.set_person(LIN, status="active")
