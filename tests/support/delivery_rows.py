"""Deliveries in a real store, made the way the flow makes them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from notifier.domain.card_state import Claimed
from notifier.domain.delivery import Content, DeliveryState, Move, Rung
from notifier.domain.event import AccountKey
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.rate_limit import Pace, SendingPace
from notifier.domain.route import Recipient
from notifier.store import ledger, notices, outbox
from notifier.store.engine.database import Database
from notifier.store.outbox import Claim, Sent
from notifier.store.schema.tables import deliveries
from support.builders import ACCOUNT, balance_report, change

NOW = 1_700_000_100_000
OWNER = "owner-1"
FAST = SendingPace(app=Pace(per_second=1000, burst=100), chat=Pace(per_second=1000), per_minute=1000)
LIN = Recipient(id_type="open_id", id="ou_lin")
CHEN = Recipient(id_type="open_id", id="ou_chen")
CARD = Content(rung=Rung.FULL, msg_type="interactive", body='{"schema":"2.0"}')


def account_ref(database: Database, account: AccountKey = ACCOUNT) -> int:
    """The account's row, made by a first balance report."""
    report = balance_report(account=account, points=1)
    return database.write(lambda c: ledger.enter(c, [(1, report)])).result()[0].account_ref


def told(
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
    born = Notice(key=key, account=account, reason=NoticeReason.CHANGE, occurred_at=now, changes=(change(),))

    def write(connection: sa.Connection) -> int:
        notice_id = notices.add(connection, ref, born, now=now)
        assert notice_id is not None
        return notices.attach(
            connection,
            notice_id,
            ref=ref,
            target=target,
            recipient=recipient,
            key=notices.delivery_key(key, target),
            now=now,
        )

    return database.write(write).result()


def delivery(database: Database, recipient: Recipient, key: str, *, now: int = NOW) -> int:
    """A delivery that folds with no other: each has an account of its own."""
    account = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"account of {key}")
    return told(database, key, recipient=recipient, account=account, now=now)


def claim(database: Database, *, now: int = NOW, slots: int = 64, pace: SendingPace = FAST) -> Claim:
    return database.write(lambda c: outbox.claim(c, owner=OWNER, now=now, slots=slots, pace=pace)).result()


def claimed_ids(
    database: Database, *, now: int = NOW, slots: int = 64, pace: SendingPace = FAST
) -> list[int]:
    return [each.delivery.id for each in claim(database, now=now, slots=slots, pace=pace).deliveries]


def frozen(database: Database, claimed: Claimed, content: Content = CARD) -> None:
    item = (claimed.delivery.id, content, claimed.delivery.uuid)
    database.write(lambda c: outbox.freeze(c, [item])).result()


def sent(database: Database, claimed: Claimed, *, now: int = NOW, owner: str = OWNER) -> bool:
    done = Sent(
        delivery_id=claimed.delivery.id,
        attempt_id=claimed.attempt_id,
        owner=owner,
        message_id=f"om_{claimed.delivery.id}",
        chat_id="oc_p2p",
        ended_at=now,
        log_id="log-1",
    )
    return database.write(lambda c: outbox.finish_sent(c, [done])).result()[0]


def failed(database: Database, claimed: Claimed, move: Move, *, now: int = NOW, owner: str = OWNER) -> bool:
    return database.write(
        lambda c: outbox.finish_failed(
            c, claimed.delivery, attempt_id=claimed.attempt_id, owner=owner, move=move, now=now
        )
    ).result()


def later(due_at: int, *, rung: Rung = Rung.FULL, unknown_since: int | None = None) -> Move:
    return Move(
        state=DeliveryState.READY, reason="not now", due_at=due_at, rung=rung, unknown_since=unknown_since
    )


def dead(reason: str = "no such thing", *, code: int | None = None) -> Move:
    return Move(state=DeliveryState.DEAD, reason=reason, rung=Rung.FULL, code=code)


def row(database: Database, delivery_id: int) -> Any:
    """All columns of one delivery."""
    with database.read() as connection:
        return connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()


def states(database: Database, ids: Sequence[int]) -> list[str]:
    return [row(database, one).state for one in ids]
