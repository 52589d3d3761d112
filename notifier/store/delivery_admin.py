"""The operator's desk: what waits, what is stuck, and the few things a person may do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import NEEDS_ATTENTION, OPEN_STATES, CardVariant, DeliveryState
from notifier.store.schema.tables import accounts, attempts, deliveries, delivery_notices, notices


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    id: int
    state: str
    target: str
    receive_id: str
    account_id: str
    variant: str
    attempts: int
    created_at: Millis
    updated_at: Millis
    due_at: Millis
    last_error: str | None
    last_code: int | None
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    uuid: str
    started_at: Millis
    ended_at: Millis | None
    outcome: str | None
    reason: str | None
    code: int | None
    log_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetails:
    """All we know of one delivery. body: what was or will be sent, None before the first try. degraded_reason:
    why it is simpler than the full card.
    """

    row: DeliveryRow
    key: str
    reroute_reason: str | None
    rerouted_from: int | None
    chat_id: str | None
    body: str | None
    degraded_reason: str | None
    notices: int
    attempts: tuple[AttemptRow, ...]


_DELIVERY_COLUMNS = (
    deliveries.c.id,
    deliveries.c.state,
    deliveries.c.target,
    deliveries.c.receive_id,
    sa.func.coalesce(accounts.c.account_id, "").label("account_id"),
    deliveries.c.variant,
    deliveries.c.attempts,
    deliveries.c.created_at,
    deliveries.c.updated_at,
    deliveries.c.due_at,
    deliveries.c.last_error,
    deliveries.c.last_code,
    deliveries.c.message_id,
)


def list_deliveries(connection: Connection, *, states: Sequence[str], limit: int) -> list[DeliveryRow]:
    """Newest first; all states when none are named."""
    query = sa.select(*_DELIVERY_COLUMNS).outerjoin(accounts, accounts.c.id == deliveries.c.account_ref)
    if states:
        query = query.where(deliveries.c.state.in_(states))
    rows = connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [DeliveryRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def show_delivery(connection: Connection, delivery_id: int) -> DeliveryDetails | None:
    found = connection.execute(
        sa.select(*_DELIVERY_COLUMNS)
        .outerjoin(accounts, accounts.c.id == deliveries.c.account_ref)
        .where(deliveries.c.id == delivery_id)
    ).first()
    if found is None:
        return None
    more = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    notice_count = connection.execute(
        sa.select(sa.func.count())
        .select_from(delivery_notices.join(notices))
        .where(delivery_notices.c.delivery_id == delivery_id)
    ).scalar_one()
    attempt_rows = connection.execute(
        sa.select(
            attempts.c.uuid,
            attempts.c.started_at,
            attempts.c.ended_at,
            attempts.c.outcome,
            attempts.c.reason,
            attempts.c.code,
            attempts.c.log_id,
        )
        .where(attempts.c.delivery_id == delivery_id)
        .order_by(attempts.c.id)
    )
    return DeliveryDetails(
        row=DeliveryRow(**found._mapping),  # noqa: SLF001 - SQLAlchemy's public name for it
        key=more.delivery_key,
        reroute_reason=more.reroute_reason,
        rerouted_from=more.rerouted_from,
        chat_id=more.chat_id,
        body=more.body,
        degraded_reason=more.degraded_reason,
        notices=notice_count,
        attempts=tuple(AttemptRow(**row._mapping) for row in attempt_rows),  # noqa: SLF001 - see above
    )


def list_dead_ids(connection: Connection) -> list[int]:
    """Deliveries that wait for a person: dead, not uncertain ones, as those may have been seen already."""
    return list(
        connection.execute(
            sa.select(deliveries.c.id)
            .where(deliveries.c.state == DeliveryState.DEAD)
            .order_by(deliveries.c.id)
        ).scalars()
    )


def retry(connection: Connection, delivery_id: int, *, now: Millis) -> bool:
    """A person decided: send it again, as new, with a key that Feishu has not seen. False if it is not stuck.

    It goes back to the look-up, as its recipient may have changed; a reroute, and what tells of no single account,
    keeps its recipient.
    """
    row = connection.execute(
        sa.select(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.state.in_(NEEDS_ATTENTION))
    ).first()
    if row is None:
        return False
    keeps_recipient = (row.rerouted_from is not None or row.account_ref is None) and row.receive_id
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=DeliveryState.READY if keeps_recipient else DeliveryState.WAITING,
            delivery_key=_next_key(row.delivery_key),
            variant=CardVariant.FULL,
            body=None,
            msg_type=None,
            degraded_reason=None,
            due_at=now,
            created_at=now,
            updated_at=now,
            attempts=0,
            first_tried_at=None,
            unknown_since=None,
            **({} if keeps_recipient else {"receive_id": "", "receive_id_type": "", "reroute_reason": None}),
        )
    )
    return True


def _next_key(key: str) -> str:
    """`abc` -> `abc.1` -> `abc.2`: the same delivery, told to Feishu under a new uuid."""
    stem, _, number = key.partition(".")
    return f"{stem}.{int(number or 0) + 1}"


def drop(connection: Connection, delivery_id: int, *, now: Millis) -> bool:
    """A person decided: it is not needed any more. False if it is not stuck."""
    changed = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(NEEDS_ATTENTION))
        .values(state=DeliveryState.DROPPED, updated_at=now)
    )
    return changed.rowcount == 1


def count_by_state(connection: Connection) -> dict[str, int]:
    rows = connection.execute(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state))
    return {state: count for state, count in rows}  # noqa: C416 - rows are not pairs to mypy


def get_oldest_open_at(connection: Connection) -> Millis | None:
    return connection.execute(
        sa.select(sa.func.min(deliveries.c.created_at)).where(deliveries.c.state.in_(OPEN_STATES))
    ).scalar()


def count_failure_reasons(connection: Connection, *, limit: int) -> list[tuple[str, int | None, str, int]]:
    """(state, code, reason, how many) of what waits for a person, commonest first."""
    count = sa.func.count().label("row_count")
    rows = connection.execute(
        sa.select(deliveries.c.state, deliveries.c.last_code, deliveries.c.last_error, count)
        .where(deliveries.c.state.in_(NEEDS_ATTENTION))
        .group_by(deliveries.c.state, deliveries.c.last_code, deliveries.c.last_error)
        .order_by(count.desc())
        .limit(limit)
    )
    return [(row.state, row.last_code, row.last_error or "", row.row_count) for row in rows]


def count_degraded_cards(connection: Connection, *, since: Millis, limit: int) -> list[tuple[str, str, int]]:
    """(rung, why, how many) of what went out simpler than the full card, commonest first."""
    count = sa.func.count().label("row_count")
    rows = connection.execute(
        sa.select(deliveries.c.variant, deliveries.c.degraded_reason, count)
        .where(deliveries.c.degraded_reason.is_not(None), deliveries.c.updated_at >= since)
        .group_by(deliveries.c.variant, deliveries.c.degraded_reason)
        .order_by(count.desc())
        .limit(limit)
    )
    return [(row.variant, row.degraded_reason, row.row_count) for row in rows]
