"""Questions on the wire: messages and menu choices as Feishu sends them, and as it might."""

import json
from typing import Any

import pytest

from notifier.domain.answers.question import MENU_CHOSEN, MESSAGE_RECEIVED, Command, Question
from notifier.feishu.question_wire import read_question
from notifier.feishu.wire import read_event

NOW = 1_800_000_000_000
BOT = {"key": "@_user_1", "id": {"open_id": "ou_bot"}, "mentioned_type": "bot", "name": "bot"}
OTHER = {"key": "@_user_10", "id": {"open_id": "ou_li"}, "mentioned_type": "user", "name": "李"}


def read(event: Any, event_type: str = MESSAGE_RECEIVED) -> Question | str:
    header = {"event_id": "ev", "event_type": event_type, "tenant_key": "tk", "create_time": str(NOW - 9)}
    payload = json.dumps({"schema": "2.0", "header": header, "event": event}).encode()
    return read_question(read_event(payload, app_id="cli_x"), received_at=NOW)


def message(
    content: object = None, *, sender: dict[str, Any] | None = None, **fields: object
) -> dict[str, Any]:
    return {
        "sender": {"sender_id": {"open_id": "ou_lin"}, "sender_type": "user", "tenant_key": "tk"}
        | (sender or {}),
        "message": {
            "message_id": "om_1",
            "create_time": str(NOW - 5),
            "chat_id": "oc_1",
            "chat_type": "p2p",
            "message_type": "text",
            "content": json.dumps({"text": "余额"} if content is None else content),
            **fields,
        },
    }


def command_of(event: dict[str, Any]) -> Command:
    question = read(event)
    assert isinstance(question, Question), question
    return question.command


def test_a_private_message() -> None:
    question = read(message())

    assert question == Question(
        key="message:om_1",
        app_id="cli_x",
        tenant_key="tk",
        open_id="ou_lin",
        command=Command.BALANCE,
        message_id="om_1",
        asked_at=NOW - 5,
    )


def test_a_message_in_a_group_must_mention_the_bot() -> None:
    in_group: dict[str, Any] = {"chat_type": "group"}

    question = read(message({"text": "@_user_1 提现 @_user_10"}, mentions=[OTHER, BOT], **in_group))

    assert isinstance(question, Question)
    assert (Command.WITHDRAW, "oc_1") == (question.command, question.group_chat_id)
    for mentions in (None, [], [OTHER]):
        assert "does not mention the bot" in str(read(message(mentions=mentions, **in_group)))


@pytest.mark.parametrize(
    "message_type, content, command",
    [
        ("post", {"content": [[{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": "help"}]]}, Command.HELP),
        ("post", {"title": "记录", "content": []}, Command.HISTORY),
        ("post", {"title": 7, "content": [[7, {"tag": "text", "text": 7}], 7]}, Command.UNKNOWN),
        ("image", {"image_key": "img"}, Command.UNKNOWN),
        ("sticker", {"file_key": "余额"}, Command.UNKNOWN),
        ("text", {"text": 7}, Command.UNKNOWN),
        ("text", [], Command.UNKNOWN),
        ("a_type_of_next_year", {"text": "余额"}, Command.UNKNOWN),
    ],
)  # fmt: skip
def test_every_type_of_message_is_read(message_type: str, content: object, command: Command) -> None:
    assert command is command_of(message(content, message_type=message_type))


@pytest.mark.parametrize("content", ["", "{", "7", None, 7])
def test_a_content_that_is_no_json_has_no_text(content: object) -> None:
    event = message()
    event["message"]["content"] = content

    assert Command.UNKNOWN is command_of(event)


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        {"sender": 7, "message": []},
        message(sender={"sender_type": "app"}),
        message(sender={"sender_id": None}),
        message(sender={"sender_id": {"open_id": "x" * 65}}),
        message(sender={"tenant_key": "another"}),
        message(message_id=""),
        message(message_id=None),
    ],
)
def test_what_is_no_question_of_a_person_is_refused_in_words(event: object) -> None:
    reason = read(event)

    assert isinstance(reason, str)
    assert "余额" not in reason


@pytest.mark.parametrize("created", ["", "x", str(NOW + 3_600_000), None])
def test_a_time_that_cannot_be_is_the_time_of_arrival_or_of_the_event(created: object) -> None:
    question = read(message(create_time=created))

    assert isinstance(question, Question)
    assert question.asked_at in (NOW, NOW - 9)


def menu(**fields: object) -> Question | str:
    choice = {"operator": {"operator_id": {"open_id": "ou_lin"}}, "event_key": "balance"}
    return read({**choice, "timestamp": NOW // 1000, **fields}, MENU_CHOSEN)


def test_a_menu_choice_is_one_question_a_second() -> None:
    first, again, later = menu(), menu(), menu(timestamp=NOW // 1000 + 1)

    assert isinstance(first, Question)
    assert isinstance(again, Question)
    assert isinstance(later, Question)
    assert (Command.BALANCE, "", NOW) == (first.command, first.group_chat_id, first.asked_at)
    assert first.key == again.key != later.key
    assert "not one of the service" in str(menu(event_key="order_lunch"))
    assert isinstance(menu(event_key=7), str)
    assert isinstance(menu(operator={}), str)
