"""Deliveries in a real store, made the way the flow makes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import CardVariant, Content, DeliveryOutcome, DeliveryState, SentMessage
from notifier.domain.event import AccountKey
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import Recipient
from notifier.store import ledger, notices, recipients
from notifier.store.deliveries import addressing, attempt_results, claims
from notifier.store.deliveries.attempt_results import AttemptResult
from notifier.store.deliveries.claims import ClaimResult
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from notifier.store.schema.tables import recipients as recipients_table
from support.builders import ACCOUNT, balance_report, change

NOW = 1_700_000_100_000
WORKER_ID = "worker-1"
FAST = SendingLimits(
    app=RateLimit(per_second=1000, burst=100), chat=RateLimit(per_second=1000), per_minute=1000
)
LIN = Recipient(id_type="open_id", id="ou_lin")
CHEN = Recipient(id_type="open_id", id="ou_chen")
CARD = Content(variant=CardVariant.FULL, msg_type="interactive", body='{"schema":"2.0"}')


def account_ref(database: Database, account: AccountKey = ACCOUNT) -> int:
    """The account's row, made by a first balance report."""
    report = balance_report(account=account, points=1)
    return database.write(lambda c: ledger.apply_reports(c, [(1, report)])).result()[0].account_ref


def create_notice(
    database: Database,
    key: str,
    *,
    recipient: Recipient | None = LIN,
    target: str = "referrer",
    account: AccountKey = ACCOUNT,
    order_id: str | None = None,
    now: int = NOW,
) -> int:
    """A notice with the delivery that tells it; gives the delivery's id."""
    ref = account_ref(database, account)
    notice = Notice(
        key=key, account=account, reason=NoticeReason.CHANGE, occurred_at=now, changes=(change(),)
    )

    def write(connection: sa.Connection) -> int:
        (notice_id,) = notices.create_notices(connection, [(ref, notice)], now=now)
        assert notice_id is not None
        new = notices.NewDelivery(
            notice_id=notice_id,
            account_ref=ref,
            target=target,
            recipient=recipient,
            key=notices.make_delivery_key(key, target),
            order_id=order_id,
        )
        return notices.queue_deliveries(connection, [new], now=now)[0]

    return database.write(write).result()


def create_delivery(database: Database, recipient: Recipient, key: str, *, now: int = NOW) -> int:
    """A delivery that folds with no other: each has an account of its own."""
    account = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"account of {key}")
    return create_notice(database, key, recipient=recipient, account=account, now=now)


def claim(
    database: Database, *, now: int = NOW, slots: int = 64, sending_limits: SendingLimits = FAST
) -> ClaimResult:
    return database.write(
        lambda c: claims.claim_due_deliveries(
            c, worker_id=WORKER_ID, now=now, slots=slots, sending_limits=sending_limits
        )
    ).result()


def claimed_ids(
    database: Database, *, now: int = NOW, slots: int = 64, sending_limits: SendingLimits = FAST
) -> list[int]:
    return [
        each.delivery.id
        for each in claim(database, now=now, slots=slots, sending_limits=sending_limits).deliveries
    ]


def freeze_content(database: Database, claimed: ClaimedDelivery, content: Content = CARD) -> None:
    database.write(lambda c: claims.freeze_content(c, [(claimed, content)])).result()


def finish_sent(
    database: Database, claimed: ClaimedDelivery, *, now: int = NOW, worker_id: str = WORKER_ID
) -> bool:
    message = SentMessage(message_id=f"om_{claimed.delivery.id}", chat_id="oc_p2p", log_id="log-1")
    return finish(database, claimed, message, now=now, worker_id=worker_id)


def finish_failed(
    database: Database,
    claimed: ClaimedDelivery,
    outcome: DeliveryOutcome,
    *,
    now: int = NOW,
    worker_id: str = WORKER_ID,
) -> bool:
    return finish(database, claimed, outcome, now=now, worker_id=worker_id)


def finish(
    database: Database,
    claimed: ClaimedDelivery,
    result: SentMessage | DeliveryOutcome,
    *,
    now: int,
    worker_id: str,
) -> bool:
    ended = AttemptResult(
        delivery=claimed.delivery,
        attempt_id=claimed.attempt_id,
        worker_id=worker_id,
        ended_at=now,
        result=result,
    )
    return database.write(lambda c: attempt_results.finish_attempts(c, [ended])).result()[0]


def assign_recipient(
    database: Database, ref: int, by_target: Mapping[str, Recipient | None], *, now: int = NOW
) -> int:
    """Addresses the waiting deliveries of an account. Gives their number."""
    return database.write(
        lambda c: addressing.address_waiting(c, [ref], lambda _, target: by_target[target], now=now)
    ).result()[ref]


def mark_sent(connection: sa.Connection, *ids: int, at: int = NOW, **columns: object) -> None:
    """Marks deliveries as sent without a call. The message's id is `om_` and the delivery's, unless given."""
    for one in ids:
        values = {"state": "sent", "message_id": f"om_{one}", "updated_at": at, **columns}
        connection.execute(sa.update(deliveries).where(deliveries.c.id == one).values(values))
    recipients.plan_all(connection, now=at)


def check_plans(database: Database) -> None:
    """Every recipient's next delivery and its time must be what the deliveries say."""
    with database.read() as connection:
        rows = connection.execute(sa.select(deliveries).order_by(deliveries.c.id)).all()
        planned = {
            row.receive_id: (row.next_delivery_id, row.next_at, row.not_before)
            for row in connection.execute(sa.select(recipients_table))
        }
    sending = {row.receive_id for row in rows if row.state == "sending"}
    ready: dict[str, Any] = {}
    for row in rows:
        if row.state == "ready":
            ready.setdefault(row.receive_id, row)
    for receive_id in {*planned, *ready}:
        next_id, next_at, not_before = planned[receive_id]
        oldest = ready.get(receive_id)
        if receive_id in sending or oldest is None:
            assert (None, None) == (next_id, next_at), receive_id
        else:
            assert (oldest.id, max(oldest.due_at, not_before)) == (next_id, next_at), receive_id


def retry_outcome(
    due_at: int, *, variant: CardVariant = CardVariant.FULL, unknown_since: int | None = None
) -> DeliveryOutcome:
    return DeliveryOutcome(
        state=DeliveryState.READY,
        reason="not now",
        due_at=due_at,
        variant=variant,
        unknown_since=unknown_since,
    )


def dead_outcome(reason: str = "no such thing", *, code: int | None = None) -> DeliveryOutcome:
    return DeliveryOutcome(state=DeliveryState.DEAD, reason=reason, variant=CardVariant.FULL, code=code)


def read_delivery(database: Database, delivery_id: int) -> Any:
    """All columns of one delivery."""
    with database.read() as connection:
        return connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()


def read_states(database: Database, ids: Sequence[int]) -> list[str]:
    return [read_delivery(database, one).state for one in ids]
