"""Addressing: sets the recipient of deliveries and creates reroutes to the fallback group."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import CardVariant, Delivery, DeliveryState
from notifier.domain.route import Recipient
from notifier.store import notices
from notifier.store.schema.tables import deliveries, delivery_notices


def assign_recipient(
    connection: Connection, account_ref: int, target: str, recipient: Recipient | None, *, now: Millis
) -> int:
    """Set the recipient of all waiting deliveries of this account and target, and return their number.

    recipient: None if there is none; then the deliveries become dead.
    """
    if recipient is None:
        values: dict[str, object] = {
            "state": DeliveryState.DEAD,
            "last_error": "no recipient: the referrer is unknown, and no fallback group is configured",
        }
    else:
        values = {
            "state": DeliveryState.READY,
            "receive_id_type": recipient.id_type,
            "receive_id": recipient.id,
            "reroute_reason": recipient.reroute_reason,
            "due_at": now,
        }
    return connection.execute(
        sa.update(deliveries)
        .where(
            deliveries.c.account_ref == account_ref,
            deliveries.c.target == target,
            deliveries.c.state == DeliveryState.WAITING,
        )
        .values(updated_at=now, **values)
    ).rowcount


def list_waiting_targets(connection: Connection, account_ref: int) -> list[str]:
    """Targets of the deliveries of this account that have no recipient yet."""
    return list(
        connection.execute(
            sa.select(deliveries.c.target)
            .where(deliveries.c.account_ref == account_ref, deliveries.c.state == DeliveryState.WAITING)
            .distinct()
        ).scalars()
    )


def create_reroute(connection: Connection, delivery: Delivery, recipient: Recipient, *, now: Millis) -> int:
    """Create the delivery that sends the same content to the fallback group, and return its id. Idempotent.

    An unsent reroute of the same account and recipient is extended instead of creating a second one.
    """
    key = notices.make_delivery_key(delivery.key, "reroute")
    known = connection.execute(sa.select(deliveries.c.id).where(deliveries.c.delivery_key == key)).scalar()
    if known is not None:
        return known
    waiting = _find_unsent_reroute(connection, delivery, recipient) if delivery.run_id is None else None
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
            deliveries.c.state == DeliveryState.READY,
            deliveries.c.body.is_(None),
            deliveries.c.rerouted_from.is_not(None),
            deliveries.c.run_id.is_(None),
        )
        .order_by(deliveries.c.id)
        .limit(1)
        .with_for_update()
    ).scalar()
