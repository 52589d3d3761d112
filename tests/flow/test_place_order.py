"""Presses that are judged together: each account gets one order, for a constant number of statements."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from notifier.domain.event import AccountKey
from notifier.domain.money import Kind
from notifier.domain.withdrawal import PressOutcome, Role
from notifier.flow.withdrawals.place_order import AuthorisedPress, PlacedOrder, judge_and_order
from notifier.store import ledger
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.schema.tables import buttons as buttons_table
from support.delivery_rows import LIN, NOW, account_ref
from support.statements import recorded
from support.withdrawal_rows import ADDRESS_BOOK, posted_card


def presses(database: Database, count: int) -> list[AuthorisedPress]:
    """The press of the withdraw button of each of so many accounts."""
    found = []
    for number in range(count):
        account = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"account {number}")
        ref = account_ref(database, account)
        with database.read() as connection:
            amounts = ledger.load_balances(connection, [ref])[ref]
        delivery_id = posted_card(database, f"n-{number}", account=account, amounts=amounts)
        with database.read() as connection:
            button_ref = connection.execute(
                sa.select(buttons_table.c.ref).where(buttons_table.c.delivery_id == delivery_id)
            ).scalar_one()
            pressed = buttons.load_pressed_button(connection, button_ref, address_book=ADDRESS_BOOK, now=NOW)
        assert pressed is not None
        found.append(
            AuthorisedPress(
                pressed=pressed, role=Role.REFERRER, requested_by=LIN.id, click_key=f"click {number}"
            )
        )
    return found


def judge(database: Database, pressed: Sequence[AuthorisedPress]) -> list[PlacedOrder]:
    return database.write(lambda c: judge_and_order(c, pressed, kinds=tuple(Kind), now=NOW)).result()


def test_a_second_press_for_an_account_finds_the_order_of_the_first(database: Database) -> None:
    one, two = presses(database, 2)
    first, again, other = judge(database, [one, one, two])

    assert [PressOutcome.BEGIN, PressOutcome.BUSY, PressOutcome.BEGIN] == [
        each.outcome for each in (first, again, other)
    ]
    assert first.withdrawal is not None
    assert again.withdrawal is not None
    assert other.withdrawal is not None
    assert first.withdrawal.order_id == again.withdrawal.order_id != other.withdrawal.order_id


def test_a_repeated_click_places_no_second_order(database: Database) -> None:
    (one,) = presses(database, 1)
    judge(database, [one])
    (again,) = judge(database, [one])

    assert again.outcome is PressOutcome.BUSY


def test_any_number_of_presses_costs_the_same_number_of_statements(tmp_path: Path) -> None:
    counts = []
    for count in (2, 30):
        database = Database.open(f"sqlite:///{tmp_path}/{count}.db")
        pressed = presses(database, count)
        with recorded(database) as recording:
            placed = judge(database, pressed)
        assert {PressOutcome.BEGIN} == {each.outcome for each in placed}
        counts.append(len(recording.texts))
        database.close()

    assert counts[0] == counts[1] <= 6
