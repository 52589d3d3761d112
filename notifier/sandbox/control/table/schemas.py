"""JSON schemas of what the control API sends and receives."""

from typing import Any

from notifier.sandbox.accounts import CURRENCY_FORMS
from notifier.sandbox.control.routes import Schema
from notifier.sandbox.faults.call_faults import ACTIONS
from notifier.sandbox.faults.catalogue import FAULT_TYPES
from notifier.sandbox.sandbox import SEND_MODES
from notifier.sandbox.tenant import DEACTIVATED, USABLE, PersonStatus


def text(description: str = "", **more: object) -> dict[str, Any]:
    """A string."""
    return _described("string", description, more)


def number(description: str = "", **more: object) -> dict[str, Any]:
    """A number."""
    return _described("number", description, more)


def whole(description: str = "", **more: object) -> dict[str, Any]:
    """A whole number."""
    return _described("integer", description, more)


def flag(description: str = "", **more: object) -> dict[str, Any]:
    """True or false."""
    return _described("boolean", description, more)


def choice(values: object, description: str = "", **more: object) -> dict[str, Any]:
    """One of several strings."""
    return text(description, enum=list(values), **more)  # type: ignore[call-overload]


def items(schema: Schema, description: str = "", **more: object) -> dict[str, Any]:
    """A list."""
    return _described("array", description, {"items": schema, **more})


def mapping(schema: Schema, description: str = "") -> dict[str, Any]:
    """An object with any names."""
    return _described("object", description, {"additionalProperties": schema})


def nullable(schema: Schema) -> dict[str, Any]:
    """The same, or null."""
    kind = schema["type"]
    return {**schema, "type": [kind, "null"]}


def struct(properties: Schema, *, optional: str = "", description: str = "") -> dict[str, Any]:
    """An object with exactly these members. optional: names of those that can be absent, separated by spaces."""
    required = [name for name in properties if name not in optional.split()]
    return _described(
        "object",
        description,
        {"properties": dict(properties), "required": required, "additionalProperties": False},
    )


def open_struct(properties: Schema, *, optional: str = "") -> dict[str, Any]:
    """An object with at least these members."""
    return {**struct(properties, optional=optional), "additionalProperties": True}


def changes(properties: Schema, description: str = "") -> dict[str, Any]:
    """A body of which every member can be absent."""
    return struct(properties, optional=" ".join(properties), description=description)


def ref(name: str) -> dict[str, Any]:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def _described(kind: str, description: str, more: Schema | dict[str, object]) -> dict[str, Any]:
    return {"type": kind, **({"description": description} if description else {}), **more}


ANY: Schema = {}
OBJECT = mapping(ANY)
AT_MS = whole("Milliseconds since 1970 of the sandbox clock.")
SEND = choice(
    SEND_MODES,
    "How the events are pushed: once; twice with the same id; a copy with a new id; in reverse order; held.",
    default="once",
)
_CASH = items(struct({"currency": text(), "amount": text("Two decimals.", examples=["350.50"])}))

CONTENT = nullable(
    struct(
        {
            "size": whole("In bytes."),
            "content_type": text(),
            "json": ANY,
            "text": text("The beginning of a text that is not JSON or is too long."),
        },
        optional="json text",
        description="A body: parsed JSON, or text. Of bytes only the size is kept. Secrets are shown as ***.",
    )
)
PUSH = struct(
    {
        "at_ms": AT_MS,
        "connection": nullable(text("Id of the connection, or `webhook`; null without a client.")),
        "code": nullable(whole("Of the answer: 200 for an acknowledgement; null without an answer (yet).")),
        "took_ms": nullable(whole()),
    }
)
_EVENT = {
    "event_id": text(),
    "event_type": text(),
    "account_id": nullable(text("Of a balance event.")),
    "created_ms": AT_MS,
    "state": choice(("waiting", "acknowledged", "given_up")),
    "held": flag("It is not pushed before it is released."),
    "failures": whole("Scheduled pushes without an acknowledgement."),
    "in_flight": whole("Pushes that wait for an answer."),
    "pushes": items(ref("Push"), "Oldest first."),
}
_MESSAGE = {
    "message_id": text(),
    "chat_id": text(),
    "create_time_ms": AT_MS,
    "update_time_ms": AT_MS,
    "msg_type": text(examples=["text", "interactive"]),
    "content": {**OBJECT, "description": "Parsed; of a card, the card."},
    "uuid": nullable(text("Idempotency key of the app.")),
    "file": struct({"name": text(), "bytes": whole()}),
    "sender": {**OBJECT, "description": "id, id_type, sender_type (app or user), name."},
    "root_id": nullable(text()),
    "parent_id": nullable(text()),
    "thread_id": nullable(text()),
    "reactions": items(OBJECT, "reaction_id, emoji_type, operator_id of each."),
    "read_by": items(text(), "open_ids."),
    "is_recalled": flag(),
    "is_pinned": flag(),
    "mentions": items(OBJECT),
}
_FAULT = {
    "fault_id": text(),
    "fault_type": choice(FAULT_TYPES),
    "options": OBJECT,
    "seconds": nullable(number()),
    "times": nullable(whole()),
    "hits": whole(),
    "running": flag(),
    "left_seconds": nullable(number()),
    "left_times": nullable(whole()),
}
CALL_FAULT_RULE = {
    "match": text("A method and a path.", examples=["POST /open-apis/im/v1/messages"]),
    "action": choice(ACTIONS),
    "receive_id": nullable(text("Only messages to this recipient.")),
    "times": nullable(whole("Hits after which it ends; null for no limit.")),
    "http_status": whole(),
    "code": whole("Of the JSON answer."),
    "msg": text("Of the JSON answer."),
    "headers": mapping(text()),
    "body": text("Of the answer, for `http`."),
    "seconds": number("Duration of `hang`, `hang_after` and `delay`.", minimum=0),
}
_REQUEST = {
    "log_id": text("X-Tt-Logid of the answer."),
    "at_ms": AT_MS,
    "method": text(),
    "path": text("Without query."),
    "query": text("Secrets are shown as ***."),
    "status": whole("HTTP status; 0 without an answer."),
    "code": nullable(whole("Of the JSON answer.")),
    "took_ms": whole("Real time."),
    "request_headers": nullable(mapping(text())),
    "request_body": CONTENT,
    "answer_headers": nullable(mapping(text())),
    "answer_body": CONTENT,
}
_STATE = {
    **dict.fromkeys(("app", "long_connection", "console"), OBJECT),
    **dict.fromkeys(("groups", "chats", "withdrawals", "payouts", "menu"), items(OBJECT)),
    "revision": whole("Grows with each change."),
    "now_ms": AT_MS,
    "ahead_seconds": number(),
    "sends_digest": flag(),
    "feishu_url": text(),
    "running_faults": items(ref("Fault")),
    "people": items(ref("Person")),
    "accounts": items(ref("Account")),
    "events": items(ref("Event"), "Newest first."),
    "payout_report_url": text(),
    "webhook_url": text(),
    "on_hold": flag(),
    "unknown_calls": mapping(whole()),
    "refusals": mapping(whole()),
    "scopes": items(text()),
    "call_faults": items(ref("CallFault")),
}

SCHEMAS: dict[str, Schema] = {
    "Error": struct({"error": text("One sentence.")}),
    "Account": open_struct(
        {
            "account_id": text(),
            "open_id": text(),
            "status": whole("1 usable, 2 deactivated.", enum=[USABLE, DEACTIVATED]),
            "points": whole(),
            "cash": _CASH,
        }
    ),
    "Person": open_struct(
        {
            "open_id": text(),
            "name": text(),
            "en_name": text(),
            "status": choice([status.value for status in PersonStatus]),
            "chat_id": text("Of the chat with the bot."),
        }
    ),
    "Push": PUSH,
    "Event": struct(_EVENT),
    "EventWithPayload": struct(
        {**_EVENT, "payload": {"description": "Parsed JSON; text if it is not JSON; null for a raw frame."}}
    ),
    "Message": open_struct(
        _MESSAGE,
        optional="file",
    ),
    "Request": struct(_REQUEST),
    "Fault": struct(_FAULT),
    "CallFault": struct({"fault_id": text(), **CALL_FAULT_RULE, "hits": whole()}),
    "Quota": struct(
        {
            "name": text("The call, or what one call is sent to."),
            "kind": choice(("call", "target")),
            "calls": whole("The limit."),
            "seconds": number("Length of the window."),
            "used": whole("Calls in the window that ends now."),
            "remaining": whole(),
            "reset_seconds": number("Until a used call leaves the window; 0 if none is used."),
        }
    ),
    "BalanceChange": struct(
        {
            "at_ms": AT_MS,
            "account_id": text(),
            "points": whole("Added, negative for withdrawn or reduced points."),
            "cash": items(struct({"currency": text(), "amount": text()})),
            "reason": choice(("change", "reward", "withdrawal")),
            "reference": text("The order id of a withdrawal, else empty."),
        }
    ),
    "Snapshot": struct({"name": text(), "at_ms": AT_MS, "messages": whole(), "events": whole()}),
    "Change": struct(
        {
            "account_id": text(examples=["7000000000000000001"]),
            "points": whole(),
            "cash": mapping(text(), "Change by currency, as text with at most two decimals."),
            "currency_form": choice(CURRENCY_FORMS, "How the event writes currencies.", default="iso"),
        },
        optional="points cash currency_form",
    ),
    "State": open_struct(_STATE),
}
