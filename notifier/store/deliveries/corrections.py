"""Corrections: stored deliveries with everything that their cards need, and new deliveries that replace their cards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import CardVariant, Content, Delivery, DeliveryState
from notifier.store import accounts, audit, notices, recipients
from notifier.store.accounts import StoredAccount
from notifier.store.answers.answers import load_answers
from notifier.store.audit import AuditAction, AuditEntry
from notifier.store.deliveries.claims import to_delivery
from notifier.store.digests import digest_runs
from notifier.store.engine.sql import insert_returning
from notifier.store.schema.tables import deliveries, delivery_notices
from notifier.store.schema.tables import notices as notices_table


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCard:
    """A stored delivery with what its card shows."""

    source: ClaimedDelivery
    """The delivery with its notices or its digest. Its content is left out and its variant is the highest, so that it
    can be rendered again.
    """
    account: StoredAccount | None
    """The account; None: the card is not about a single account."""
    content: Content | None
    """What was sent, or is about to be; None: not stored any more, or not rendered yet."""
    variant: CardVariant
    """The variant of the last attempt."""
    changed_at: Millis
    """When the state last changed, Unix milliseconds. For `sent`: when Feishu accepted the message."""
    degraded_reason: str | None
    """Why the variant is lower than `full`; None: it is not."""
    replaced_by: int | None
    """The delivery to the fallback group that replaces it; None: there is none."""

    @property
    def delivery(self) -> Delivery:
        """The delivery of the card."""
        return self.source.delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionDelivery:
    """A delivery that replaces the card of another one."""

    id: int
    """Row id."""
    state: DeliveryState
    """Its state."""
    is_new: bool
    """Whether this call created it."""


def load_card(connection: Connection, delivery_id: int) -> StoredCard | None:
    """A delivery with its account, notices, digest and answer; None if there is none with this id. Only reads."""
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).first()
    if row is None:
        return None
    delivery = to_delivery(row, state=DeliveryState(row.state), attempts_made=row.attempts)
    stored = accounts.load_accounts(connection, [] if row.account_ref is None else [row.account_ref])
    account = stored.get(row.account_ref)
    digests = digest_runs.load_contents(connection, [] if row.run_id is None else [row.run_id])
    found_answers = load_answers(connection, [] if row.answer_id is None else [row.answer_id])
    source = ClaimedDelivery(
        delivery=replace(delivery, content=None, variant=CardVariant.FULL),
        attempt_id=0,
        account=account.key if account else None,
        ownership=account.ownership if account else None,
        notices=notices.load_notices(connection, [delivery_id]).get(delivery_id, ()),
        digest=digests.get(row.run_id),
        answer=found_answers.get(row.answer_id),
    )
    replaced_by = connection.execute(
        sa.select(deliveries.c.id).where(deliveries.c.rerouted_from == delivery_id).limit(1)
    ).scalar()
    return StoredCard(
        source=source,
        account=account,
        content=delivery.content,
        variant=delivery.variant,
        changed_at=row.updated_at,
        degraded_reason=row.degraded_reason,
        replaced_by=replaced_by,
    )


def list_notice_deliveries(connection: Connection, notice_key: str) -> list[int] | None:
    """The ids of the deliveries with this notice, without corrections, oldest first; None: there is no such notice."""
    notice_id = connection.execute(
        sa.select(notices_table.c.id).where(notices_table.c.notice_key == notice_key)
    ).scalar()
    if notice_id is None:
        return None
    return list(
        connection.execute(
            sa.select(deliveries.c.id)
            .join(delivery_notices, delivery_notices.c.delivery_id == deliveries.c.id)
            .where(delivery_notices.c.notice_id == notice_id, deliveries.c.corrects.is_(None))
            .order_by(deliveries.c.id)
        ).scalars()
    )


def find_correction(connection: Connection, delivery_id: int) -> CorrectionDelivery | None:
    """The newest delivery that corrects the card of this one; None: there is none."""
    row = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.state)
        .where(deliveries.c.corrects == delivery_id)
        .order_by(deliveries.c.id.desc())
        .limit(1)
    ).first()
    return (
        None if row is None else CorrectionDelivery(id=row.id, state=DeliveryState(row.state), is_new=False)
    )


def create_correction(
    connection: Connection, original: Delivery, *, requested_by: str, now: Millis
) -> CorrectionDelivery:
    """Create the delivery that replaces the card of a sent one, in the same chat, with its audit entry.

    A delivery is corrected at most once: its idempotency key derives from the original's. To replace the correction
    too, correct that one. requested_by: the login name of the operator, for the audit.
    """
    connection.execute(sa.select(deliveries.c.id).where(deliveries.c.id == original.id).with_for_update())
    known = find_correction(connection, original.id)
    if known is not None:
        return known
    row = {
        "delivery_key": notices.make_delivery_key(original.key, "correction"),
        "account_ref": original.account_ref,
        "target": original.target,
        "receive_id_type": original.receive_id_type,
        "receive_id": original.receive_id,
        "state": DeliveryState.READY,
        "variant": CardVariant.FULL,
        "due_at": now,
        "created_at": now,
        "updated_at": now,
        "reroute_reason": original.reroute_reason,
        "order_id": original.order_id,
        "run_id": original.run_id,
        "event_key": original.event_key,
        "corrects": original.id,
    }
    new_id: int = insert_returning(connection, deliveries, [row])[0].id
    connection.execute(
        sa.insert(delivery_notices).from_select(
            ["delivery_id", "notice_id"],
            sa.select(sa.literal(new_id), delivery_notices.c.notice_id).where(
                delivery_notices.c.delivery_id == original.id
            ),
        )
    )
    recipients.plan_next(connection, [original.receive_id], now=now)
    entry = AuditEntry(
        at=now,
        action=AuditAction.MANUAL,
        actor=audit.COMMAND_LINE,
        outcome=f"delivery {new_id} corrects the card of delivery {original.id}, requested by {requested_by}",
        account_ref=original.account_ref,
        order_id=original.order_id,
        delivery_id=new_id,
    )
    audit.add_entries(connection, entry)
    return CorrectionDelivery(id=new_id, state=DeliveryState.READY, is_new=True)


def create_corrections(
    connection: Connection, originals: Sequence[Delivery], *, requested_by: str, now: Millis
) -> list[CorrectionDelivery]:
    """Create the corrections of several deliveries in one transaction, in order."""
    return [create_correction(connection, each, requested_by=requested_by, now=now) for each in originals]
