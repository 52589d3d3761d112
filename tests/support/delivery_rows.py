"""Deliveries in a real store, made the way the flow makes them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import CardVariant, Content, DeliveryOutcome, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import Recipient
from notifier.store import ledger, notices, outbox
from notifier.store.engine.database import Database
from notifier.store.outbox import ClaimResult, SentDelivery
from notifier.store.schema.tables import deliveries
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
    now: int = NOW,
) -> int:
    """A notice with the delivery that tells it; gives the delivery's id."""
    ref = account_ref(database, account)
    notice = Notice(
        key=key, account=account, reason=NoticeReason.CHANGE, occurred_at=now, changes=(change(),)
    )

    def write(connection: sa.Connection) -> int:
        notice_id = notices.create_notice(connection, ref, notice, now=now)
        assert notice_id is not None
        return notices.queue_delivery(
            connection,
            notice_id,
            account_ref=ref,
            target=target,
            recipient=recipient,
            key=notices.make_delivery_key(key, target),
            now=now,
        )

    return database.write(write).result()


def create_delivery(database: Database, recipient: Recipient, key: str, *, now: int = NOW) -> int:
    """A delivery that folds with no other: each has an account of its own."""
    account = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"account of {key}")
    return create_notice(database, key, recipient=recipient, account=account, now=now)


def claim(
    database: Database, *, now: int = NOW, slots: int = 64, sending_limits: SendingLimits = FAST
) -> ClaimResult:
    return database.write(
        lambda c: outbox.claim_due_deliveries(
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
    item = (claimed.delivery.id, content, claimed.delivery.uuid)
    database.write(lambda c: outbox.freeze_content(c, [item])).result()


def finish_sent(
    database: Database, claimed: ClaimedDelivery, *, now: int = NOW, worker_id: str = WORKER_ID
) -> bool:
    done = SentDelivery(
        delivery_id=claimed.delivery.id,
        attempt_id=claimed.attempt_id,
        worker_id=worker_id,
        message_id=f"om_{claimed.delivery.id}",
        chat_id="oc_p2p",
        ended_at=now,
        log_id="log-1",
    )
    return database.write(lambda c: outbox.finish_sent(c, [done])).result()[0]


def finish_failed(
    database: Database,
    claimed: ClaimedDelivery,
    outcome: DeliveryOutcome,
    *,
    now: int = NOW,
    worker_id: str = WORKER_ID,
) -> bool:
    return database.write(
        lambda c: outbox.finish_failed(
            c, claimed.delivery, attempt_id=claimed.attempt_id, worker_id=worker_id, outcome=outcome, now=now
        )
    ).result()


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
