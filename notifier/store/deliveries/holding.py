"""Holding: deliveries that wait because of the preferences of their recipient.

A claim decides whether a due delivery is held. Notices that are held for the same account and recipient are folded into
one delivery. The release returns it to the queue; it decides again, as the preferences or the clock may have changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Millis
from notifier.domain.delivery import DeliveryState
from notifier.domain.preferences.choices import Preferences
from notifier.domain.preferences.holding import Hold, HoldRules, find_hold
from notifier.domain.route import REFERRER
from notifier.store import recipients
from notifier.store.engine.sql import literal
from notifier.store.people import preferences as preference_store
from notifier.store.schema.tables import deliveries, delivery_notices

_SqlRow = sa.Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDelivery:
    """A held delivery whose time has come."""

    id: int
    """Row id."""
    account_ref: int
    """Row id of the account."""
    receive_id: str
    """open_id of the recipient."""
    due_at: Millis
    """When the hold ended, Unix milliseconds."""
    preferences: Preferences
    """The present choices of the recipient."""
    joins_digest: bool
    """Whether a digest may report it: it has notices of balance changes, and no fixed content."""


_HOLD = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("held_id"))
    .values(
        state=DeliveryState.HELD,
        due_at=sa.bindparam("until"),
        hold_reason=sa.bindparam("reason"),
        first_tried_at=None,
        updated_at=sa.bindparam("now"),
    )
)
_LIST_HELD = (
    sa.select(deliveries.c.id, deliveries.c.account_ref, deliveries.c.receive_id)
    .where(
        deliveries.c.receive_id.in_(sa.bindparam("receive_ids", expanding=True)),
        deliveries.c.state == literal("held"),
        deliveries.c.body.is_(None),
        deliveries.c.run_id.is_(None),
        deliveries.c.corrects.is_(None),
    )
    .order_by(deliveries.c.id.desc())
    .with_for_update(key_share=True)
)
_MOVE_NOTICES = (
    sa.update(delivery_notices)
    .where(delivery_notices.c.delivery_id == sa.bindparam("joined_id"))
    .values(delivery_id=sa.bindparam("held_id"))
)
_DELETE = sa.delete(deliveries).where(deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))


def hold_back(
    connection: Connection,
    rows: Sequence[_SqlRow],
    chosen: Mapping[str, Preferences],
    rules: HoldRules,
    *,
    now: Millis,
) -> list[_SqlRow]:
    """Hold the due deliveries that must wait, and return the others.

    rows: all columns of due deliveries, locked. chosen: the preferences of their recipients, by open_id.
    """
    holds = {
        row.id: hold
        for row in rows
        if (preferences := chosen.get(row.receive_id)) is not None
        and _may_wait(row)
        and (hold := _find_hold(row, preferences, rules, since=now, now=now)) is not None
    }
    if not holds:
        return list(rows)
    held = [row for row in rows if row.id in holds]
    found = {
        (row.account_ref, row.receive_id): row.id
        for row in connection.execute(_LIST_HELD, {"receive_ids": sorted({row.receive_id for row in held})})
    }
    joined = {
        row.id: found[row.account_ref, row.receive_id]
        for row in held
        if _joins_others(row) and (row.account_ref, row.receive_id) in found
    }
    _store(connection, {each: hold for each, hold in holds.items() if each not in joined}, now=now)
    if joined:
        moved = [{"joined_id": each, "held_id": into} for each, into in joined.items()]
        connection.execute(_MOVE_NOTICES, moved)
        connection.execute(_DELETE, {"ids": sorted(joined)})
        metrics.NOTICES_FOLDED.inc(len(joined))
    recipients.plan_next(connection, [row.receive_id for row in held], now=now)
    return [row for row in rows if row.id not in holds]


def _may_wait(row: _SqlRow) -> bool:
    """Receipts and answers come at once. A call with an unknown outcome is repeated while Feishu knows its uuid."""
    return (
        row.target == REFERRER
        and row.receive_id_type == "open_id"
        and row.account_ref is not None
        and row.order_id is None
        and row.answer_id is None
        and row.unknown_since is None
    )


def _joins_others(row: _SqlRow) -> bool:
    """Whether its notices may move to another card: nothing of it was sent, and no attempt refers to it."""
    return row.attempts == 0 and _joins_digest(row)


def _joins_digest(row: _SqlRow) -> bool:
    return row.body is None and row.run_id is None and row.corrects is None and row.rerouted_from is None


def _find_hold(
    row: _SqlRow, preferences: Preferences, rules: HoldRules, *, since: Millis, now: Millis
) -> Hold | None:
    """A delivery that was released waits for no other digest."""
    was_released = row.state == DeliveryState.READY and row.hold_reason is not None
    may_join = _joins_digest(row) and not was_released
    return find_hold(preferences, rules, since=since, now=now, may_join_digest=may_join)


def _store(connection: Connection, holds: Mapping[int, Hold], *, now: Millis) -> None:
    if holds:
        connection.execute(
            _HOLD,
            [
                {"held_id": each, "until": hold.until, "reason": hold.reason, "now": now}
                for each, hold in holds.items()
            ],
        )


_NEXT_RELEASE = sa.select(sa.func.min(deliveries.c.due_at)).where(deliveries.c.state == literal("held"))
_LIST_DUE = (
    sa.select(deliveries)
    .where(deliveries.c.state == literal("held"), deliveries.c.due_at <= sa.bindparam("now"))
    .order_by(deliveries.c.due_at, deliveries.c.id)
    .limit(sa.bindparam("limit"))
    .with_for_update(key_share=True)
)
_POSTPONE = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("held_id"))
    .values(due_at=sa.bindparam("until"), hold_reason=sa.bindparam("reason"))
)
_RELEASE = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("held_id"))
    .values(
        state=DeliveryState.READY,
        due_at=sa.bindparam("now"),
        created_at=sa.bindparam("now"),
        updated_at=sa.bindparam("now"),
        run_id=sa.func.coalesce(sa.bindparam("new_run_id", type_=sa.BigInteger), deliveries.c.run_id),
    )
)
_HURRY = (
    sa.update(deliveries)
    .where(
        deliveries.c.receive_id == sa.bindparam("open_id"),
        deliveries.c.state == literal("held"),
        deliveries.c.due_at > sa.bindparam("now"),
    )
    .values(due_at=sa.bindparam("now"))
)


def get_next_release(connection: Connection) -> Millis | None:
    """When the first hold ends, in ms; None if nothing is held."""
    return connection.execute(_NEXT_RELEASE).scalar()


def find_released(
    connection: Connection, rules: HoldRules, *, now: Millis, limit: int
) -> tuple[list[HeldDelivery], bool]:
    """The held deliveries that may be sent now, locked, and whether others may be due.

    A delivery that must wait longer, by the present preferences, gets its new time.
    """
    rows = connection.execute(_LIST_DUE, {"now": now, "limit": limit}).all()
    chosen = preference_store.load_preferences(connection, {row.receive_id for row in rows})
    released: list[HeldDelivery] = []
    postponed: list[dict[str, object]] = []
    for row in rows:
        preferences = chosen.get(row.receive_id) or Preferences(open_id=row.receive_id)
        hold = _find_hold(row, preferences, rules, since=row.updated_at, now=now)
        if hold is None:
            released.append(
                HeldDelivery(
                    id=row.id,
                    account_ref=row.account_ref,
                    receive_id=row.receive_id,
                    due_at=row.due_at,
                    preferences=preferences,
                    joins_digest=_joins_digest(row),
                )
            )
        else:
            postponed.append({"held_id": row.id, "until": hold.until, "reason": hold.reason})
    if postponed:
        connection.execute(_POSTPONE, postponed)
    return released, len(rows) == limit


def release(connection: Connection, run_ids: Mapping[int, int | None], *, now: Millis) -> None:
    """Return held deliveries to the queue. run_ids: by row id, the digest that reports their notices; None: none."""
    if not run_ids:
        return
    connection.execute(
        _RELEASE, [{"held_id": each, "new_run_id": run_id, "now": now} for each, run_id in run_ids.items()]
    )
    rows = connection.execute(sa.select(deliveries.c.receive_id).where(deliveries.c.id.in_(sorted(run_ids))))
    recipients.plan_next(connection, set(rows.scalars()), now=now)


def reconsider(connection: Connection, open_id: str, *, now: Millis) -> int:
    """Let the release decide again about everything that is held for a person. Returns the number of notices."""
    connection.execute(_HURRY, {"open_id": open_id, "now": now})
    return preference_store.count_held_for(connection, open_id)


def reconsider_all(connection: Connection, *, now: Millis) -> None:
    """Let the release decide again about everything that is held: after the clock was set back."""
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.state == literal("held"), deliveries.c.due_at > now)
        .values(
            due_at=now,
            updated_at=sa.case((deliveries.c.updated_at > now, now), else_=deliveries.c.updated_at),
        )
    )
