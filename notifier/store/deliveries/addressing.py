"""Addressing: sets the recipient of deliveries and creates reroutes to the fallback group."""

from collections import Counter
from collections.abc import Callable, Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import CardVariant, Delivery, DeliveryState
from notifier.domain.route import Recipient
from notifier.store import notices, recipients
from notifier.store.schema.tables import deliveries, delivery_notices, is_open

_NO_RECIPIENT = "no recipient: the referrer is unknown, and no fallback group is configured"
_LIST_WAITING = sa.select(deliveries.c.id, deliveries.c.account_ref, deliveries.c.target).where(
    deliveries.c.account_ref.in_(sa.bindparam("refs", expanding=True)),
    is_open,
    deliveries.c.state == DeliveryState.WAITING,
)
_ADDRESS = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("waiting_id"))
    .values(
        state=sa.bindparam("new_state"),
        receive_id_type=sa.bindparam("new_id_type"),
        receive_id=sa.bindparam("new_receive_id"),
        reroute_reason=sa.bindparam("new_reroute_reason"),
        due_at=sa.bindparam("now"),
        updated_at=sa.bindparam("now"),
        last_error=sa.func.coalesce(sa.bindparam("error", type_=sa.Text), deliveries.c.last_error),
    )
)


def address_waiting(
    connection: Connection,
    account_refs: Collection[int],
    choose: Callable[[int, str], Recipient | None],
    *,
    now: Millis,
) -> Counter[int]:
    """Set the recipient of all waiting deliveries of these accounts. Returns their number by account.

    choose: the recipient for an account and a target. None if there is none; then the delivery becomes dead.
    """
    waiting = connection.execute(_LIST_WAITING, {"refs": sorted(account_refs)}).all()
    if not waiting:
        return Counter()
    chosen = {(row.account_ref, row.target): choose(row.account_ref, row.target) for row in waiting}
    rows = []
    for row in waiting:
        recipient = chosen[row.account_ref, row.target]
        rows.append(
            {
                "waiting_id": row.id,
                "new_state": DeliveryState.READY if recipient else DeliveryState.DEAD,
                "new_id_type": recipient.id_type if recipient else "",
                "new_receive_id": recipient.id if recipient else "",
                "new_reroute_reason": recipient.reroute_reason if recipient else None,
                "now": now,
                "error": None if recipient else _NO_RECIPIENT,
            }
        )
    connection.execute(_ADDRESS, rows)
    recipients.plan_next(connection, [each.id for each in chosen.values() if each is not None], now=now)
    return Counter(row.account_ref for row in waiting)


def create_reroute(connection: Connection, delivery: Delivery, recipient: Recipient, *, now: Millis) -> int:
    """Create the delivery that sends the same content to the fallback group, and return its id. Idempotent.

    An unsent reroute of the same account and recipient is extended instead of creating a second one.
    """
    key = notices.make_delivery_key(delivery.key, "reroute")
    known = connection.execute(sa.select(deliveries.c.id).where(deliveries.c.delivery_key == key)).scalar()
    if known is not None:
        return known
    may_join = delivery.run_id is None and delivery.corrects is None
    waiting = _find_unsent_reroute(connection, delivery, recipient) if may_join else None
    new_id = (
        waiting
        or connection.execute(
            sa.insert(deliveries)
            .values(
                delivery_key=key,
                account_ref=delivery.account_ref,
                target=delivery.target,
                receive_id_type=recipient.id_type,
                receive_id=recipient.id,
                state=DeliveryState.READY,
                variant=CardVariant.FULL,
                due_at=now,
                created_at=now,
                updated_at=now,
                reroute_reason=recipient.reroute_reason,
                rerouted_from=delivery.id,
                order_id=delivery.order_id,
                run_id=delivery.run_id,
                file_id=delivery.file_id,
                event_key=delivery.event_key,
                event_at=delivery.event_at,
                corrects=delivery.corrects,
            )
            .returning(deliveries.c.id)
        ).scalar_one()
    )
    connection.execute(
        sa.insert(delivery_notices).from_select(
            ["delivery_id", "notice_id"],
            sa.select(sa.literal(new_id), delivery_notices.c.notice_id).where(
                delivery_notices.c.delivery_id == delivery.id
            ),
        )
    )
    recipients.plan_next(connection, [recipient.id], now=now)
    return new_id


def _find_unsent_reroute(connection: Connection, delivery: Delivery, recipient: Recipient) -> int | None:
    """Match the same target only: each target of a notice has its own reason for the reroute."""
    return connection.execute(
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.account_ref == delivery.account_ref,
            deliveries.c.target == delivery.target,
            deliveries.c.order_id.is_(None)
            if delivery.order_id is None
            else deliveries.c.order_id == delivery.order_id,
            deliveries.c.receive_id == recipient.id,
            is_open,
            deliveries.c.state == DeliveryState.READY,
            deliveries.c.body.is_(None),
            deliveries.c.rerouted_from.is_not(None),
            deliveries.c.run_id.is_(None),
            deliveries.c.corrects.is_(None),
        )
        .order_by(deliveries.c.id)
        .limit(1)
        .with_for_update()
    ).scalar()
