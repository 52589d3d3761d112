"""Routes that read what happened, push events, and act as people."""

from notifier.sandbox.control.page_api import ControlApi
from notifier.sandbox.control.people_api import PeopleApi
from notifier.sandbox.control.reading_api import DEFAULT_LIMIT, MAX_LIMIT, MAX_WAIT_SECONDS, ReadingApi
from notifier.sandbox.control.routes import ControlRoute, Schema
from notifier.sandbox.control.stream import stream
from notifier.sandbox.control.table import schemas as s
from notifier.sandbox.control.table.entries import (
    CARDS,
    EVENTS,
    LIN,
    READ,
    delete_route,
    get_route,
    post_route,
)
from notifier.sandbox.sandbox import Sandbox

WAIT: Schema = {
    "wait": s.number(
        "Seconds of real time to wait until at least one matches. Then the list is empty.",
        minimum=0,
        maximum=MAX_WAIT_SECONDS,
        default=0,
    ),
    "after": s.text("Only those after this id. Without it: the newest ones."),
    "limit": s.whole(minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT),
    "contains": s.text("Only those whose content contains this text."),
}
_LISTS = {"messages": "Message", "events": "EventWithPayload", "requests": "Request"}
_OLDEST = "The {} that match, oldest first. With `wait`, waits for the first one."
_CALLS = (
    "The calls of the app that match, oldest first, with headers, bodies and answers of the newest 500. "
    "Of each body 64 KB are kept. With `wait`, waits for the first one."
)
_QUOTAS = s.struct({"enforced": s.flag(), "quotas": s.items(s.ref("Quota"))})
_CHANGES = "The newest balance changes, newest first."
_CHANGES_QUERY: Schema = {"account_id": s.text(), "limit": WAIT["limit"]}
_LEDGER = s.struct({"changes": s.items(s.ref("BalanceChange"))})
_EVENT_IDS = s.struct({"events": s.items(s.text(), "Their ids, in pushing order.")})
_EVENT_ID = s.struct({"event_id": s.text()})


def reading_routes(reading: ReadingApi, control: ControlApi, sandbox: Sandbox) -> list[ControlRoute]:
    """What happened, and the whole state."""
    messages: Schema = {
        "chat_id": s.text(),
        "open_id": s.text("Only the private chat of this person."),
        "sender": s.choice(("app", "user")),
        "msg_type": s.text(examples=["interactive"]),
        **WAIT,
    }
    events: Schema = {
        "event_type": s.text(),
        "account_id": s.text(),
        "state": s.choice(("waiting", "acknowledged", "given_up")),
        **WAIT,
    }
    calls: Schema = {
        "method": s.text(),
        "path": s.text("Beginning of the path."),
        "status": s.whole("HTTP status."),
        "code": s.whole("Of the JSON answer."),
        **WAIT,
    }
    answers = {name: s.struct({name: s.items(s.ref(kind))}) for name, kind in _LISTS.items()}
    one = "/requests/{log_id}"
    return [
        get_route(
            READ,
            "/messages",
            reading.messages,
            _OLDEST.format("messages"),
            answers["messages"],
            query=messages,
        ),
        get_route(READ, "/events", reading.events, _OLDEST.format("events"), answers["events"], query=events),
        get_route(READ, "/events/{event_id}", reading.event, "One event.", s.ref("EventWithPayload")),
        get_route(READ, "/requests", reading.requests, _CALLS, answers["requests"], query=calls),
        get_route(READ, one, reading.request, "One call of the app.", s.ref("Request")),
        get_route(READ, "/ledger", reading.ledger, _CHANGES, _LEDGER, query=_CHANGES_QUERY),
        get_route(READ, "/quotas", reading.quotas, "The rate limits and their use.", _QUOTAS),
        get_route(READ, "/state", control.state, "Everything that the page shows.", s.ref("State")),
        get_route(
            READ,
            "/stream",
            stream(sandbox.tenant),
            "Server-sent events: one `state` event with the revision after each change.",
            s.text(),
            content_type="text/event-stream",
        ),
        get_route(
            READ,
            "/files/{file_key}",
            control.file,
            "The content of an uploaded file.",
            s.text(format="binary"),
            content_type="application/octet-stream",
        ),
    ]


def event_routes(control: ControlApi) -> list[ControlRoute]:
    """Balance changes, and events of any type."""
    reward = {"account_id": "7000000000000000001", "points": 10, "cash": {"CNY": "+500.00"}}
    return [
        post_route(
            EVENTS,
            "/changes",
            control.changes,
            "Changes balances and pushes their events. All changes are checked before the first is made.",
            _EVENT_IDS,
            body=s.struct({"changes": s.items(s.ref("Change"), minItems=1), "send": s.SEND}, optional="send"),
            example={"changes": [reward], "send": "once"},
        ),
        post_route(
            EVENTS,
            "/events",
            control.push_event,
            "Pushes `event` of an `event_type` with a new header, or `payload` (text) or `frame_base64` verbatim. "
            "Subscriptions and scopes are not checked.",
            _EVENT_ID,
            body=s.changes(
                {"event_type": s.text(), "event": s.OBJECT, "payload": s.text(), "frame_base64": s.text()}
            ),
            example={"event_type": "im.chat.updated_v1", "event": {"chat_id": "oc_sandbox_hr"}},
        ),
        post_route(
            EVENTS,
            "/events/{event_id}/push",
            control.push_again,
            "Pushes a known event once more, with the same id and payload. It is not repeated without an answer.",
            _EVENT_ID,
        ),
        post_route(EVENTS, "/hold", control.hold, "Holds new events.", s.struct({"on_hold": s.flag()})),
        post_route(
            EVENTS,
            "/release",
            control.release,
            "Ends the hold and pushes all held events.",
            s.struct({"released": s.whole()}),
        ),
    ]


def people_routes(people: PeopleApi, control: ControlApi) -> list[ControlRoute]:
    """What people do in Feishu's client."""
    written = {
        "open_id": s.text("Of the sender."),
        "chat_id": s.text("Default: the private chat of the sender with the bot."),
        "msg_type": s.choice(("text", "post", "image", "file"), default="text"),
        "text": s.text("Of a text message."),
        "content": {**s.OBJECT, "description": "Of other messages; instead of text."},
        "mention_bot": s.flag("In a group: @bot.", default=True),
        "reply_to": s.text("A message_id."),
        "in_thread": s.flag(default=False),
    }
    click = {
        "message_id": s.text(),
        "open_id": s.text("Who clicks."),
        "tag": s.text("Of the component.", default="button"),
    }
    clicked = {
        "event_id": s.text(),
        "code": s.whole("0, or the code that Feishu's client shows."),
        "msg": s.text(),
        "toast": s.nullable(s.OBJECT),
        "card_updated": s.flag(),
    }
    optional = "chat_id msg_type text content mention_bot reply_to in_thread"
    return [
        post_route(
            CARDS,
            "/messages",
            people.write,
            "A person writes a message. Its event is pushed if the app subscribes to it and has the scope.",
            s.struct({"message_id": s.text(), "event_ids": s.items(s.text())}),
            body=s.struct(written, optional=optional),
            example={"open_id": LIN, "text": "balance"},
        ),
        post_route(
            CARDS,
            "/clicks",
            control.click,
            "A person clicks a component of a card, and gets the answer of the app. More members such as `value`, "
            "`form_value`, `option` and `checked` belong to the action.",
            s.struct(clicked),
            body={**s.struct(click, optional="tag"), "additionalProperties": True},
            example={"message_id": "om_0123456789abcdef", "open_id": LIN, "value": {"op": "withdraw"}},
        ),
    ]


def message_routes(people: PeopleApi) -> list[ControlRoute]:
    """What people do with messages. The events that the app may have are pushed."""
    event_ids = s.struct({"event_ids": s.items(s.text(), "Ids of the pushed events.")})
    person, lin = s.struct({"open_id": s.text()}), {"open_id": LIN}
    one = "/messages/{message_id}"
    return [
        post_route(
            CARDS,
            f"{one}/recall",
            people.recall,
            "The sender recalls a message.",
            event_ids,
            body=person,
            example=lin,
        ),
        post_route(
            CARDS,
            f"{one}/read",
            people.read,
            "A person reads a message.",
            event_ids,
            body=person,
            example=lin,
        ),
        post_route(
            CARDS,
            f"{one}/reactions",
            people.react,
            "A person puts an emoji on a message.",
            s.struct({"reaction_id": s.text(), "event_ids": s.items(s.text())}),
            body=s.struct({"open_id": s.text(), "emoji_type": s.text()}),
            example={"open_id": LIN, "emoji_type": "SMILE"},
        ),
        delete_route(
            CARDS,
            f"{one}/reactions/{{reaction_id}}",
            people.remove_reaction,
            "A person removes an own reaction.",
            event_ids,
        ),
    ]


def chat_routes(people: PeopleApi) -> list[ControlRoute]:
    """What people do with chats and the menu. The events that the app may have are pushed."""
    event_ids = s.struct({"event_ids": s.items(s.text(), "Ids of the pushed events.")})
    person, lin = s.struct({"open_id": s.text()}), {"open_id": LIN}
    return [
        post_route(
            CARDS,
            "/chats/{chat_id}/enter",
            people.enter_chat,
            "A person opens the private chat with the bot.",
            event_ids,
            body=person,
            example=lin,
        ),
        post_route(
            CARDS,
            "/groups/{chat_id}/bot",
            people.set_bot,
            "A member adds the bot to a group or removes it.",
            event_ids,
            body=s.struct({"open_id": s.text(), "is_member": s.flag()}),
            example={"open_id": LIN, "is_member": True},
        ),
        post_route(
            CARDS,
            "/menu",
            people.press_menu,
            "A person chooses an item of the bot's menu.",
            event_ids,
            body=s.struct({"open_id": s.text(), "event_key": s.text()}),
            example={"open_id": LIN, "event_key": "balance"},
        ),
    ]
