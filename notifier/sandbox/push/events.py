"""Events: what the stand-in has to tell the app, with every push of it and what became of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from notifier.sandbox.accounts import assets
from notifier.sandbox.api.error_codes import JsonObject
from notifier.sandbox.tenant import Account, Tenant, new_id

BALANCE_EVENT = "hire.referral_account.assets_update_v1"


@dataclass(slots=True)
class Push:
    """One try. connection None: nobody was online. code None: no answer (yet)."""

    at_ms: int
    connection: str | None = None
    code: int | None = None
    took_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class EventRecord:
    """state: waiting, acknowledged or given_up. failures counts scheduled pushes that were not acknowledged.

    raw_frame: sent as it is instead of a frame around payload. next_push_at: None while held or done; on the clock
    that only goes forward. held_by_fault: the trouble that holds it. spoilt: a push of it was damaged on purpose.
    """

    event_id: str
    event_type: str
    account_id: str | None
    created_ms: int
    payload: bytes
    raw_frame: bytes | None = None
    state: str = "waiting"
    held: bool = False
    held_by_fault: str | None = None
    was_damaged: bool = False
    failures: int = 0
    next_push_at: float | None = None
    pushes: list[Push] = field(default_factory=list)
    in_flight: int = 0

    @property
    def is_finished(self) -> bool:
        """Nothing will become of it any more."""
        return self.state != "waiting" and not self.in_flight

    def to_json(self) -> JsonObject:
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
    """The event carries the balance after the change, no delta and no reason."""
    event: JsonObject = {
        "account_id": account.account_id,
        "assets": assets(account),
        "modify_time": str(modify_time_ms),
    }
    event_id = new_id("ev")
    payload = {"schema": "2.0", "header": _header(tenant, event_id, BALANCE_EVENT), "event": event}
    return EventRecord(
        event_id=event_id,
        event_type=BALANCE_EVENT,
        account_id=account.account_id,
        created_ms=tenant.clock.now_ms(),
        payload=json.dumps(payload, ensure_ascii=False).encode(),
    )


def copy_event(record: EventRecord) -> EventRecord | None:
    """The same content under an event_id of its own, as after a second subscription; None where it has none."""
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
    """Whatever was given, as it is. Its own event_id is used where it can be read."""
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


def held_events(records: Iterable[EventRecord]) -> list[EventRecord]:
    return [record for record in records if record.held]
