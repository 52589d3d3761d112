"""The inbox: every event once per key, stored verbatim."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.event import READINGS, Event
from notifier.store.engine.sql import insert_or_ignore, literal
from notifier.store.schema.tables import inbox

MAX_SCANNED_ENTRIES = 500
"""Maximum number of entries that one search for an account reads."""


class InboxState(StrEnum):
    """State of an event in the inbox."""

    NEW = "new"
    DONE = "done"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEntry:
    """An unprocessed event."""

    id: int
    """Row id."""
    event: Event
    """The event."""
    received_at: Millis
    """When it was stored, Unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOutcome:
    """The new state of an entry. reason: for operators, if the event was ignored or quarantined."""

    entry_id: int
    state: InboxState
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedEntry:
    """An event that could not be processed. reason: why."""

    id: int
    """Row id."""
    event_key: str
    """Feishu's event id."""
    event_type: str
    """Feishu's event type."""
    received_at: Millis
    """When it was stored, Unix milliseconds."""
    reason: str
    """Why it cannot be processed."""


class EventInserter:
    """Batch job of the writer that stores events. An event whose key exists is ignored."""

    def __init__(self, clock: Clock, state: InboxState = InboxState.NEW) -> None:
        """state: DONE for events that are handled in the transaction that stores them."""
        self._clock = clock
        self._state = state
        self._repeated = 0

    def __call__(self, connection: Connection, events: Sequence[Event]) -> Sequence[None]:
        """Insert the events. An event that is stored already is skipped."""
        now = to_millis(self._clock.now())
        stored = insert_or_ignore(connection, inbox, [_row(event, self._state, now) for event in events])
        self._repeated += len(events) - stored
        return [None] * len(events)

    def take_repeated(self) -> int:
        """How many events since the last call were stored already. For the thread that commits."""
        repeated, self._repeated = self._repeated, 0
        return repeated


def _row(event: Event, state: InboxState, received_at: Millis) -> dict[str, object]:
    """Truncate labels to their column lengths. The payload still contains them in full."""
    return {
        "app_id": event.app_id[:64],
        "event_key": event.key,
        "event_type": event.event_type[:128],
        "tenant_key": event.tenant_key[:64],
        "created_at": event.created_at,
        "received_at": received_at,
        "payload": event.payload,
        "state": state,
    }


_LIST_NEW = (
    sa.select(inbox).where(inbox.c.state == literal("new")).order_by(inbox.c.id).limit(sa.bindparam("limit"))
)
_FINISH = (
    sa.update(inbox)
    .where(inbox.c.id == sa.bindparam("entry"))
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"))
)


def list_new_entries(connection: Connection, *, limit: int) -> list[InboxEntry]:
    """New entries, oldest first."""
    rows = connection.execute(_LIST_NEW, {"limit": limit})
    return [
        InboxEntry(
            id=row.id,
            event=Event(
                key=row.event_key,
                event_type=row.event_type,
                tenant_key=row.tenant_key,
                app_id=row.app_id,
                created_at=row.created_at,
                payload=row.payload,
            ),
            received_at=row.received_at,
        )
        for row in rows
    ]


def finish_entries(connection: Connection, outcomes: Iterable[EntryOutcome]) -> None:
    """Store the outcomes of processed entries."""
    rows = [{"entry": each.entry_id, "new_state": each.state, "new_reason": each.reason} for each in outcomes]
    if rows:
        connection.execute(_FINISH, rows)


def list_quarantined(connection: Connection, *, limit: int) -> list[QuarantinedEntry]:
    """Quarantined entries, newest first."""
    rows = connection.execute(
        sa.select(inbox.c.id, inbox.c.event_key, inbox.c.event_type, inbox.c.received_at, inbox.c.reason)
        .where(inbox.c.state == InboxState.QUARANTINED)
        .order_by(inbox.c.id.desc())
        .limit(limit)
    )
    return [QuarantinedEntry(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it is stored."""

    id: int
    """Row id."""
    event_key: str
    """Feishu's event id."""
    event_type: str
    """Feishu's event type."""
    received_at: Millis
    """When it was stored, Unix milliseconds."""
    state: str
    """InboxState."""
    reason: str | None
    """Why it was ignored or quarantined."""
    payload: bytes
    """As Feishu sent it."""


def list_events(connection: Connection, *, states: Sequence[str], limit: int) -> list[StoredEvent]:
    """Events in these states (all states if empty), newest first."""
    query = sa.select(*_EVENT_COLUMNS).order_by(inbox.c.id.desc()).limit(limit)
    if states:
        query = query.where(inbox.c.state.in_(states))
    return [_to_stored_event(row) for row in connection.execute(query)]


def get_event(connection: Connection, entry_id: int) -> StoredEvent | None:
    """One event; None if there is none with this id."""
    row = connection.execute(sa.select(*_EVENT_COLUMNS).where(inbox.c.id == entry_id)).first()
    return None if row is None else _to_stored_event(row)


def find_event(connection: Connection, event_key: str, *, app_id: str) -> StoredEvent | None:
    """The newest event with this key; None if there is none. app_id: of the app that received it; "": any app."""
    query = sa.select(*_EVENT_COLUMNS).where(inbox.c.event_key == event_key)
    if app_id:
        query = query.where(inbox.c.app_id == app_id)
    row = connection.execute(query.order_by(inbox.c.id.desc()).limit(1)).first()
    return None if row is None else _to_stored_event(row)


def end_quarantine(
    connection: Connection, entry_id: int, *, state: InboxState, reason: str | None = None
) -> bool:
    """Process a quarantined event again (`new`), or ignore it. False if it is not quarantined."""
    changed = connection.execute(
        sa.update(inbox)
        .where(inbox.c.id == entry_id, inbox.c.state == InboxState.QUARANTINED)
        .values(state=state, reason=reason)
    )
    return changed.rowcount == 1


_EVENT_COLUMNS = tuple(getattr(inbox.c, field.name) for field in fields(StoredEvent))


def _to_stored_event(row: sa.Row[*tuple[Any, ...]]) -> StoredEvent:
    return StoredEvent(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def may_mention_account(connection: Connection, account_id: str, *, since: Millis) -> bool:
    """Whether an unprocessed or quarantined event since this time (ms) may be about this account.

    Also True if there are MAX_SCANNED_ENTRIES or more such events, because a longer search would block.
    """
    for state in (InboxState.NEW, InboxState.QUARANTINED):
        payloads = (
            connection.execute(
                sa.select(inbox.c.payload)
                .where(inbox.c.state == state, inbox.c.received_at >= since)
                .where(inbox.c.event_type.not_in(READINGS))
                .order_by(inbox.c.id.desc())
                .limit(MAX_SCANNED_ENTRIES)
            )
            .scalars()
            .all()
        )
        if len(payloads) == MAX_SCANNED_ENTRIES or any(account_id.encode() in each for each in payloads):
            return True
    return False


def count_by_state(connection: Connection) -> dict[str, int]:
    """Number of entries per state."""
    rows = connection.execute(sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state))
    return {state: count for state, count in rows}  # noqa: C416 - rows are not pairs to mypy


def get_last_received_at(connection: Connection) -> Millis | None:
    """When the newest event was received, in ms; None if there is none."""
    return connection.execute(sa.select(inbox.c.received_at).order_by(inbox.c.id.desc()).limit(1)).scalar()
