"""Notices and their deliveries. Both are created in the transaction of the ledger change."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Millis
from notifier.domain.delivery import CardVariant, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.route import Recipient
from notifier.store import accounts as account_store
from notifier.store import recipients
from notifier.store.engine.sql import insert_returning, literal
from notifier.store.schema.tables import accounts, deliveries, delivery_notices, is_open, notices


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A notice that goes to one target."""

    notice_id: int
    """Row id of the notice."""
    account_ref: int
    """Row id of the account."""
    target: str
    """`referrer` or a group name."""
    recipient: Recipient | None
    """None while the referrer is not known."""
    key: str
    """Idempotency key, if a new delivery is created."""
    order_id: str | None = None
    """The withdrawal that the card shows. Notices of different orders never share a card."""
    event_key: str | None = None
    """Key of the event that the notice reports; None: no event."""
    event_at: Millis | None = None
    """When that event was stored, Unix milliseconds."""


def create_notices(
    connection: Connection, new: Sequence[tuple[int, Notice]], *, now: Millis
) -> list[int | None]:
    """Create notices from (accounts.id, notice) pairs. Returns their ids in order; None if the key exists."""
    if not new:
        return []
    rows = [
        {
            "notice_key": notice.key,
            "account_ref": account_ref,
            "reason": notice.reason,
            "occurred_at": notice.occurred_at,
            "created_at": now,
            "changes": _write_changes(notice.changes),
            "recovered": int(notice.recovered),
        }
        for account_ref, notice in new
    ]
    ids = {row.notice_key: row.id for row in insert_returning(connection, notices, rows)}
    return [ids.pop(notice.key, None) for _, notice in new]


_LIST_OPEN = (
    sa.select(
        deliveries.c.id,
        deliveries.c.account_ref,
        deliveries.c.target,
        deliveries.c.order_id,
        (deliveries.c.body.is_(None) & (deliveries.c.state != DeliveryState.SENDING)).label("is_unsent"),
    )
    .where(
        deliveries.c.account_ref.in_(sa.bindparam("refs", expanding=True)),
        is_open,
        deliveries.c.state != literal("held"),  # a claim folds what is held
        deliveries.c.rerouted_from.is_(None),
        deliveries.c.run_id.is_(None),
        deliveries.c.corrects.is_(None),
        deliveries.c.answer_id.is_(None),
    )
    .order_by(deliveries.c.id)
    .with_for_update(key_share=True)
)
_ADD_DELIVERY_NOTICES = sa.insert(delivery_notices)
_ADD_DELIVERIES = sa.insert(deliveries).returning(deliveries.c.id, deliveries.c.delivery_key)


def queue_deliveries(connection: Connection, new: Sequence[NewDelivery], *, now: Millis) -> list[int]:
    """Add notices to deliveries, and return the delivery ids in order.

    A notice extends the newest open delivery for the same account, target and order, if its content is not frozen
    yet; otherwise it gets a new delivery. The first attempt freezes the content, because Feishu deduplicates by uuid.
    An older delivery is never extended, because newer changes could arrive before it.
    """
    if not new:
        return []
    newest: dict[tuple[int, str], tuple[bool, str | None, int | NewDelivery]] = {}
    for row in connection.execute(_LIST_OPEN, {"refs": sorted({each.account_ref for each in new})}):
        newest[row.account_ref, row.target] = (bool(row.is_unsent), row.order_id, row.id)
    chosen: list[int | NewDelivery] = []
    for each in new:
        is_unsent, order_id, delivery = newest.get((each.account_ref, each.target), (False, None, each))
        if not is_unsent or order_id != each.order_id:
            delivery = each
            newest[each.account_ref, each.target] = (True, each.order_id, each)
        chosen.append(delivery)
    created = [each for each, delivery in zip(new, chosen, strict=True) if delivery is each]
    metrics.NOTICES_FOLDED.inc(len(new) - len(created))
    ids = _create_deliveries(connection, created, now=now)
    found = [delivery if isinstance(delivery, int) else ids[delivery.key] for delivery in chosen]
    connection.execute(
        _ADD_DELIVERY_NOTICES,
        [
            {"delivery_id": delivery_id, "notice_id": each.notice_id}
            for each, delivery_id in zip(new, found, strict=True)
        ],
    )
    return found


def _create_deliveries(connection: Connection, new: Sequence[NewDelivery], *, now: Millis) -> dict[str, int]:
    """The ids of the new deliveries by key."""
    if not new:
        return {}
    rows = [
        {
            "delivery_key": each.key,
            "account_ref": each.account_ref,
            "target": each.target,
            "receive_id_type": each.recipient.id_type if each.recipient else "",
            "receive_id": each.recipient.id if each.recipient else "",
            "reroute_reason": each.recipient.reroute_reason if each.recipient else None,
            "state": DeliveryState.READY if each.recipient else DeliveryState.WAITING,
            "variant": CardVariant.FULL,
            "due_at": now,
            "created_at": now,
            "updated_at": now,
            "order_id": each.order_id,
            "event_key": each.event_key,
            "event_at": each.event_at,
        }
        for each in new
    ]
    ids = {row.delivery_key: row.id for row in connection.execute(_ADD_DELIVERIES, rows)}
    recipients.plan_next(connection, [each.recipient.id for each in new if each.recipient], now=now)
    account_store.request_lookups(
        connection, {each.account_ref for each in new if each.recipient is None}, now=now
    )
    return ids


def make_delivery_key(*parts: str) -> str:
    """Deterministic key of these parts: 32 hex characters, short enough for Feishu's uuid (50)."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


_LOAD_NOTICES = (
    sa.select(
        delivery_notices.c.delivery_id,
        notices,
        deliveries.c.order_id,
        accounts.c.tenant_key,
        accounts.c.app_id,
        accounts.c.account_id,
    )
    .select_from(delivery_notices)
    .join(notices, notices.c.id == delivery_notices.c.notice_id)
    .join(deliveries, deliveries.c.id == delivery_notices.c.delivery_id)
    .join(accounts, accounts.c.id == notices.c.account_ref)
    .where(delivery_notices.c.delivery_id.in_(sa.bindparam("delivery_ids", expanding=True)))
    .order_by(notices.c.id)
)


def load_notices(connection: Connection, delivery_ids: Sequence[int]) -> dict[int, tuple[Notice, ...]]:
    """The notices of these deliveries, each oldest first. Deliveries without a notice are missing."""
    found: dict[int, tuple[Notice, ...]] = {}
    rows = connection.execute(_LOAD_NOTICES, {"delivery_ids": delivery_ids}) if delivery_ids else ()
    for row in rows:
        notice = Notice(
            key=row.notice_key,
            account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
            reason=NoticeReason(row.reason),
            occurred_at=row.occurred_at,
            changes=_read_changes(row.changes),
            order_id=row.order_id,
            recovered=bool(row.recovered),
        )
        found[row.delivery_id] = (*found.get(row.delivery_id, ()), notice)
    return found


def _write_changes(changes: Sequence[BalanceChange]) -> str:
    return json.dumps([[c.asset.kind, c.asset.currency, str(c.before), str(c.after)] for c in changes])


def _read_changes(text: str) -> tuple[BalanceChange, ...]:
    return tuple(
        BalanceChange(asset=Asset(Kind(kind), currency), before=Decimal(before), after=Decimal(after))
        for kind, currency, before, after in json.loads(text)
    )
