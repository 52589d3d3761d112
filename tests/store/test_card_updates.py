"""Cards to be changed: many wishes become one change, and none is lost."""

from collections.abc import Collection
from decimal import Decimal

import sqlalchemy as sa

from notifier.domain.event import AccountKey
from notifier.domain.route import Recipient
from notifier.domain.withdrawal import CARD_LIVES_MS
from notifier.store import card_updates
from notifier.store.card_updates import UPDATE_DELAY_MS, CardUpdate
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.schema.tables import card_updates as table
from notifier.store.schema.tables import deliveries, withdrawals
from support.builders import ACCOUNT, CNY
from support.delivery_rows import LIN, NOW, account_ref, create_notice, mark_sent

OTHER = AccountKey(tenant_key="tk", app_id="cli_x", account_id="other")
GROUP = Recipient(id_type="chat_id", id="oc_hr")
SETTLED = NOW + UPDATE_DELAY_MS


def card(
    database: Database,
    key: str,
    *,
    recipient: Recipient = LIN,
    account: AccountKey = ACCOUNT,
    now: int = NOW,
    with_button: bool = True,
    hangs: bool = True,
) -> int:
    """A delivery that has been sent, with a button for two epochs unless told otherwise."""
    one = create_notice(database, key, recipient=recipient, account=account, now=now)
    ref = account_ref(database, account)

    def finish(connection: sa.Connection) -> None:
        mark_sent(connection, one, at=now, message_id=f"om_{one}" if hangs else None)
        for withdrawal_count in range(2 if with_button else 0):
            buttons.ensure_button(
                connection,
                delivery_id=one,
                account_ref=ref,
                withdrawal_count=withdrawal_count,
                amounts={CNY: Decimal(100)},
                now=now,
            )

    database.write(finish).result()
    return one


def want(database: Database, *, account: AccountKey = ACCOUNT, now: int = NOW) -> None:
    """Something changed about the order of this account, which its cards offer."""
    ref = account_ref(database, account)
    order_id = f"rn-{account.account_id}"

    def request(connection: sa.Connection) -> None:
        posted = sa.select(sa.func.min(deliveries.c.id)).where(deliveries.c.account_ref == ref)
        insert_or_ignore(
            connection,
            withdrawals,
            [
                {
                    "order_id": order_id,
                    "account_ref": ref,
                    "kinds": "cash",
                    "state": "withdrawn",
                    "withdrawal_count": 0,
                    "role": "referrer",
                    "requested_by": "ou",
                    "requested_at": NOW,
                    "agreed": "[]",
                    "click_key": order_id,
                    "delivery_id": connection.execute(posted).scalar_one(),
                    "due_at": NOW,
                }
            ],
        )
        card_updates.request_updates(connection, [order_id], now=now)

    database.write(request).result()


def due(
    database: Database, *, now: int = SETTLED, limit: int = 100, in_flight_ids: Collection[int] = frozenset()
) -> list[CardUpdate]:
    with database.read() as connection:
        return card_updates.list_due(connection, now=now, limit=limit, in_flight_ids=in_flight_ids)


def due_ids(
    database: Database, *, now: int = SETTLED, limit: int = 100, in_flight_ids: Collection[int] = frozenset()
) -> list[int]:
    return [update.delivery_id for update in due(database, now=now, limit=limit, in_flight_ids=in_flight_ids)]


def shown(database: Database, update: CardUpdate) -> None:
    database.write(lambda c: card_updates.mark_applied(c, [update])).result()


def behind(database: Database) -> int:
    with database.read() as connection:
        return card_updates.count_pending(connection)


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_every_card_of_the_account_with_a_button_is_to_be_changed(database: Database) -> None:
    own, group = card(database, "n-1"), card(database, "n-2", recipient=GROUP)
    card(database, "n-3", with_button=False)
    card(database, "n-4", account=OTHER)
    want(database)

    assert [own, group] == due_ids(database)
    assert 2 == rows(database)


def test_a_change_waits_until_the_answer_to_the_click_is_shown(database: Database) -> None:
    one = card(database, "n-1")
    want(database)

    assert [] == due(database, now=SETTLED - 1)
    assert [CardUpdate(delivery_id=one, message_id=f"om_{one}", requested_version=1, attempts=0)] == due(
        database
    )


def test_a_card_of_14_days_is_left_alone(database: Database) -> None:
    card(database, "old", now=NOW - CARD_LIVES_MS)
    young = card(database, "young", now=NOW - CARD_LIVES_MS + 1)
    want(database)

    assert [young] == due_ids(database)
    assert 1 == rows(database)


def test_a_card_that_has_grown_old_since_is_not_wanted_again(database: Database) -> None:
    card(database, "n-1")
    want(database)
    shown(database, due(database)[0])
    want(database, now=NOW + CARD_LIVES_MS)

    assert [] == due(database, now=NOW + 2 * CARD_LIVES_MS)


def test_many_wishes_become_one_change(database: Database) -> None:
    one = card(database, "n-1")
    for later in range(5):
        want(database, now=NOW + later)

    (update,) = due(database, now=SETTLED + 4)
    assert (one, 5) == (update.delivery_id, update.requested_version)
    assert 1 == behind(database)
    shown(database, update)
    assert ([], 0) == (due(database, now=NOW * 2), behind(database))


def test_a_wish_that_comes_while_the_card_is_sent_stays_open(database: Database) -> None:
    card(database, "n-1")
    want(database)
    (sending,) = due(database)
    want(database, now=NOW + 1_000)
    shown(database, sending)

    (again,) = due(database, now=NOW + 1_000 + UPDATE_DELAY_MS)
    assert 2 == again.requested_version
    shown(database, again)
    assert [] == due(database, now=NOW * 2)


def test_the_result_of_an_older_update_changes_nothing(database: Database) -> None:
    card(database, "n-1")
    want(database)
    (old,) = due(database)
    want(database, now=NOW + 1)
    (new,) = due(database)
    shown(database, new)
    shown(database, old)
    database.write(lambda c: card_updates.postpone(c, old, due_at=SETTLED, reason="slow")).result()

    assert old.requested_version < new.requested_version
    assert [] == due(database)
    assert 0 == behind(database)


def test_one_change_per_message_at_a_time(database: Database) -> None:
    one, two = card(database, "n-1"), card(database, "n-2")
    want(database)

    assert [two] == due_ids(database, in_flight_ids=frozenset({one}))


def test_who_waits_longest_is_changed_first(database: Database) -> None:
    one = card(database, "n-1", account=OTHER)
    two = card(database, "n-2")
    want(database, now=NOW)
    want(database, account=OTHER, now=NOW + 5)

    assert [two, one] == due_ids(database, now=SETTLED + 5)
    assert [two] == due_ids(database, now=SETTLED + 5, limit=1)
    assert [] == due_ids(database, now=SETTLED + 5, limit=0)
    assert [] == due_ids(database, now=SETTLED + 5, limit=-1)


def test_a_card_that_hangs_nowhere_yet_waits_for_its_message(database: Database) -> None:
    one = card(database, "n-1", hangs=False)
    want(database)

    assert ([], 0) == (due(database), behind(database))
    arrive = sa.update(deliveries).where(deliveries.c.id == one).values(message_id="om_late")
    database.write(lambda c: c.execute(arrive)).result()
    assert ["om_late"] == [update.message_id for update in due(database)]
    assert 1 == behind(database)


def test_a_failed_change_is_put_off_and_counted(database: Database) -> None:
    card(database, "n-1")
    want(database)
    (update,) = due(database)
    database.write(lambda c: card_updates.postpone(c, update, due_at=NOW + 60_000, reason="timeout")).result()

    assert [] == due(database, now=NOW + 59_999)
    (again,) = due(database, now=NOW + 60_000)
    assert (1, 1) == (again.attempts, again.requested_version)
    want(database, now=NOW + 60_000)
    assert [0] == [each.attempts for each in due(database, now=NOW + 61_000)]


def test_a_card_that_is_given_up_is_never_changed_again(database: Database) -> None:
    card(database, "n-1")
    other = card(database, "n-2")
    want(database)
    update = due(database)[0]
    database.write(lambda c: card_updates.abandon(c, update, reason="recalled")).result()
    want(database, now=NOW + 1_000)

    assert [other] == due_ids(database, now=NOW * 2)
    assert 1 == behind(database)
