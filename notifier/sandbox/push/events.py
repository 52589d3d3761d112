"""Events for the app, with the result of each push."""

import json
from dataclasses import dataclass, field

from notifier.sandbox.accounts import assets
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.event_types import BALANCE_EVENT
from notifier.sandbox.tenant import Account, Tenant, new_id


@dataclass(slots=True)
class Push:
    """One push of an event. connection None: no client was connected. code None: no answer (yet)."""

    at_ms: int
    connection: str | None = None
    code: int | None = None
    took_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class EventRecord:
    """One event and its pushes."""

    event_id: str  # by which the app recognises a repeated push
    event_type: str  # Feishu's name of the type
    account_id: str | None  # of a balance event
    created_ms: int  # milliseconds since 1970 of the sandbox clock
    payload: bytes  # the JSON of the event
    raw_frame: bytes | None = None  # sent verbatim instead of a frame around the payload
    state: str = "waiting"  # waiting, acknowledged or given_up
    held: bool = False  # not pushed until it is released
    held_by_fault: str | None = None  # id of the fault that holds it
    was_damaged: bool = False  # a fault damaged a push of it
    failures: int = 0  # scheduled pushes without an acknowledgement
    next_push_at: float | None = None  # seconds on SandboxClock.elapsed; None while held or finished
    pushes: list[Push] = field(default_factory=list)  # oldest first
    in_flight: int = 0  # pushes that wait for an answer

    @property
    def is_finished(self) -> bool:
        """Whether no more push of it is due or running."""
        return self.state != "waiting" and not self.in_flight

    def to_json(self) -> JsonObject:
        """The event as JSON, without its payload."""
        return {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "account_id": self.account_id,
            "created_ms": self.created_ms,
            "state": self.state,
            "held": self.held,
            "failures": self.failures,
            "pushes": [{name: getattr(push, name) for name in Push.__slots__} for push in self.pushes],
        }


def balance_event(tenant: Tenant, account: Account, *, modify_time_ms: int) -> EventRecord:
    """A balance event. It has the balance after the change, but neither the change nor a reason, as at Feishu.

    modify_time_ms: milliseconds since 1970.
    """
    event: JsonObject = {
        "account_id": account.account_id,
        "assets": assets(account),
        "modify_time": str(modify_time_ms),
    }
    return platform_event(tenant, BALANCE_EVENT, event, account_id=account.account_id)


def platform_event(
    tenant: Tenant, event_type: str, event: JsonObject, *, account_id: str | None = None
) -> EventRecord:
    """An event with Feishu's envelope of schema 2.0. account_id: of a balance event."""
    event_id = new_id("ev")
    payload = {"schema": "2.0", "header": _header(tenant, event_id, event_type), "event": event}
    return EventRecord(
        event_id=event_id,
        event_type=event_type,
        account_id=account_id,
        created_ms=tenant.clock.now_ms(),
        payload=json.dumps(payload, ensure_ascii=False).encode(),
    )


def copy_event(record: EventRecord) -> EventRecord | None:
    """The same content with a new event_id, as after a second subscription. None for content without an event_id."""
    header = _readable_header(record.payload)
    if record.raw_frame is not None or not header:
        return None
    content = json.loads(record.payload)
    event_id = content["header"]["event_id"] = new_id("ev")
    return EventRecord(
        event_id=event_id,
        event_type=record.event_type,
        account_id=record.account_id,
        created_ms=record.created_ms,
        payload=json.dumps(content, ensure_ascii=False).encode(),
    )


def verbatim_event(tenant: Tenant, *, payload: bytes = b"", raw_frame: bytes | None = None) -> EventRecord:
    """An event of any bytes, unchanged. Its event_id is taken from the payload where possible."""
    header = _readable_header(payload)
    event_id, event_type = header.get("event_id"), header.get("event_type")
    return EventRecord(
        event_id=event_id if isinstance(event_id, str) and event_id else new_id("ev"),
        event_type=event_type if isinstance(event_type, str) else "verbatim",
        account_id=None,
        created_ms=tenant.clock.now_ms(),
        payload=payload,
        raw_frame=raw_frame,
    )


def _readable_header(payload: bytes) -> JsonObject:
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    header = content.get("header") if isinstance(content, dict) else None
    return header if isinstance(header, dict) else {}


def _header(tenant: Tenant, event_id: str, event_type: str) -> JsonObject:
    return {
        "event_id": event_id,
        "event_type": event_type,
        "create_time": str(tenant.clock.now_ms()),
        "token": "",  # empty over the long connection
        "app_id": tenant.settings.app_id,
        "tenant_key": tenant.settings.tenant_key,
    }
