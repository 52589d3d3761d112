"""The event commands: list and show stored events, process a quarantined one again, or ignore it."""

import json
from collections.abc import Sequence
from typing import Any

from notifier.clock import Clock, to_millis
from notifier.operations.formatting import format_ago, format_iso, format_table, label
from notifier.operations.language import Language, get_language, localized
from notifier.operations.stored_texts import EVENT_STATES, name_state, show_stored
from notifier.store import inbox
from notifier.store.engine.database import Database
from notifier.store.inbox import InboxState, StoredEvent

DROPPED = "ignored by an operator"
LABELS_ZH = {
    "id": "编号",
    "state": "状态",
    "reason": "原因",
    "received_at": "接收时间",
    "event_type": "类型",
    "event_key": "键",
}
"""Chinese names of the fields of an event."""


def list_events(database: Database, clock: Clock, *, states: Sequence[str], limit: int, as_json: bool) -> str:
    """List events in these states (all states if empty), newest first."""
    with database.read() as connection:
        found = inbox.list_events(connection, states=states, limit=limit)
    if as_json:
        return json.dumps([_to_json(each) for each in found], ensure_ascii=False, indent=2)
    if not found:
        return localized("No events.", "没有事件。")
    now = to_millis(clock.now())
    return format_table(
        ("id", "state", "received", "type", "key", "reason")
        if get_language() is Language.EN
        else ("编号", "状态", "接收", "类型", "键", "原因"),
        [
            (
                str(each.id),
                name_state(each.state, EVENT_STATES),
                format_ago(each.received_at, now),
                each.event_type,
                each.event_key,
                show_stored(each.reason),
            )
            for each in found
        ],
    )


def show_event(database: Database, entry_id: int, *, as_json: bool) -> str | None:
    """Show one event with its payload; None if it does not exist."""
    with database.read() as connection:
        event = inbox.get_event(connection, entry_id)
    if event is None:
        return None
    payload = event.payload.decode(errors="replace")
    if as_json:
        return json.dumps({**_to_json(event), "payload": payload}, ensure_ascii=False, indent=2)
    shown = _to_json(event) | {
        "state": name_state(event.state, EVENT_STATES),
        "reason": show_stored(event.reason) or None,
    }
    lines = [f"{label(name, LABELS_ZH[name])}{value}" for name, value in shown.items() if value is not None]
    return "\n".join([*lines, "", _indent_json(payload)])


def retry_events(database: Database, entry_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Process quarantined events again. Returns the ids that were changed, and those that are not quarantined."""
    return _end_quarantine(database, entry_ids, InboxState.NEW, None)


def drop_events(database: Database, entry_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Ignore quarantined events. Returns the ids that were changed, and those that are not quarantined."""
    return _end_quarantine(database, entry_ids, InboxState.IGNORED, DROPPED)


def _end_quarantine(
    database: Database, entry_ids: Sequence[int], state: InboxState, reason: str | None
) -> tuple[list[int], list[int]]:
    done: list[int] = []
    others: list[int] = []
    for entry_id in dict.fromkeys(entry_ids):
        changed = database.write(
            lambda c, entry_id=entry_id: inbox.end_quarantine(c, entry_id, state=state, reason=reason)  # type: ignore[misc]
        ).result()
        (done if changed else others).append(entry_id)
    return done, others


def _to_json(event: StoredEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "state": event.state,
        "reason": event.reason,
        "received_at": format_iso(event.received_at),
        "event_type": event.event_type,
        "event_key": event.event_key,
    }


def _indent_json(payload: str) -> str:
    """A payload that is no JSON is shown as it is."""
    try:
        return json.dumps(json.loads(payload), ensure_ascii=False, indent=2)
    except ValueError:
        return payload
