"""Withdrawals in a real store, made the way the flow makes them."""

from decimal import Decimal

import sqlalchemy as sa

from notifier.clock import Millis
from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts, Kind
from notifier.domain.payout import Payout, body_of
from notifier.domain.route import AddressBook, Recipient
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.store import accounts, payouts, withdrawals
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from notifier.store.withdrawals import WithdrawalOrder, WithdrawalResult
from support.builders import ACCOUNT, CNY
from support.buttons import find_button
from support.delivery_rows import LIN, NOW, account_ref, create_notice, mark_sent

ADDRESS_BOOK = AddressBook(groups={"hr": "oc_hr", "fallback": "oc_fallback"}, fallback="fallback")
HR = Recipient(id_type="chat_id", id="oc_hr")
REFERRER = Referrer(open_id=LIN.id, name_zh="林小满", name_en="Lin Xiaoman")
WITHDRAWN_AMOUNTS: Amounts = {CNY: Decimal("350.5000")}


def posted_card(
    database: Database,
    key: str,
    *,
    target: str = "referrer",
    account: AccountKey = ACCOUNT,
    withdrawal_count: int = 0,
    amounts: Amounts = WITHDRAWN_AMOUNTS,
    sent_at: Millis = NOW,
) -> int:
    """A card with a button that Feishu took; its delivery's id."""
    recipient = LIN if target == "referrer" else HR
    one = create_notice(database, key, recipient=recipient, target=target, account=account, now=sent_at)
    ref = account_ref(database, account)

    def finish(connection: sa.Connection) -> None:
        mark_sent(connection, one, at=sent_at)
        buttons.ensure_button(
            connection,
            delivery_id=one,
            account_ref=ref,
            withdrawal_count=withdrawal_count,
            amounts=amounts,
            now=sent_at,
        )

    database.write(finish).result()
    return one


def create_withdrawn_order(
    database: Database,
    order_id: str = "rn-1",
    *,
    account: AccountKey = ACCOUNT,
    card: int | None = None,
    at: Millis = NOW,
    withdrawal_count: int = 0,
) -> Withdrawal:
    """An order that Feishu has carried out, with its referrer known; without payout and notices."""
    one = card or posted_card(
        database, f"card of {order_id}", account=account, withdrawal_count=withdrawal_count, sent_at=at
    )

    def make(connection: sa.Connection) -> None:
        ref = connection.execute(
            sa.select(deliveries.c.account_ref).where(deliveries.c.id == one)
        ).scalar_one()
        accounts.save_ownership(connection, ref, Ownership(referrer=REFERRER, looked_up_at=at))
        name = buttons.ensure_button(
            connection,
            delivery_id=one,
            account_ref=ref,
            withdrawal_count=withdrawal_count,
            amounts=WITHDRAWN_AMOUNTS,
            now=at,
        )
        button = find_button(connection, name, address_book=ADDRESS_BOOK, now=at)
        assert button is not None
        order = WithdrawalOrder(
            order_id=order_id,
            button=button,
            kinds=tuple(Kind),
            role=Role.REFERRER,
            requested_by=LIN.id,
            click_key=f"click of {order_id}",
            now=at,
        )
        begun = withdrawals.create_orders(connection, [order])[0]
        assert begun is not None
        assert withdrawals.finish(
            connection,
            begun,
            WithdrawalResult(state=WithdrawalState.WITHDRAWN, now=at, withdrawn=WITHDRAWN_AMOUNTS, at=at),
        )

    database.write(make).result()
    return read_withdrawal(database, order_id)


def read_withdrawal(database: Database, order_id: str) -> Withdrawal:
    with database.read() as connection:
        found = withdrawals.find_by_order(connection, order_id)
    assert found is not None
    return found


def create_payout(database: Database, order_id: str = "rn-1", *, at: Millis = NOW) -> Payout:
    """A withdrawal with its payout, which waits."""
    one = create_withdrawn_order(
        database, order_id, at=at, account=AccountKey(tenant_key="tk", app_id="cli_x", account_id=order_id)
    )
    body = body_of(one, withdrawn=WITHDRAWN_AMOUNTS, at=at, referrer=REFERRER)
    database.write(lambda c: payouts.create_payout(c, one, body=body, now=at)).result()
    return read_payout(database, order_id)


def read_payout(database: Database, order_id: str) -> Payout:
    with database.read() as connection:
        found = payouts.find_by_order(connection, order_id)
    assert found is not None
    return found
