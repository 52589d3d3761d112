"""Tell: the end of a withdrawal is told once, to whom it concerns, and never on a card that tells something else."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.notice import NoticeReason
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import CARD_LIVES_MS, Withdrawal, WithdrawalState
from notifier.flow.notices import NoticeWriter, result_reason
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from support.delivery_rows import NOW, claim, create_notice
from support.withdrawal_rows import ADDRESS_BOOK, create_withdrawn_order, posted_card

TELLING = NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=3_600_000, alarm_group="hr")
LATER = NOW + CARD_LIVES_MS


def the_end(
    database: Database, order: Withdrawal, reason: NoticeReason = NoticeReason.WITHDRAWN, **more: Any
) -> None:
    more = {"now": NOW, **more}
    database.write(lambda c: TELLING.write_result(c, order, reason, **more)).result()


def of_order(database: Database, order_id: str = "rn-1") -> list[tuple[str, str]]:
    """(target, chat) of the deliveries that tell of it."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(deliveries.c.target, deliveries.c.receive_id)
            .where(deliveries.c.order_id == order_id)
            .order_by(deliveries.c.id)
        )
        return [(row.target, row.receive_id) for row in rows]


def test_the_referrer_hears_of_the_end_once(database: Database) -> None:
    order = create_withdrawn_order(database)
    for _ in range(3):
        the_end(database, order)

    assert [("referrer", "ou_lin")] == of_order(database)


def test_what_follows_before_it_was_sent_shares_its_card(database: Database) -> None:
    order = create_withdrawn_order(database)
    the_end(database, order)
    the_end(database, order, NoticeReason.PAID)

    assert 1 == len(of_order(database))
    (claimed,) = claim(database).deliveries
    assert ["withdrawn", "paid"] == [each.reason for each in claimed.notices]
    assert {"rn-1"} == {each.order_id for each in claimed.notices}


def test_what_follows_later_is_a_message_of_its_own(database: Database) -> None:
    order = create_withdrawn_order(database)
    the_end(database, order)
    claim(database)
    the_end(database, order, NoticeReason.PAID)

    assert 2 == len(of_order(database))


def test_a_balance_and_a_withdrawal_never_share_a_card(database: Database) -> None:
    order = create_withdrawn_order(database)
    before = create_notice(database, "reward before")
    the_end(database, order)
    after = create_notice(database, "reward after")

    assert 1 == len(of_order(database))
    assert before != after, "the newer one would overtake the receipt on the older card"


def test_two_orders_never_share_a_card(database: Database) -> None:
    first = create_withdrawn_order(database)
    the_end(database, first)
    second = create_withdrawn_order(database, "rn-2", withdrawal_count=1)
    the_end(database, second)

    assert [1, 1] == [len(of_order(database, each)) for each in ("rn-1", "rn-2")]


@pytest.mark.parametrize("age, instead", [(CARD_LIVES_MS, True), (CARD_LIVES_MS - 1, False)])
def test_a_group_whose_cards_are_too_old_gets_a_new_message(
    database: Database, age: int, *, instead: bool
) -> None:
    posted_card(database, "hr's", target="hr")
    order = create_withdrawn_order(database)
    the_end(database, order, now=NOW + age)

    assert (["referrer", "hr"] if instead else ["referrer"]) == [target for target, _ in of_order(database)]


def test_a_group_with_one_young_card_needs_no_message(database: Database) -> None:
    posted_card(database, "hr's old one", target="hr")
    posted_card(database, "hr's young one", target="hr", sent_at=LATER - 5)
    order = create_withdrawn_order(database)
    the_end(database, order, now=LATER)

    assert ["referrer"] == [target for target, _ in of_order(database)]


def test_a_card_of_another_time_is_no_reason_for_a_message(database: Database) -> None:
    """It tells of the withdrawal before this one, and shows its end."""
    posted_card(database, "hr's", target="hr")
    order = create_withdrawn_order(database, withdrawal_count=1)
    the_end(database, order, now=LATER)

    assert ["referrer"] == [target for target, _ in of_order(database)]


def test_the_alarm_goes_to_the_group_that_asked_for_it(database: Database) -> None:
    order = create_withdrawn_order(database)

    def alarm(notices: NoticeWriter) -> bool:
        return database.write(lambda c: notices.alarm(c, order, NoticeReason.PAYOUT_LATE, now=NOW)).result()

    assert not alarm(replace(TELLING, alarm_group=None))
    assert [] == of_order(database)
    assert alarm(TELLING)
    assert alarm(TELLING)
    assert [("hr", "oc_hr")] == of_order(database)


def test_whose_account_it_is_must_be_known_freshly(database: Database) -> None:
    order = create_withdrawn_order(database)
    the_end(database, order, now=NOW + 2 * TELLING.max_age_ms)

    assert [("referrer", "")] == of_order(database), "it waits for a look-up"


@pytest.mark.parametrize(
    "state, payout, end",
    [
        (WithdrawalState.REQUESTED, None, None),
        (WithdrawalState.WITHDRAWN, None, NoticeReason.WITHDRAWN),
        (WithdrawalState.WITHDRAWN, PayoutState.PENDING, NoticeReason.WITHDRAWN),
        (WithdrawalState.WITHDRAWN, PayoutState.SENT, NoticeReason.WITHDRAWN),
        (WithdrawalState.WITHDRAWN, PayoutState.DEAD, NoticeReason.WITHDRAWN),
        (WithdrawalState.WITHDRAWN, PayoutState.PAID, NoticeReason.PAID),
        (WithdrawalState.WITHDRAWN, PayoutState.FAILED, NoticeReason.PAYOUT_FAILED),
        (WithdrawalState.NOTHING, None, NoticeReason.NOTHING),
        (WithdrawalState.REFUSED, None, NoticeReason.REFUSED),
    ],
)
def test_what_a_card_says_in_the_end(
    state: WithdrawalState, payout: PayoutState | None, end: NoticeReason | None
) -> None:
    assert end == result_reason(state, payout)
