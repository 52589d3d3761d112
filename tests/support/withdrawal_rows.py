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
from notifier.store.withdrawals import Ending, Order
from support.builders import ACCOUNT, CNY
from support.delivery_rows import LIN, NOW, account_ref, told

BOOK = AddressBook(groups={"hr": "oc_hr", "fallback": "oc_fallback"}, fallback="fallback")
HR = Recipient(id_type="chat_id", id="oc_hr")
OWNER = Referrer(open_id=LIN.id, name_zh="林小满", name_en="Lin Xiaoman")
TAKEN: Amounts = {CNY: Decimal("350.5000")}


def hung_card(
    database: Database,
    key: str,
    *,
    target: str = "referrer",
    account: AccountKey = ACCOUNT,
    epoch: int = 0,
    sent_at: Millis = NOW,
) -> int:
    """A card with a button that Feishu took; its delivery's id."""
    recipient = LIN if target == "referrer" else HR
    one = told(database, key, recipient=recipient, target=target, account=account, now=sent_at)
    ref = account_ref(database, account)

    def finish(connection: sa.Connection) -> None:
        values = {"state": "sent", "message_id": f"om_{one}", "updated_at": sent_at}
        connection.execute(sa.update(deliveries).where(deliveries.c.id == one).values(values))
        buttons.draw(connection, delivery_id=one, account_ref=ref, epoch=epoch, now=sent_at)

    database.write(finish).result()
    return one


def withdrawn(
    database: Database,
    order_id: str = "rn-1",
    *,
    account: AccountKey = ACCOUNT,
    card: int | None = None,
    at: Millis = NOW,
    epoch: int = 0,
) -> Withdrawal:
    """An order that Feishu has carried out, with its owner known; without payout and notices."""
    one = card or hung_card(database, f"card of {order_id}", account=account, epoch=epoch, sent_at=at)

    def make(connection: sa.Connection) -> None:
        ref = connection.execute(
            sa.select(deliveries.c.account_ref).where(deliveries.c.id == one)
        ).scalar_one()
        accounts.keep_ownership(connection, ref, Ownership(referrer=OWNER, looked_up_at=at))
        name = buttons.draw(connection, delivery_id=one, account_ref=ref, epoch=epoch, now=at)
        button = buttons.find(connection, name, book=BOOK, now=at)
        assert button is not None
        order = Order(
            order_id=order_id,
            button=button,
            kinds=tuple(Kind),
            role=Role.REFERRER,
            requested_by=LIN.id,
            click_key=f"click of {order_id}",
            now=at,
        )
        begun = withdrawals.begin(connection, order)
        assert begun is not None
        assert withdrawals.end(
            connection, begun, Ending(state=WithdrawalState.WITHDRAWN, now=at, taken=TAKEN, at=at)
        )

    database.write(make).result()
    return stored(database, order_id)


def stored(database: Database, order_id: str) -> Withdrawal:
    with database.read() as connection:
        found = withdrawals.by_order(connection, order_id)
    assert found is not None
    return found


def payout(database: Database, order_id: str = "rn-1", *, at: Millis = NOW) -> Payout:
    """A withdrawal with its payout, which waits."""
    one = withdrawn(
        database, order_id, at=at, account=AccountKey(tenant_key="tk", app_id="cli_x", account_id=order_id)
    )
    body = body_of(one, taken=TAKEN, at=at, referrer=OWNER)
    database.write(lambda c: payouts.begin(c, one, body=body, now=at)).result()
    return payout_of(database, order_id)


def payout_of(database: Database, order_id: str) -> Payout:
    with database.read() as connection:
        found = payouts.of_order(connection, order_id)
    assert found is not None
    return found
