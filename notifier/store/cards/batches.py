"""Batches: several withdrawals from one press. One batch runs per card; its items are ordered one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.digest_panel import Progress, SkipReason
from notifier.domain.withdrawal import WithdrawalState
from notifier.store import card_updates
from notifier.store.engine.sql import insert_returning
from notifier.store.schema.tables import batch_items, batches, deliveries, withdrawals


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One account of a batch without an order yet."""

    id: int
    """Row id."""
    batch_id: int
    """Row id of the batch."""
    click_key: str
    """Idempotency key of the press that started the batch."""
    delivery_id: int
    """Delivery of the digest card."""
    message_id: str | None
    """Feishu's id of the card message."""
    account_ref: int
    """accounts.id."""
    button_ref: str
    """Withdraw button of the account on the card."""
    requested_by: str
    """open_id of the operator who pressed."""


def count_batches(connection: Connection, delivery_id: int) -> int:
    """Number of batches of this card, running or ended."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(batches).where(batches.c.delivery_id == delivery_id)
    ).scalar_one()


def create_batch(
    connection: Connection,
    *,
    delivery_id: int,
    click_key: str,
    requested_by: str,
    items: Mapping[int, str],
    now: Millis,
) -> int | None:
    """Create a batch and return its id. None if a batch runs on the card, or this press already has one.

    items: button ref by accounts.id. requested_by: open_id of the operator.
    """
    rows = insert_returning(
        connection,
        batches,
        [
            {
                "delivery_id": delivery_id,
                "click_key": click_key,
                "revision": count_batches(connection, delivery_id),
                "requested_by": requested_by,
                "requested_at": now,
            }
        ],
    )
    if not rows:
        return None
    connection.execute(
        sa.insert(batch_items),
        [
            {"batch_id": rows[0].id, "account_ref": ref, "button_ref": button_ref}
            for ref, button_ref in items.items()
        ],
    )
    card_updates.request_card_updates(connection, [delivery_id], now=now)
    return int(rows[0].id)


def list_pending_items(connection: Connection, *, limit: int) -> list[BatchItem]:
    """Items without an order or a skip reason, oldest first."""
    rows = connection.execute(
        sa.select(
            batch_items.c.id,
            batch_items.c.batch_id,
            batch_items.c.account_ref,
            batch_items.c.button_ref,
            batches.c.click_key,
            batches.c.delivery_id,
            batches.c.requested_by,
            deliveries.c.message_id,
        )
        .join(batches, batches.c.id == batch_items.c.batch_id)
        .join(deliveries, deliveries.c.id == batches.c.delivery_id)
        .where(batch_items.c.order_id.is_(None), batch_items.c.skip_reason.is_(None))
        .order_by(batch_items.c.id)
        .limit(limit)
    )
    return [BatchItem(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


_MARK_ORDERED = (
    sa.update(batch_items)
    .where(batch_items.c.id == sa.bindparam("item"))
    .values(order_id=sa.bindparam("new_order_id"))
)
_SKIP = (
    sa.update(batch_items)
    .where(batch_items.c.id == sa.bindparam("item"))
    .values(skip_reason=sa.bindparam("new_reason"))
)


def mark_ordered(connection: Connection, ordered: Sequence[tuple[BatchItem, str]]) -> None:
    """Store the order ids of items."""
    if ordered:
        rows = [{"item": item.id, "new_order_id": order_id} for item, order_id in ordered]
        connection.execute(_MARK_ORDERED, rows)


def skip_items(
    connection: Connection, skipped: Sequence[tuple[BatchItem, SkipReason]], *, now: Millis
) -> None:
    """Store why items get no order, and request updates of their cards."""
    if skipped:
        connection.execute(_SKIP, [{"item": item.id, "new_reason": reason} for item, reason in skipped])
        cards = sorted({item.delivery_id for item, _ in skipped})
        card_updates.request_card_updates(connection, cards, now=now)


def finish_batches(connection: Connection, *, now: Millis) -> list[int]:
    """End batches without unfinished items, request card updates, and return the batch ids."""
    open_items = (
        sa.select(batch_items.c.id)
        .outerjoin(withdrawals, withdrawals.c.order_id == batch_items.c.order_id)
        .where(
            batch_items.c.batch_id == batches.c.id,
            batch_items.c.skip_reason.is_(None),
            sa.or_(batch_items.c.order_id.is_(None), withdrawals.c.state == WithdrawalState.REQUESTED),
        )
    )
    finished = connection.execute(
        sa.select(batches.c.id, batches.c.delivery_id).where(
            batches.c.ended_at.is_(None), ~open_items.exists()
        )
    ).all()
    for row in finished:
        connection.execute(sa.update(batches).where(batches.c.id == row.id).values(ended_at=now))
        card_updates.request_card_updates(connection, [row.delivery_id], now=now)
    return [row.id for row in finished]


def is_batch_running(connection: Connection, delivery_id: int) -> bool:
    """Whether a batch runs on this card."""
    query = sa.select(batches.c.id).where(batches.c.delivery_id == delivery_id, batches.c.ended_at.is_(None))
    return connection.execute(query).first() is not None


def has_running_batch(connection: Connection) -> bool:
    """Whether any batch runs."""
    query = sa.select(batches.c.id).where(batches.c.ended_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def get_progress(connection: Connection, delivery_id: int) -> Progress | None:
    """Progress of the newest batch on this card; None if there is none."""
    batch = connection.execute(
        sa.select(batches).where(batches.c.delivery_id == delivery_id).order_by(batches.c.id.desc()).limit(1)
    ).first()
    if batch is None:
        return None
    rows = connection.execute(
        sa.select(batch_items.c.skip_reason, withdrawals.c.state, sa.func.count().label("item_count"))
        .outerjoin(withdrawals, withdrawals.c.order_id == batch_items.c.order_id)
        .where(batch_items.c.batch_id == batch.id)
        .group_by(batch_items.c.skip_reason, withdrawals.c.state)
    ).all()
    finished = [
        row
        for row in rows
        if row.skip_reason is not None or row.state not in {None, WithdrawalState.REQUESTED}
    ]
    return Progress(
        total=sum(row.item_count for row in rows),
        done=sum(row.item_count for row in finished),
        failed=sum(row.item_count for row in finished if row.state == WithdrawalState.REFUSED),
        skipped={
            SkipReason(row.skip_reason): row.item_count for row in finished if row.skip_reason is not None
        },
        running=batch.ended_at is None,
        by=batch.requested_by,
        withdrawn=sum(row.item_count for row in finished if row.state == WithdrawalState.WITHDRAWN),
    )


@dataclass(frozen=True, slots=True)
class SkippedAccount:
    """Why and when a batch skipped an account. requested_at: of the batch, in ms."""

    reason: SkipReason
    requested_at: Millis


def list_skipped(connection: Connection, delivery_id: int) -> dict[int, SkippedAccount]:
    """Skipped accounts of this card, by accounts.id. The newest batch with the account decides."""
    rows = connection.execute(
        sa.select(batch_items.c.account_ref, batch_items.c.skip_reason, batches.c.requested_at)
        .join(batches, batches.c.id == batch_items.c.batch_id)
        .where(batches.c.delivery_id == delivery_id)
        .order_by(batch_items.c.id)
    ).all()
    newest = {row.account_ref: row for row in rows}
    return {
        ref: SkippedAccount(SkipReason(row.skip_reason), row.requested_at)
        for ref, row in newest.items()
        if row.skip_reason is not None
    }
