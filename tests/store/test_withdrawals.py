"""Orders and buttons: one unfinished order per account, whoever asks however often at once."""

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import AccountKey
from notifier.domain.money import POINTS, Amounts, Kind
from notifier.domain.route import AddressBook, Recipient
from notifier.domain.withdrawal import (
    Button,
    Role,
    Withdrawal,
    WithdrawalRetry,
    WithdrawalState,
    after_failure,
)
from notifier.errors import Refused
from notifier.store import accounts, withdrawal_history, withdrawals
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from notifier.store.withdrawals import WithdrawalOrder, WithdrawalResult
from support.builders import ACCOUNT, CNY
from support.buttons import find_button
from support.delivery_rows import LIN, NOW, WORKER_ID, create_notice, mark_sent

R = TypeVar("R")

OTHER = AccountKey(tenant_key="tk", app_id="cli_x", account_id="other")
GROUP = Recipient(id_type="chat_id", id="oc_hr")
BOOK = AddressBook(groups={"hr": "oc_hr", "sales": "oc_sales"}, fallback=None)
READ: Amounts = {CNY: Decimal("350.5")}
BOTH = (Kind.POINTS, Kind.CASH)
OFFERED: Amounts = {CNY: Decimal("350.5000")}


def run(database: Database, work: Callable[[sa.Connection], R]) -> R:
    return database.write(work).result()


def card(
    database: Database,
    key: str,
    *,
    recipient: Recipient = LIN,
    account: AccountKey = ACCOUNT,
    message_id: str | None = None,
) -> int:
    """A delivery that has been sent, so that the next one folds into no open one."""
    one = create_notice(database, key, recipient=recipient, account=account)
    run(database, lambda c: mark_sent(c, one, message_id=message_id or f"om_{one}"))
    return one


def drawn(database: Database, delivery_id: int, *, withdrawal_count: int = 0) -> Button:
    with database.read() as connection:
        query = sa.select(deliveries.c.account_ref).where(deliveries.c.id == delivery_id)
        ref = connection.execute(query).scalar_one()

    def draw(connection: sa.Connection) -> Button | None:
        name = buttons.ensure_button(
            connection,
            delivery_id=delivery_id,
            account_ref=ref,
            withdrawal_count=withdrawal_count,
            amounts=OFFERED,
            now=NOW,
        )
        return find_button(connection, name, address_book=BOOK, now=NOW)

    button = run(database, draw)
    assert button is not None
    return button


def order(
    button: Button, number: object = 1, *, click_key: str | None = None, now: int = NOW
) -> WithdrawalOrder:
    return WithdrawalOrder(
        order_id=f"rn-{number}",
        button=button,
        kinds=BOTH,
        role=Role.REFERRER,
        requested_by="ou_lin",
        click_key=click_key or f"click {number}",
        now=now,
    )


def begun(database: Database, wanted: WithdrawalOrder) -> Withdrawal | None:
    return run(database, lambda c: withdrawals.create_orders(c, [wanted])[0])


def first(database: Database, *, account: AccountKey = ACCOUNT, number: object = 1) -> Withdrawal:
    """A first order of the account, on a card of its own."""
    one = begun(database, order(drawn(database, card(database, f"card {number}", account=account)), number))
    assert one is not None
    return one


def ended(database: Database, one: Withdrawal, state: WithdrawalState, **values: Any) -> bool:
    return run(
        database, lambda c: withdrawals.finish(c, one, WithdrawalResult(state=state, now=NOW + 1, **values))
    )


def newest(connection: sa.Connection, one: Withdrawal) -> Withdrawal | None:
    """The order that cards of the account show before its first withdrawal."""
    histories = withdrawal_history.load_histories(connection, {one.account_ref: one.account})
    return histories[one.account_ref].newest_of(0)


def withdrawal_count(database: Database, ref: int) -> int:
    with database.read() as connection:
        return withdrawal_history.count_withdrawn(connection, ref)


def claimed(
    database: Database,
    *,
    worker_id: str = WORKER_ID,
    now: int = NOW,
    limit: int = 8,
    in_flight_ids: Collection[int] = frozenset(),
) -> list[str]:
    orders = run(
        database,
        lambda c: withdrawals.claim_due(
            c, worker_id=worker_id, now=now, limit=limit, in_flight_ids=in_flight_ids
        ),
    )
    return [one.order_id for one in orders]


def calling(
    database: Database,
    one: Withdrawal,
    *,
    worker_id: str = WORKER_ID,
    now: int = NOW,
    expected: Amounts | None = READ,
) -> bool:
    return run(
        database,
        lambda c: withdrawals.mark_call_started(c, one, worker_id=worker_id, expected=expected, now=now),
    )


def stored(database: Database, one: Withdrawal) -> Withdrawal:
    with database.read() as connection:
        found = withdrawals.find_by_order(connection, one.order_id)
    assert found is not None
    return found


def later(due_at: int, *, unknown_since: int | None = None) -> WithdrawalRetry:
    return WithdrawalRetry(
        state=WithdrawalState.REQUESTED,
        due_at=due_at,
        unknown_since=unknown_since,
        reason="timeout",
        code=7,
        log_id="log-7",
    )


# beginning: one at a time


def test_an_order_is_stored_as_it_was_asked_for(database: Database) -> None:
    button = drawn(database, card(database, "n-1"))
    one = begun(database, order(button))

    assert one == Withdrawal(
        id=one.id if one else 0,
        order_id="rn-1",
        account_ref=button.account_ref,
        account=ACCOUNT,
        kinds=BOTH,
        state=WithdrawalState.REQUESTED,
        withdrawal_count=0,
        requested_by="ou_lin",
        delivery_id=button.delivery_id,
        agreed=OFFERED,
        role=Role.REFERRER,
        requested_at=NOW,
        due_at=NOW,
    )
    assert one == stored(database, one)
    with database.read() as connection:
        assert one == withdrawals.find_by_click(connection, "click 1")
        assert one == withdrawals.find_unfinished(connection, one.account_ref)
        assert one == newest(connection, one)


def test_a_second_order_of_the_same_account_is_not_begun(database: Database) -> None:
    button = drawn(database, card(database, "n-1"))
    begun(database, order(button, 1))

    assert begun(database, order(button, 2)) is None


def test_another_card_of_the_same_account_begins_no_second_order(database: Database) -> None:
    first(database, number=1)
    other_card = drawn(database, card(database, "n-2", recipient=GROUP))

    assert begun(database, order(other_card, 2)) is None


def test_twenty_who_press_at_once_begin_exactly_one(database: Database) -> None:
    """Each on a connection of its own: no writer thread, no lock of ours puts them in a line."""
    button = drawn(database, card(database, "n-1"))
    start = threading.Barrier(20)

    def press(number: int) -> Withdrawal | None:
        start.wait(10)
        with database.engine.begin() as connection:
            return withdrawals.create_orders(connection, [order(button, number)])[0]

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(press, range(20)))

    assert 1 == sum(one is not None for one in results)
    with database.read() as connection:
        assert 1 == len(withdrawals.list_withdrawals(connection, states=(), limit=100))


def test_twenty_who_press_at_once_begin_exactly_one_through_the_writer(database: Database) -> None:
    button = drawn(database, card(database, "n-1"))
    orders = [order(button, number) for number in range(20)]
    pressed = [database.write(partial(withdrawals.create_orders, orders=[each])) for each in orders]

    assert 1 == sum(future.result() != [None] for future in pressed)


def test_an_order_that_was_not_begun_undoes_nothing_beside_it(database: Database) -> None:
    button = drawn(database, card(database, "n-1"))
    begun(database, order(button, 1))

    def twice(connection: sa.Connection) -> None:
        accounts.save_ownership(connection, button.account_ref, Ownership(referrer=None, looked_up_at=5))
        assert withdrawals.create_orders(connection, [order(button, 2)])[0] is None

    run(database, twice)

    with database.read() as connection:
        assert Ownership(referrer=None, looked_up_at=5) == accounts.get_ownership(
            connection, button.account_ref
        )


def test_different_accounts_do_not_wait_for_each_other(database: Database) -> None:
    ours, other = first(database, number=1), first(database, number=2, account=OTHER)

    assert (ACCOUNT, OTHER) == (ours.account, other.account)
    assert ["rn-1", "rn-2"] == claimed(database)


def test_the_same_click_begins_nothing_twice(database: Database) -> None:
    button = drawn(database, card(database, "n-1"))
    one = begun(database, order(button, 1, click_key="same"))
    assert one is not None
    ended(database, one, WithdrawalState.REFUSED)

    assert begun(database, order(button, 2, click_key="same")) is None
    assert begun(database, order(button, 3, click_key="another")) is not None


# an order ends one time only


def test_after_a_withdrawal_the_next_epoch_begins(database: Database) -> None:
    one = first(database)

    assert 0 == withdrawal_count(database, one.account_ref)
    assert ended(database, one, WithdrawalState.WITHDRAWN)
    assert 1 == withdrawal_count(database, one.account_ref)
    next_one = begun(database, order(drawn(database, card(database, "n-2"), withdrawal_count=1), 2))
    assert next_one is not None
    assert 1 == next_one.withdrawal_count


@pytest.mark.parametrize("state", [WithdrawalState.REFUSED, WithdrawalState.NOTHING])
def test_what_took_nothing_leaves_the_epoch_and_the_way_free(
    database: Database, state: WithdrawalState
) -> None:
    button = drawn(database, card(database, "n-1"))
    one = begun(database, order(button, 1))
    assert one is not None
    ended(database, one, state, reason="no")

    assert 0 == withdrawal_count(database, one.account_ref)
    again = begun(database, order(button, 2))
    assert again is not None
    with database.read() as connection:
        assert again == newest(connection, one)


def test_an_order_ends_once(database: Database) -> None:
    one = first(database)

    assert ended(database, one, WithdrawalState.WITHDRAWN, withdrawn={CNY: Decimal(5)}, at=NOW)
    assert not ended(database, one, WithdrawalState.REFUSED, reason="too late")
    assert (WithdrawalState.WITHDRAWN, None) == (stored(database, one).state, stored(database, one).reason)


def test_amounts_come_back_exactly(database: Database) -> None:
    one = first(database)
    claimed(database)
    calling(database, one)
    withdrawn = {POINTS: Decimal(120), CNY: Decimal("123456789.0101")}
    ended(database, one, WithdrawalState.WITHDRAWN, withdrawn=withdrawn, at=NOW - 3, code=0, log_id="log-1")
    kept = stored(database, one)

    assert ({CNY: Decimal("350.5")}, withdrawn) == (kept.expected, kept.withdrawn)
    assert kept.withdrawn is not None
    assert all(isinstance(amount, Decimal) for amount in kept.withdrawn.values())
    assert (NOW - 3, NOW + 1, "log-1") == (kept.withdrawn_at, kept.ended_at, kept.log_id)


def test_what_took_nothing_is_told_from_what_is_not_known(database: Database) -> None:
    one = first(database)

    assert stored(database, one).withdrawn is None
    ended(database, one, WithdrawalState.NOTHING, withdrawn={})
    assert {} == stored(database, one).withdrawn


# asking


def test_due_orders_are_claimed_oldest_first(database: Database) -> None:
    first(database, number=1)
    first(database, number=2, account=OTHER)

    assert [] == claimed(database, now=NOW - 1)
    assert [] == claimed(database, limit=0)
    assert ["rn-1"] == claimed(database, limit=1)


def test_what_we_are_asking_about_is_not_claimed_again(database: Database) -> None:
    one = first(database, number=1)
    first(database, number=2, account=OTHER)

    assert ["rn-2"] == claimed(database, in_flight_ids=frozenset({one.id}))


def test_what_has_ended_is_not_claimed(database: Database) -> None:
    ended(database, first(database), WithdrawalState.NOTHING)

    assert [] == claimed(database, now=NOW + 10**9)


def test_the_next_due_time_leaves_out_what_is_held_and_over(database: Database) -> None:
    one, two = first(database, number=1), first(database, number=2, account=OTHER)
    run(database, lambda c: withdrawals.postpone(c, two, later(NOW + 500)))

    with database.read() as connection:
        assert NOW == withdrawals.get_next_due_at(connection, in_flight_ids=frozenset())
        assert NOW + 500 == withdrawals.get_next_due_at(connection, in_flight_ids=frozenset({one.id}))
        assert withdrawals.get_next_due_at(connection, in_flight_ids=frozenset({one.id, two.id})) is None
    ended(database, one, WithdrawalState.NOTHING)
    with database.read() as connection:
        assert NOW + 500 == withdrawals.get_next_due_at(connection, in_flight_ids=frozenset())


def test_every_call_is_counted_before_it_is_made(database: Database) -> None:
    one = first(database)
    claimed(database)

    assert [True, True] == [calling(database, one), calling(database, one)]
    assert (2, True) == (stored(database, one).attempts, stored(database, one).called)


def test_a_call_is_unknown_until_its_answer_comes(database: Database) -> None:
    one = first(database)
    claimed(database)
    calling(database, one, now=NOW + 1)
    calling(database, one, now=NOW + 2)

    assert NOW + 1 == stored(database, one).unknown_since
    run(database, lambda c: withdrawals.postpone(c, one, later(NOW)))
    assert stored(database, one).unknown_since is None


def test_a_repeated_call_keeps_the_balance_that_was_read_before_the_first(database: Database) -> None:
    one = first(database)
    claimed(database)
    calling(database, one)
    calling(database, one, expected=None)

    assert READ == stored(database, one).expected


def test_only_who_has_claimed_an_order_may_call(database: Database) -> None:
    one = first(database)

    assert not calling(database, one)
    claimed(database, worker_id="owner-2")
    assert not calling(database, one, worker_id=WORKER_ID)
    assert calling(database, one, worker_id="owner-2")
    assert 1 == stored(database, one).attempts


def test_nobody_calls_for_an_order_that_is_over(database: Database) -> None:
    one = first(database)
    claimed(database)
    ended(database, one, WithdrawalState.REFUSED)

    assert not calling(database, one)


def test_an_order_that_is_put_off_keeps_its_order_id(database: Database) -> None:
    one = first(database)
    claimed(database)
    calling(database, one)
    run(database, lambda c: withdrawals.postpone(c, one, later(NOW + 5_000, unknown_since=NOW)))
    kept = stored(database, one)

    assert (one.order_id, 1, NOW + 5_000, NOW) == (
        kept.order_id,
        kept.attempts,
        kept.due_at,
        kept.unknown_since,
    )
    assert ("timeout", 7, "log-7") == (kept.reason, kept.code, kept.log_id)
    assert [] == claimed(database, now=NOW + 4_999)
    assert [one.order_id] == claimed(database, now=NOW + 5_000)


def test_an_order_that_is_over_is_not_put_off(database: Database) -> None:
    one = first(database)
    ended(database, one, WithdrawalState.WITHDRAWN)
    run(database, lambda c: withdrawals.postpone(c, one, later(NOW + 5_000)))

    assert (WithdrawalState.WITHDRAWN, None) == (stored(database, one).state, stored(database, one).reason)


def test_what_a_dead_process_was_asking_about_is_due_at_once(database: Database) -> None:
    one = first(database, number=1)
    waiting = first(database, number=2, account=OTHER)
    claimed(database, limit=1)
    run(database, lambda c: withdrawals.postpone(c, waiting, later(NOW + 60_000)))

    assert 1 == run(database, lambda c: withdrawals.reclaim(c, now=NOW + 9))
    assert (NOW + 9, NOW + 60_000) == (stored(database, one).due_at, stored(database, waiting).due_at)
    assert 0 == run(database, lambda c: withdrawals.reclaim(c, now=NOW + 10))
    assert [one.order_id] == claimed(database, worker_id="owner-2", now=NOW + 9)


def test_a_no_after_a_death_in_mid_call_ends_nothing(database: Database) -> None:
    """Nobody heard the answer of the call that was under way: it may have moved the money."""
    one = first(database)
    claimed(database)
    calling(database, one)
    run(database, lambda c: withdrawals.reclaim(c, now=NOW + 9))
    kept = stored(database, one)

    assert NOW == kept.unknown_since
    step = after_failure(kept, Refused("no"), now=NOW + 20, jitter=0)
    assert WithdrawalState.REQUESTED is step.state


def test_a_death_before_the_first_call_leaves_nothing_unknown(database: Database) -> None:
    one = first(database)
    claimed(database)
    run(database, lambda c: withdrawals.reclaim(c, now=NOW + 9))

    assert stored(database, one).unknown_since is None


def test_a_death_does_not_forget_since_when_the_outcome_is_unknown(database: Database) -> None:
    one = first(database)
    claimed(database)
    calling(database, one)
    run(database, lambda c: withdrawals.postpone(c, one, later(NOW, unknown_since=NOW - 7)))
    claimed(database)
    run(database, lambda c: withdrawals.reclaim(c, now=NOW + 9))

    assert NOW - 7 == stored(database, one).unknown_since


# what the ledger has not seen yet


def unseen(database: Database, ref: int) -> list[str]:
    with database.read() as connection:
        return [one.order_id for one in withdrawal_history.list_not_in_ledger(connection, ref)]


def test_what_may_have_taken_something_is_unseen_until_its_event_comes(database: Database) -> None:
    one = first(database)
    claimed(database)

    assert [] == unseen(database, one.account_ref)
    calling(database, one)
    assert ["rn-1"] == unseen(database, one.account_ref)
    ended(database, one, WithdrawalState.WITHDRAWN)
    assert ["rn-1"] == unseen(database, one.account_ref)
    run(database, lambda c: withdrawal_history.mark_in_ledger(c, {one.id: NOW}))
    assert [] == unseen(database, one.account_ref)


@pytest.mark.parametrize("state", [WithdrawalState.REFUSED, WithdrawalState.NOTHING])
def test_what_took_nothing_is_not_waited_for(database: Database, state: WithdrawalState) -> None:
    one = first(database)
    claimed(database)
    calling(database, one)
    ended(database, one, state)

    assert [] == unseen(database, one.account_ref)


def test_marking_nothing_changes_nothing(database: Database) -> None:
    one = first(database)
    claimed(database)
    calling(database, one)
    run(database, lambda c: withdrawal_history.mark_in_ledger(c, {}))

    assert ["rn-1"] == unseen(database, one.account_ref)


def test_orders_are_listed_newest_first(database: Database) -> None:
    one = first(database, number=1)
    first(database, number=2, account=OTHER)
    ended(database, one, WithdrawalState.REFUSED)

    def ids(*states: str, limit: int = 10) -> list[str]:
        with database.read() as connection:
            return [
                each.order_id for each in withdrawals.list_withdrawals(connection, states=states, limit=limit)
            ]

    assert ["rn-2", "rn-1"] == ids()
    assert ["rn-2"] == ids(limit=1)
    assert ["rn-1"] == ids("refused")


# buttons


def test_a_card_has_one_button_per_epoch_however_often_it_is_drawn(database: Database) -> None:
    one = card(database, "n-1")

    assert drawn(database, one).button_ref == drawn(database, one).button_ref
    assert drawn(database, one).button_ref != drawn(database, one, withdrawal_count=1).button_ref


def test_no_two_cards_share_a_button(database: Database) -> None:
    cards = [card(database, f"n-{number}") for number in range(10)]
    cards += [card(database, f"o-{number}", account=OTHER) for number in range(10)]
    refs = [
        drawn(database, one, withdrawal_count=withdrawal_count).button_ref
        for one in cards
        for withdrawal_count in range(2)
    ]

    assert 40 == len(set(refs))
    assert {32} == {len(ref) for ref in refs}


def test_a_button_tells_where_it_hangs_and_whose_it_is(database: Database) -> None:
    one = card(database, "n-1", recipient=GROUP, message_id="om_x")
    ownership = Ownership(referrer=Referrer(open_id="ou_lin", name_zh="林小满"), looked_up_at=NOW)
    ref = drawn(database, one).account_ref
    run(database, lambda c: accounts.save_ownership(c, ref, ownership))
    button = drawn(database, one, withdrawal_count=3)

    assert button == Button(
        button_ref=button.button_ref,
        delivery_id=one,
        account_ref=ref,
        account=ACCOUNT,
        withdrawal_count=3,
        amounts=OFFERED,
        posted_at=NOW,
        message_id="om_x",
        group="hr",
        ownership=ownership,
        is_active=None,
    )


@pytest.mark.parametrize(
    "recipient, group",
    [
        (GROUP, "hr"),
        (Recipient(id_type="chat_id", id="oc_sales", reroute_reason="unreachable"), "sales"),
        (Recipient(id_type="chat_id", id="oc_gone"), None),
        (LIN, None),
        (Recipient(id_type="open_id", id="oc_hr"), None),
    ],
)
def test_the_group_is_the_one_that_really_sees_the_card(
    database: Database, recipient: Recipient, group: str | None
) -> None:
    assert group == drawn(database, card(database, "n-1", recipient=recipient)).group


@pytest.mark.parametrize("ago_ms, active", [(None, None), (0, False), (299_999, False), (300_000, None)])
def test_a_button_knows_what_feishu_said_of_the_account(
    database: Database,
    ago_ms: int | None,
    active: bool | None,  # noqa: FBT001 - one column of the table
) -> None:
    one = card(database, "n-1")
    said_at = sa.text("UPDATE accounts SET deactivated_at = :at")
    run(database, lambda c: c.execute(said_at, {"at": None if ago_ms is None else NOW - ago_ms}))

    assert active is drawn(database, one).is_active


def test_a_button_of_a_card_on_its_way_hangs_nowhere_yet(database: Database) -> None:
    assert drawn(database, create_notice(database, "n-1")).message_id is None


@pytest.mark.parametrize("ref", ["", "nonsense", "' OR 1=1 --", "0" * 32])
def test_an_id_that_we_never_drew_is_no_button(database: Database, ref: str) -> None:
    drawn(database, card(database, "n-1"))
    with database.read() as connection:
        assert find_button(connection, ref, address_book=BOOK, now=NOW) is None


# two processes


def test_a_result_counts_only_from_the_process_that_holds_the_order(database: Database) -> None:
    """The first process is slow: the order was claimed anew meanwhile, and its own answer must not end it."""
    one = first(database)
    claimed(database, worker_id="slow")
    run(database, lambda c: withdrawals.reclaim(c, now=NOW))
    claimed(database, worker_id="quick")
    nothing = WithdrawalResult(state=WithdrawalState.NOTHING, now=NOW + 1)

    assert not run(database, lambda c: withdrawals.finish(c, one, nothing, worker_id="slow"))
    run(database, lambda c: withdrawals.postpone(c, one, later(NOW + 60_000), worker_id="slow"))
    assert (WithdrawalState.REQUESTED, NOW) == (stored(database, one).state, stored(database, one).due_at)
    assert run(database, lambda c: withdrawals.finish(c, one, nothing, worker_id="quick"))


@pytest.mark.parametrize(
    "ending", [WithdrawalState.NOTHING, WithdrawalState.REFUSED, WithdrawalState.AMOUNT_CHANGED]
)
def test_money_that_was_withdrawn_wins_over_any_other_result(
    database: Database, ending: WithdrawalState
) -> None:
    """Two processes called for the same order: the one that Feishu answered with amounts is right."""
    one = first(database)
    claimed(database, worker_id="slow")
    run(database, lambda c: withdrawals.reclaim(c, now=NOW))
    claimed(database, worker_id="quick")
    other = WithdrawalResult(state=ending, now=NOW + 1)
    run(database, lambda c: withdrawals.finish(c, one, other, worker_id="quick"))
    withdrawn = WithdrawalResult(state=WithdrawalState.WITHDRAWN, now=NOW + 2, withdrawn=READ, at=NOW)

    assert run(database, lambda c: withdrawals.finish(c, one, withdrawn, worker_id="slow"))
    assert (WithdrawalState.WITHDRAWN, READ) == (
        stored(database, one).state,
        stored(database, one).withdrawn,
    )
    assert not run(database, lambda c: withdrawals.finish(c, one, withdrawn, worker_id="quick"))
