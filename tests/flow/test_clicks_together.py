"""Clicks that arrive together: good, stale and unknown ones are answered for a constant number of statements."""

import logging
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier.cards.render import Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import CARD_CLICKED, AccountKey, Click, Event
from notifier.domain.money import Kind
from notifier.domain.withdrawal import PressOutcome, WithdrawOffer
from notifier.flow.withdrawals.click import ClickDeps, ClickHandler
from notifier.store import accounts, audit, inbox, ledger
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.schema.tables import balances
from notifier.store.schema.tables import buttons as buttons_table
from support.clock import FakeClock
from support.delivery_rows import LIN, NOW, account_ref
from support.statements import recorded
from support.withdrawal_rows import ADDRESS_BOOK, posted_card

OFFER = WithdrawOffer(targets=frozenset({"referrer"}), kinds=tuple(Kind))


class Desk:
    """A click handler, and the clicks that its events stand for."""

    def __init__(self, database: Database, templates: Path | None = None) -> None:
        """templates: the folder of the company."""
        self.database = database
        self.clicks: dict[str, Click] = {}
        clock = self.clock = FakeClock()
        self.handler = ClickHandler(
            database,
            ClickDeps(
                read=lambda event: self.clicks[event.key],
                withdraw_offer=OFFER,
                address_book=ADDRESS_BOOK,
                operators={},
                renderer=Renderer(
                    CardTemplates(templates), check=card_problems, zone=ZoneInfo("Asia/Shanghai"), clock=clock
                ),
                clock=clock,
                wake=lambda: None,
            ),
        )

    def press(self, number: int, *, changed: bool) -> Event:
        """The press of a posted card's button by the referrer. changed: after it was posted, the balance changed."""
        account = AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"account {number}")
        ref = account_ref(self.database, account)
        owner = Ownership(referrer=Referrer(open_id=LIN.id, name_zh="林小满"), looked_up_at=NOW)
        self.database.write(lambda c: accounts.save_ownerships(c, {ref: owner})).result()
        with self.database.read() as connection:
            amounts = ledger.load_balances(connection, [ref])[ref]
        delivery_id = posted_card(
            self.database, f"n-{number}", account=account, amounts=amounts, sent_at=self.clock.millis
        )
        if changed:
            more = sa.update(balances).where(balances.c.account_ref == ref).values(amount=900)
            self.database.write(lambda c: c.execute(more).close()).result()
        with self.database.read() as connection:
            button_ref = connection.execute(
                sa.select(buttons_table.c.ref).where(buttons_table.c.delivery_id == delivery_id)
            ).scalar_one()
        return self.press_of(f"click {number}", button_ref)

    def press_of(self, key: str, button_ref: str) -> Event:
        with self.database.read() as connection:
            found = buttons.load_pressed_button(connection, button_ref, address_book=ADDRESS_BOOK, now=NOW)
        self.clicks[key] = Click(
            key=key,
            button_ref=button_ref,
            open_id=LIN.id,
            operator_tenant="tk",
            tenant_key="tk",
            app_id="cli_x",
            message_id=(found.button.message_id or "") if found else "",
            chat_id="oc_chat",
        )
        return Event(
            key=key,
            event_type=CARD_CLICKED,
            tenant_key="tk",
            app_id="cli_x",
            created_at=NOW,
            payload=key.encode(),
        )


def test_any_number_of_clicks_costs_the_same_number_of_statements(tmp_path: Path) -> None:
    counts = []
    for count in (3, 30):
        database = Database.open(f"sqlite:///{tmp_path}/{count}.db")
        desk = Desk(database)
        events = [desk.press(number, changed=number % 3 == 1) for number in range(count)]
        for number in range(2, count, 3):
            events[number] = desk.press_of(f"unknown {number}", f"{number:032x}")
        with recorded(database) as recording:
            decisions = database.write(lambda c, d=desk, e=events: d.handler._decide_all(c, e)).result()  # type: ignore[misc]
        counts.append(len(recording.texts))

        assert [True, True, False] * (count // 3) == [each.card is not None for each in decisions]
        assert [True, False, False] * (count // 3) == [each.wakes for each in decisions]
        with database.read() as connection:
            outcomes = Counter(row.outcome for row in audit.list_entries(connection, limit=1_000))
            assert {"done": count} == inbox.count_by_state(connection)
        assert count // 3 == outcomes[PressOutcome.STALE] == outcomes[PressOutcome.BEGIN]
        database.close()

    assert counts[0] == counts[1] <= 20


def test_an_order_is_logged_once_it_is_stored(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A transaction that is rolled back, and then repeated, placed no order the first time."""
    desk = Desk(database)
    event = desk.press(0, changed=False)

    def decide_and_fail(connection: sa.Connection) -> None:
        assert PressOutcome.BEGIN == desk.handler._decide_all(connection, [event])[0].result
        raise RuntimeError("as if the database had failed")

    with caplog.at_level(logging.INFO, "notifier.flow.withdrawals.click"):
        with pytest.raises(RuntimeError, match="as if"):
            database.write(decide_and_fail).result()
        assert "withdrawal.requested" not in caplog.messages
        assert desk.handler.accept(event).result(10)
        assert 1 == caplog.messages.count("withdrawal.requested")
    desk.handler.close()


def test_the_answer_to_a_press_has_the_words_of_the_company(database: Database, tmp_path: Path) -> None:
    (tmp_path / "texts.zh.yaml").write_text("toast.denied.unknown_button: 按钮旧了\n", encoding="utf-8")
    desk = Desk(database, tmp_path)

    answer = desk.handler.accept(desk.press_of("old", "f" * 32)).result(10)

    assert "按钮旧了" in str(answer["toast"])
    desk.handler.close()
