"""Batches: many withdrawals asked for by one press. One runs per card; its items are ordered one by one."""

from collections.abc import Mapping
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
    """One account of a batch that nothing has been asked for yet. button: its ref."""

    id: int
    batch_id: int
    click_key: str
    delivery_id: int
    message_id: str | None
    account_ref: int
    button_ref: str
    requested_by: str


def count_batches(connection: Connection, delivery_id: int) -> int:
    """How many batches this card has had."""
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
    """items: button by account. None where one runs on this card, or this click has its batch already."""
    row = insert_returning(
        connection,
        batches,
        {
            "delivery_id": delivery_id,
            "click_key": click_key,
            "revision": count_batches(connection, delivery_id),
            "requested_by": requested_by,
            "requested_at": now,
        },
    )
    if row is None:
        return None
    connection.execute(
        sa.insert(batch_items),
        [
            {"batch_id": row.id, "account_ref": ref, "button_ref": button_ref}
            for ref, button_ref in items.items()
        ],
    )
    card_updates.request_update(connection, delivery_id, now=now)
    return int(row.id)


def list_pending_items(connection: Connection, *, limit: int) -> list[BatchItem]:
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


def mark_ordered(connection: Connection, item: BatchItem, order_id: str) -> None:
    connection.execute(sa.update(batch_items).where(batch_items.c.id == item.id).values(order_id=order_id))


def skip_item(connection: Connection, item: BatchItem, reason: SkipReason, *, now: Millis) -> None:
    connection.execute(sa.update(batch_items).where(batch_items.c.id == item.id).values(skip_reason=reason))
    card_updates.request_update(connection, item.delivery_id, now=now)


def finish_batches(connection: Connection, *, now: Millis) -> list[int]:
    """Batches of which nothing is left to do are over; their ids."""
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
        card_updates.request_update(connection, row.delivery_id, now=now)
    return [row.id for row in finished]


def is_batch_running(connection: Connection, delivery_id: int) -> bool:
    """Whether a batch runs on this card."""
    query = sa.select(batches.c.id).where(batches.c.delivery_id == delivery_id, batches.c.ended_at.is_(None))
    return connection.execute(query).first() is not None


def has_running_batch(connection: Connection) -> bool:
    query = sa.select(batches.c.id).where(batches.c.ended_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def get_progress(connection: Connection, delivery_id: int) -> Progress | None:
    """Of the newest batch on this card."""
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
    reason: SkipReason
    requested_at: Millis


def list_skipped(connection: Connection, delivery_id: int) -> dict[int, SkippedAccount]:
    """Accounts that the newest batch of this card which had them asked nothing for."""
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
