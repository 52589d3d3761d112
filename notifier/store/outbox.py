"""The outbox: deliveries, who may send which now, and what became of each try."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.card_state import Claimed
from notifier.domain.delivery import UUID_WINDOW_MS, Content, Delivery, DeliveryState, Move, Rung
from notifier.domain.rate_limit import Gate, SendingPace
from notifier.store import accounts, notices, rate_limits
from notifier.store.schema.tables import attempts, deliveries, gates

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """deliveries: ours now. again_at: when it makes sense to ask again, None when nothing waits."""

    deliveries: tuple[Claimed, ...]
    again_at: float | None


def claim(connection: Connection, *, owner: str, now: Millis, slots: int, pace: SendingPace) -> Claim:
    """Leases the oldest due delivery of as many recipients as the pace allows; one per recipient at a time."""
    gate = rate_limits.load(connection, rate_limits.SENDING).sane(pace.app, now=now)
    wanted, minute_opens_at = _left_in_minute(connection, now=now, per_minute=pace.per_minute)
    allowed = gate.passes(pace.app, now=now, wanted=min(slots, wanted))
    if allowed == 0:
        opens_at = max(gate.opens_at(pace.app), minute_opens_at) if slots else None
        return Claim(deliveries=(), again_at=opens_at if any_ready(connection) else None)
    rows = connection.execute(heads(now).limit(allowed)).all()
    if rows:
        chat_gates = [
            Gate(
                name=rate_limits.recipient_gate(row.receive_id), due_at_ms=min(row.line_due_at_ms or 0.0, now)
            ).after_one(pace.chat, now=now)
            for row in rows
        ]
        rate_limits.keep(connection, [gate.after(len(rows), pace.app, now=now), *chat_gates])
    claimed = tuple(
        _lease(connection, row, owner=owner, now=now)
        for row in rows
        if not _set_aside(connection, row, now=now)
    )
    again_at = now if len(rows) == allowed else next_due(connection, now=now)
    return Claim(deliveries=claimed, again_at=again_at)


def _left_in_minute(connection: Connection, *, now: Millis, per_minute: int) -> tuple[int, Millis]:
    """How many calls the last 60 seconds leave, and when there will be one more."""
    recent = sa.select(attempts.c.started_at).where(attempts.c.started_at.between(now - MINUTE_MS + 1, now))
    used = connection.execute(sa.select(sa.func.count()).select_from(recent.subquery())).scalar_one()
    if used < per_minute:
        return per_minute - used, now
    oldest = connection.execute(
        recent.order_by(attempts.c.started_at.desc()).offset(per_minute - 1).limit(1)
    ).scalar_one()
    return 0, oldest + MINUTE_MS


def _set_aside(connection: Connection, row: sa.Row[*tuple[Any, ...]], *, now: Millis) -> bool:
    """True where Feishu has forgotten the key of a call that may have succeeded: a person must decide.

    It lay idle for too long: the notifier was off, or a gate was shut.
    """
    if row.unknown_since is None or now - row.unknown_since < UUID_WINDOW_MS:
        return False
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row.id)
        .values(
            state=DeliveryState.UNCERTAIN,
            updated_at=now,
            last_error="it lay idle until Feishu's memory of its key was over",
        )
    )
    return True


def _lease(connection: Connection, row: sa.Row[*tuple[Any, ...]], *, owner: str, now: Millis) -> Claimed:
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row.id)
        .values(
            state=DeliveryState.SENDING,
            owner=owner,
            attempts=deliveries.c.attempts + 1,
            first_tried_at=sa.func.coalesce(deliveries.c.first_tried_at, now),
            updated_at=now,
        )
    )
    delivery = _delivery(row, state=DeliveryState.SENDING, attempts_made=row.attempts + 1)
    attempt_id = connection.execute(
        sa.insert(attempts)
        .values(delivery_id=row.id, uuid=delivery.uuid, started_at=now)
        .returning(attempts.c.id)
    ).scalar_one()
    ref = row.account_ref
    account = accounts.key_of(connection, ref) if ref is not None else None
    tells = account is not None and row.run_id is None and delivery.content is None
    return Claimed(
        delivery=delivery,
        attempt_id=attempt_id,
        account=account,
        owner=accounts.ownership(connection, ref) if ref is not None else None,
        told=tuple(notices.told_by(connection, row.id, account)) if account and tells else (),
    )


def _delivery(row: sa.Row[*tuple[Any, ...]], *, state: DeliveryState, attempts_made: int) -> Delivery:
    content = None
    if row.body is not None:
        content = Content(rung=Rung(row.rung), msg_type=row.msg_type, body=row.body)
    return Delivery(
        id=row.id,
        key=row.delivery_key,
        account_ref=row.account_ref,
        target=row.target,
        receive_id_type=row.receive_id_type,
        receive_id=row.receive_id,
        state=state,
        rung=Rung(row.rung),
        content=content,
        attempts=attempts_made,
        created_at=row.created_at,
        first_tried_at=row.first_tried_at,
        unknown_since=row.unknown_since,
        reroute_reason=row.reroute_reason,
        last_error=row.last_error,
        order_id=row.order_id,
        run_id=row.run_id,
        file_id=row.file_id,
    )


def freeze(connection: Connection, items: Sequence[tuple[int, Content, str]]) -> Sequence[None]:
    """(delivery id, what it says, its uuid) of each: written before the first call, and never changed for that
    uuid.
    """
    for delivery_id, content, uuid in items:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(
                body=content.body,
                msg_type=content.msg_type,
                rung=content.rung,
                card_fault=sa.func.coalesce(content.fault, deliveries.c.card_fault),
            )
        )
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.delivery_id == delivery_id, attempts.c.ended_at.is_(None))
            .values(uuid=uuid)
        )
    return [None] * len(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    delivery_id: int
    attempt_id: int
    owner: str
    message_id: str
    chat_id: str
    ended_at: Millis
    log_id: str | None


def finish_sent(connection: Connection, items: Sequence[Sent]) -> Sequence[bool]:
    """False where the delivery was no longer ours."""
    return [_finish_one(connection, sent) for sent in items]


def _finish_one(connection: Connection, sent: Sent) -> bool:
    _end_attempt(connection, sent.attempt_id, ended_at=sent.ended_at, outcome="sent", log_id=sent.log_id)
    return _update_owned(
        connection,
        sent.delivery_id,
        sent.owner,
        {
            "state": DeliveryState.SENT,
            "message_id": sent.message_id,
            "chat_id": sent.chat_id,
            "updated_at": sent.ended_at,
            "owner": None,
            "last_error": None,
            "last_code": None,
            "log_id": sent.log_id,
        },
    )


def finish_failed(
    connection: Connection, delivery: Delivery, *, attempt_id: int, owner: str, move: Move, now: Millis
) -> bool:
    """False where the delivery was no longer ours."""
    _end_attempt(
        connection,
        attempt_id,
        ended_at=now,
        outcome=move.state,
        reason=move.reason,
        code=move.code,
        log_id=move.log_id,
    )
    values: dict[str, object] = {
        "state": move.state,
        "due_at": move.due_at,
        "rung": move.rung,
        "unknown_since": move.unknown_since,
        "updated_at": now,
        "owner": None,
        "last_error": move.reason,
        "last_code": move.code,
        "log_id": move.log_id,
    }
    if move.rung is not delivery.rung:
        values |= {"body": None, "msg_type": None, "card_fault": f"{move.reason} (code {move.code})"}
    return _update_owned(connection, delivery.id, owner, values)


def _end_attempt(
    connection: Connection,
    attempt_id: int,
    *,
    ended_at: Millis,
    outcome: str,
    reason: str | None = None,
    code: int | None = None,
    log_id: str | None = None,
) -> None:
    connection.execute(
        sa.update(attempts)
        .where(attempts.c.id == attempt_id)
        .values(ended_at=ended_at, outcome=outcome, reason=reason, code=code, log_id=log_id)
    )


def _update_owned(connection: Connection, delivery_id: int, owner: str, values: Mapping[str, object]) -> bool:
    changed = connection.execute(
        sa.update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.owner == owner,
            deliveries.c.state == DeliveryState.SENDING,
        )
        .values(**values)
    )
    return changed.rowcount == 1


STOPPED = "the notifier stopped while it was being sent"
LOST = "what became of it could not be kept"


def reclaim(
    connection: Connection,
    *,
    now: Millis,
    window_ms: int,
    held: Collection[int] = (),
    due_at: Millis | None = None,
    reason: str = STOPPED,
) -> int:
    """Whatever is marked as being sent and is not held by anybody goes back. How many that were.

    held: ids of the deliveries in flight; none at start, when a process before us had them all. due_at: when to
    try again, by default now. A call may have reached Feishu, so the same uuid is used again while Feishu
    remembers it (window_ms since the first call of unknown outcome); after that a person must decide.
    """
    rows = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.unknown_since, deliveries.c.body, attempts.c.started_at)
        .outerjoin(
            attempts, sa.and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.ended_at.is_(None))
        )
        .where(deliveries.c.state == DeliveryState.SENDING, deliveries.c.id.not_in(held))
        .order_by(deliveries.c.id)
    ).all()
    for row in rows:
        unknown_since = row.unknown_since
        if row.body is not None and unknown_since is None:
            unknown_since = row.started_at or now
        too_late = unknown_since is not None and now - unknown_since >= window_ms
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == row.id)
            .values(
                state=DeliveryState.UNCERTAIN if too_late else DeliveryState.READY,
                unknown_since=unknown_since,
                due_at=now if due_at is None else due_at,
                owner=None,
                updated_at=now,
                last_error=reason,
            )
        )
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.delivery_id == row.id, attempts.c.ended_at.is_(None))
            .values(ended_at=now, outcome="unknown", reason=reason)
        )
    return len(rows)


FAR_AHEAD_MS = 60_000


def heads(now: Millis) -> sa.Select[*tuple[Any, ...]]:
    """The first of each recipient's line, where it is due, nobody is being sent to and the gate is open."""
    return (
        sa.select(deliveries, gates.c.due_at_ms.label("line_due_at_ms"))
        .outerjoin(gates, gates.c.name == sa.literal("to:") + deliveries.c.receive_id)
        .where(
            deliveries.c.state == DeliveryState.READY,
            deliveries.c.due_at <= now,
            _line_opens_at(now) <= now,
            ~_somebody_ahead(),
        )
        .order_by(deliveries.c.id)
    )


def _somebody_ahead() -> sa.ColumnElement[bool]:
    """An older delivery to the same recipient is ready, or any is being sent."""
    other = deliveries.alias()
    return sa.exists().where(
        other.c.receive_id == deliveries.c.receive_id,
        sa.or_(
            sa.and_(other.c.state == DeliveryState.READY, other.c.id < deliveries.c.id),
            other.c.state == DeliveryState.SENDING,
        ),
    )


def any_ready(connection: Connection) -> bool:
    return (
        connection.execute(
            sa.select(deliveries.c.id).where(deliveries.c.state == DeliveryState.READY).limit(1)
        ).first()
        is not None
    )


def _line_opens_at(now: Millis) -> sa.ColumnElement[float]:
    """A moment far ahead can only come from a clock that was set back since: such a line is open."""
    sane = sa.and_(gates.c.due_at_ms.is_not(None), gates.c.due_at_ms <= now + FAR_AHEAD_MS)
    return sa.case((sane, gates.c.due_at_ms), else_=0.0)


def next_due(connection: Connection, *, now: Millis) -> float | None:
    """The earliest moment at which the first of a line may go, as far as its own line is concerned."""
    line_opens_at = _line_opens_at(now)
    earliest = sa.case((line_opens_at > deliveries.c.due_at, line_opens_at), else_=deliveries.c.due_at)
    return connection.execute(
        sa.select(sa.func.min(earliest))
        .select_from(deliveries.outerjoin(gates, gates.c.name == sa.literal("to:") + deliveries.c.receive_id))
        .where(deliveries.c.state == DeliveryState.READY, ~_somebody_ahead())
    ).scalar()
