"""Addressing: deliveries get their recipient, and where one cannot be reached, another delivery tells the fallback."""

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
    """The deliveries of this account that wait for this target get their recipient, or die for want of one."""
    if recipient is None:
        values: dict[str, object] = {
            "state": DeliveryState.DEAD,
            "last_error": "nobody to tell: the recipient is unknown and there is no fallback group to tell instead",
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
    return list(
        connection.execute(
            sa.select(deliveries.c.target)
            .where(deliveries.c.account_ref == account_ref, deliveries.c.state == DeliveryState.WAITING)
            .distinct()
        ).scalars()
    )


def create_reroute(connection: Connection, delivery: Delivery, recipient: Recipient, *, now: Millis) -> int:
    """The delivery that tells the same to the fallback: one that waits there untouched for the same account, or a
    new one; made once however often it is asked for.
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
    """Of the same target only: two targets of one notice tell it apart, for two reasons."""
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
