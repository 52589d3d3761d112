"""Two processes that write at the same moment: the second one waits, and decides by what the first one stored."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from decimal import Decimal
from typing import TypeVar

import pytest
import sqlalchemy as sa

from notifier.domain.delivery import SentMessage
from notifier.domain.event import AccountKey
from notifier.domain.money import POINTS, Amounts, Kind
from notifier.domain.withdrawal import PressOutcome, Role, WithdrawOffer
from notifier.flow.withdrawals.place_order import AuthorisedPress, judge_and_order
from notifier.store import accounts, notices
from notifier.store.cards import buttons, card_states
from notifier.store.deliveries import attempt_results
from notifier.store.deliveries.attempt_results import AttemptResult
from notifier.store.engine.database import Database
from notifier.store.schema.tables import buttons as buttons_table
from notifier.store.schema.tables import card_updates, recipients
from notifier.store.schema.tables import notices as notices_table
from support.delivery_rows import LIN, NOW, WORKER_ID, account_ref, claim, create_delivery, create_notice
from support.waiting import wait_until
from support.withdrawal_rows import ADDRESS_BOOK, posted_card

pytestmark = pytest.mark.postgresql

R = TypeVar("R")
OFFER = WithdrawOffer(targets=frozenset({"referrer"}), kinds=tuple(Kind))
ACCOUNT = AccountKey(tenant_key="tk", app_id="cli_x", account_id="account of the race")
HELD: Amounts = {POINTS: Decimal(1)}
"""What an account holds after its first balance report."""


@pytest.fixture
def other(database: Database, store_url: str) -> Iterator[Database]:
    """The same database, as another process has it open."""
    assert database.is_shared
    opened = Database.open(store_url)
    yield opened
    opened.close()


def write_beside(
    database: Database,
    first: Callable[[sa.Connection], object],
    other: Database,
    second: Callable[[sa.Connection], R],
) -> R:
    """Runs `second` while the transaction of `first` is open; it must wait for that. Gives the result of `second`."""
    ran, gate = threading.Event(), threading.Event()

    def run_first(connection: sa.Connection) -> None:
        first(connection)
        ran.set()
        gate.wait(20)

    writing = database.write(run_first)
    assert ran.wait(20)
    waiting: Future[R] = other.write(second)
    wait_until(lambda: waiting.done() or _is_somebody_waiting(database), "the second one waits")
    assert not waiting.done(), "it must wait"
    gate.set()
    writing.result(20)
    return waiting.result(20)


def _is_somebody_waiting(database: Database) -> bool:
    with database.read() as connection:
        query = sa.text(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database()"
        )
        return bool(connection.execute(query).scalar_one())


def test_a_recipient_is_planned_after_the_call_that_ended_beside_a_new_delivery(
    database: Database, other: Database
) -> None:
    create_delivery(database, LIN, "first")
    ref = account_ref(database, ACCOUNT)
    [sending] = claim(database).deliveries
    sent = AttemptResult(
        delivery=sending.delivery,
        attempt_id=sending.attempt_id,
        worker_id=WORKER_ID,
        ended_at=NOW,
        result=SentMessage(message_id="om_1", chat_id="oc", log_id=None),
    )
    create_notice(database, "other", recipient=None, account=ACCOUNT)
    with database.read() as connection:
        notice_id = connection.execute(sa.select(sa.func.max(notices_table.c.id))).scalar_one()
    new = notices.NewDelivery(
        notice_id=notice_id,
        account_ref=ref,
        target="hr",
        recipient=LIN,
        key=notices.make_delivery_key("race"),
    )

    (created,) = write_beside(
        database,
        lambda c: attempt_results.finish_attempts(c, [sent]),
        other,
        lambda c: notices.queue_deliveries(c, [new], now=NOW),
    )

    with database.read() as connection:
        row = connection.execute(sa.select(recipients).where(recipients.c.receive_id == LIN.id)).one()
    assert created == row.next_delivery_id


def test_a_card_that_is_rendered_beside_a_press_is_updated(database: Database, other: Database) -> None:
    """The leader makes a button for a new card while another process stores an order of the account."""
    account = AccountKey(tenant_key="tk", app_id="cli_x", account_id="account")
    ref = account_ref(database, account)
    posted = posted_card(database, "posted", account=account, amounts=HELD)
    fresh = create_notice(database, "fresh", account=account)
    with database.read() as connection:
        stored = accounts.load_accounts(connection, [ref])
        button_ref = connection.execute(
            sa.select(buttons_table.c.ref).where(buttons_table.c.delivery_id == posted)
        ).scalar_one()
        pressed = buttons.load_pressed_button(connection, button_ref, address_book=ADDRESS_BOOK, now=NOW)
    assert pressed is not None
    press = AuthorisedPress(pressed=pressed, role=Role.REFERRER, requested_by=LIN.id, click_key="click")
    card = card_states.NewCard(delivery_id=fresh, account_ref=ref, audience="referrer")

    (placed,) = write_beside(
        database,
        lambda c: card_states.create_card_states(c, [card], stored, withdraw_offer=OFFER, now=NOW),
        other,
        lambda c: judge_and_order(c, [press], kinds=tuple(Kind), now=NOW),
    )

    assert placed.outcome is PressOutcome.BEGIN
    with database.read() as connection:
        updated = set(connection.execute(sa.select(card_updates.c.delivery_id)).scalars())
    assert fresh in updated


def test_of_two_presses_at_the_same_moment_one_places_the_order(database: Database, other: Database) -> None:
    account = AccountKey(tenant_key="tk", app_id="cli_x", account_id="account")
    account_ref(database, account)
    posted = posted_card(database, "posted", account=account, amounts=HELD)
    with database.read() as connection:
        button_ref = connection.execute(
            sa.select(buttons_table.c.ref).where(buttons_table.c.delivery_id == posted)
        ).scalar_one()
        pressed = buttons.load_pressed_button(connection, button_ref, address_book=ADDRESS_BOOK, now=NOW)
    assert pressed is not None
    first, second = (
        AuthorisedPress(pressed=pressed, role=Role.REFERRER, requested_by=LIN.id, click_key=key)
        for key in ("one", "two")
    )
    results = []

    (again,) = write_beside(
        database,
        lambda c: results.extend(judge_and_order(c, [first], kinds=tuple(Kind), now=NOW)),
        other,
        lambda c: judge_and_order(c, [second], kinds=tuple(Kind), now=NOW),
    )

    (placed,) = results
    assert (PressOutcome.BEGIN, PressOutcome.BUSY) == (placed.outcome, again.outcome)
    assert again.withdrawal is not None
    assert placed.withdrawal is not None
    assert placed.withdrawal.order_id == again.withdrawal.order_id
