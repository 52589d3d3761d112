"""Notices and their deliveries. Both are created in the transaction of the ledger change."""

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import OPEN_STATES, CardVariant, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import Recipient
from notifier.store.schema.tables import deliveries, delivery_notices, notices


def create_notice(connection: Connection, account_ref: int, notice: Notice, *, now: Millis) -> int | None:
    """Create a notice and return its id; None if its key exists."""
    if connection.execute(sa.select(notices.c.id).where(notices.c.notice_key == notice.key)).first():
        return None
    return connection.execute(
        sa.insert(notices)
        .values(
            notice_key=notice.key,
            account_ref=account_ref,
            reason=notice.reason,
            occurred_at=notice.occurred_at,
            created_at=now,
            changes=_write_changes(notice.changes),
            recovered=int(notice.recovered),
        )
        .returning(notices.c.id)
    ).scalar_one()


def queue_delivery(
    connection: Connection,
    notice_id: int,
    *,
    account_ref: int,
    target: str,
    recipient: Recipient | None,
    key: str,
    now: Millis,
    order_id: str | None = None,
) -> int:
    """Add the notice to a delivery and return the delivery id.

    It extends an unsent delivery for the same account, target and order, or creates a new one.
    recipient: None while the referrer is not known. key: idempotency key of a new delivery.
    order_id: the withdrawal that the card shows. Notices of different orders never share a card.
    """
    delivery_id = _find_unsent_delivery(connection, account_ref, target, order_id) or _create_delivery(
        connection,
        account_ref=account_ref,
        target=target,
        recipient=recipient,
        key=key,
        now=now,
        order_id=order_id,
    )
    connection.execute(sa.insert(delivery_notices).values(delivery_id=delivery_id, notice_id=notice_id))
    return delivery_id


def _find_unsent_delivery(
    connection: Connection, account_ref: int, target: str, order_id: str | None
) -> int | None:
    """The newest open delivery, if its content is not frozen yet.

    The first attempt freezes the content, because Feishu deduplicates by uuid. An older delivery is never extended,
    because newer changes could arrive before it.
    """
    newest = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.state, deliveries.c.body, deliveries.c.order_id)
        .where(
            deliveries.c.account_ref == account_ref,
            deliveries.c.target == target,
            deliveries.c.state.in_(OPEN_STATES),
            deliveries.c.rerouted_from.is_(None),
            deliveries.c.run_id.is_(None),
        )
        .order_by(deliveries.c.id.desc())
        .limit(1)
        .with_for_update()
    ).first()
    if newest is None or newest.body is not None or newest.state == DeliveryState.SENDING:
        return None
    return newest.id if newest.order_id == order_id else None


def _create_delivery(
    connection: Connection,
    *,
    account_ref: int,
    target: str,
    recipient: Recipient | None,
    key: str,
    now: Millis,
    order_id: str | None,
) -> int:
    return connection.execute(
        sa.insert(deliveries)
        .values(
            delivery_key=key,
            account_ref=account_ref,
            target=target,
            receive_id_type=recipient.id_type if recipient else "",
            receive_id=recipient.id if recipient else "",
            reroute_reason=recipient.reroute_reason if recipient else None,
            state=DeliveryState.READY if recipient else DeliveryState.WAITING,
            variant=CardVariant.FULL,
            due_at=now,
            created_at=now,
            updated_at=now,
            order_id=order_id,
        )
        .returning(deliveries.c.id)
    ).scalar_one()


def make_delivery_key(*parts: str) -> str:
    """Deterministic key of these parts: 32 hex characters, short enough for Feishu's uuid (50)."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def list_notices(connection: Connection, delivery_id: int, account: AccountKey) -> list[Notice]:
    """The notices of a delivery, oldest first."""
    rows = connection.execute(
        sa.select(notices, deliveries.c.order_id)
        .join(delivery_notices, delivery_notices.c.notice_id == notices.c.id)
        .join(deliveries, deliveries.c.id == delivery_notices.c.delivery_id)
        .where(delivery_notices.c.delivery_id == delivery_id)
        .order_by(notices.c.id)
    )
    return [
        Notice(
            key=row.notice_key,
            account=account,
            reason=NoticeReason(row.reason),
            occurred_at=row.occurred_at,
            changes=_read_changes(row.changes),
            order_id=row.order_id,
            recovered=bool(row.recovered),
        )
        for row in rows
    ]


def _write_changes(changes: Sequence[BalanceChange]) -> str:
    return json.dumps([[c.asset.kind, c.asset.currency, str(c.before), str(c.after)] for c in changes])


def _read_changes(text: str) -> tuple[BalanceChange, ...]:
    return tuple(
        BalanceChange(asset=Asset(Kind(kind), currency), before=Decimal(before), after=Decimal(after))
        for kind, currency, before, after in json.loads(text)
    )
