"""Withdraw: an order that Feishu will not hear of for now stays an order, and is asked again at a sane pace."""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.config.settings import Config
from notifier.domain.account import AccountState, Withdrawn
from notifier.domain.event import BALANCE_READ, AccountKey
from notifier.domain.money import POINTS, Amounts, Kind
from notifier.domain.payout import PayoutState
from notifier.domain.rate_limit import RateLimit
from notifier.domain.withdrawal import Role, WithdrawalState
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.feishu.wire import encode_balance_reading
from notifier.flow.notices import NoticeWriter
from notifier.flow.withdrawals.withdraw import WAITS_FOR_OUTCOME, WithdrawDeps, Withdrawer
from notifier.operations.withdrawals import end_withdrawal
from notifier.sandbox.testing import FeishuBox
from notifier.store import audit, inbox, payouts, withdrawals
from notifier.store.cards import buttons
from notifier.store.engine.database import Database
from notifier.store.withdrawals import WithdrawalOrder
from support.builders import CNY
from support.buttons import find_button
from support.clock import FakeClock
from support.withdrawal_rows import ADDRESS_BOOK, posted_card, read_withdrawal

WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
LIN_ACCOUNT = "7000000000000000001"
ORDER = "rn-1"
HELD: Amounts = {POINTS: Decimal(120), CNY: Decimal("350.50")}


def ask(database: Database, box: FeishuBox, clock: FakeClock, agreed: Amounts = HELD) -> None:
    """The referrer pressed the button on their card, which offered these amounts."""
    account = AccountKey(tenant_key="sandbox-tenant", app_id=box.app_id, account_id=LIN_ACCOUNT)
    card = posted_card(database, "card", account=account, amounts=agreed, sent_at=clock.millis)

    def begin(connection: sa.Connection) -> None:
        ref = connection.execute(sa.text("SELECT id FROM accounts")).scalar_one()
        name = buttons.ensure_button(
            connection,
            delivery_id=card,
            account_ref=ref,
            withdrawal_count=0,
            amounts=agreed,
            now=clock.millis,
        )
        button = find_button(connection, name, address_book=ADDRESS_BOOK, now=clock.millis)
        assert button is not None
        order = WithdrawalOrder(
            order_id=ORDER,
            button=button,
            kinds=tuple(Kind),
            role=Role.REFERRER,
            requested_by="ou_sandbox_lin",
            click_key="click",
            now=clock.millis,
        )
        assert withdrawals.create_orders(connection, [order])[0] is not None

    database.write(begin).result()


def make_withdrawer(
    database: Database,
    api: FeishuApi,
    clock: FakeClock,
    *,
    referral_accounts: FeishuReferralAccounts | None = None,
) -> Withdrawer:
    deps = WithdrawDeps(
        referral_accounts=referral_accounts or FeishuReferralAccounts(api),
        notices=NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=10**12, alarm_group="hr"),
        limit=RateLimit(per_second=1),
        clock=clock,
        worker_id="us",
        encode_reading=encode_balance_reading,
        wake=lambda: None,
    )
    return Withdrawer(database, deps, wake=lambda: None)


async def carry_out(withdrawer: Withdrawer, clock: FakeClock) -> None:
    clock.advance(seconds=700)
    await withdrawer.run_once()
    await withdrawer.drain(10)


@pytest.mark.parametrize("change", ["+500.00", "-50.00", "-999999.00"])
async def test_a_balance_other_than_the_agreed_one_is_not_withdrawn(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock, change: str
) -> None:
    """Feishu's call takes no amount, so the balance is read just before it."""
    ask(database, feishu_box, clock)
    feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": change})
    await carry_out(make_withdrawer(database, api, clock), clock)

    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.AMOUNT_CHANGED, HELD) == (order.state, order.agreed)
    assert order.reason is not None
    assert order.reason.startswith("agreed to 350.50 CNY, 120 points, but Feishu holds ")
    assert [] == feishu_box.withdrawals()
    assert 0 == order.attempts
    with database.read() as connection:
        (entry,) = audit.list_entries(connection, order_id=ORDER, limit=9)
        (reading,) = inbox.list_new_entries(connection, limit=9)
    assert entry.outcome.startswith("amount_changed: agreed to 350.50 CNY, 120 points")
    assert BALANCE_READ == reading.event.event_type, "the cards must offer what Feishu holds"


async def test_a_repeat_is_not_made_while_it_could_withdraw_another_amount(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    """The call had no answer and was not carried out. A repeat would withdraw what has come in since."""
    ask(database, feishu_box, clock)
    withdrawer = make_withdrawer(database, api, clock)
    feishu_box.add_call_fault({"match": WITHDRAW, "action": "reset", "times": 1})
    await carry_out(withdrawer, clock)
    feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    for _ in range(5):
        await carry_out(withdrawer, clock)

    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.REQUESTED, WAITS_FOR_OUTCOME) == (order.state, order.reason)
    assert [] == feishu_box.withdrawals()

    feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": "-500.00"})
    await carry_out(withdrawer, clock)

    assert WithdrawalState.WITHDRAWN is read_withdrawal(database, ORDER).state
    assert 1 == len(feishu_box.withdrawals())


async def test_a_repeat_after_a_withdrawal_without_an_answer_returns_its_result(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    ask(database, feishu_box, clock)
    withdrawer = make_withdrawer(database, api, clock)
    feishu_box.add_call_fault({"match": WITHDRAW, "action": "reset_after", "times": 1})
    await carry_out(withdrawer, clock)
    assert 1 == len(feishu_box.withdrawals())
    await carry_out(withdrawer, clock)

    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.WITHDRAWN, HELD) == (order.state, order.withdrawn)
    assert 1 == len(feishu_box.withdrawals())


async def test_an_order_that_feishu_carried_out_can_be_ended_with_its_payout(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    """The answer was lost, and so was the balance event. A new reward keeps the call from being repeated."""
    ask(database, feishu_box, clock)
    withdrawer = make_withdrawer(database, api, clock)
    feishu_box.add_call_fault({"match": WITHDRAW, "action": "reset_after", "times": 1})
    await carry_out(withdrawer, clock)
    feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": "+30.00"})
    await carry_out(withdrawer, clock)
    clock.advance(seconds=6 * 3600)
    assert WAITS_FOR_OUTCOME == read_withdrawal(database, ORDER).reason

    ended = end_withdrawal(database, Config(), clock, ORDER, is_withdrawn=True)

    assert ended.is_ok, ended.text
    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.WITHDRAWN, HELD) == (order.state, order.withdrawn)
    with database.read() as connection:
        payout = payouts.find_by_order(connection, ORDER)
        entry = audit.list_entries(connection, order_id=ORDER, limit=1)[0]
    assert payout is not None
    assert PayoutState.PENDING is payout.state
    assert ("manual", "ended: 350.50 CNY, 120 points were withdrawn") == (entry.action, entry.outcome)


async def test_an_order_that_was_never_called_cannot_be_ended_as_withdrawn(
    database: Database, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    ask(database, feishu_box, clock)
    clock.advance(seconds=7 * 3600)

    assert not end_withdrawal(database, Config(), clock, ORDER, is_withdrawn=True).is_ok
    assert WithdrawalState.REQUESTED is read_withdrawal(database, ORDER).state


class WithoutAmounts(FeishuReferralAccounts):
    """Feishu's answer names the order and a time, and no `withdrawal_details`.

    Not seen at Feishu, and the stand-in never answers so; hence this one changed answer of the real client.
    """

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        answer = await super().withdraw(account_id, order_id=order_id, kinds=kinds)
        return replace(answer, amounts={})


async def test_a_booking_without_amounts_is_paid_as_agreed_once_an_operator_confirms_it(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    ask(database, feishu_box, clock)
    withdrawer = make_withdrawer(database, api, clock, referral_accounts=WithoutAmounts(api))
    await carry_out(withdrawer, clock)

    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.WITHDRAWN, HELD) == (order.state, order.withdrawn)
    assert 1 == len(feishu_box.withdrawals()), "the money is gone from the account"
    with database.read() as connection:
        payout = payouts.find_by_order(connection, ORDER)
        told = connection.execute(sa.text("SELECT reason FROM notices ORDER BY id")).scalars().all()
    assert payout is not None
    assert PayoutState.UNCONFIRMED is payout.state
    assert "withdrawn" in told
    assert "payout_unconfirmed" in told, "HR hears of it"


class WithPointsOnly(FeishuReferralAccounts):
    """Feishu's answer names the points and leaves the cash out."""

    async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:
        answer = await super().withdraw(account_id, order_id=order_id, kinds=kinds)
        return replace(answer, amounts={POINTS: answer.amounts[POINTS]})


async def test_amounts_that_feishu_leaves_out_are_not_lost(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    ask(database, feishu_box, clock)
    await carry_out(make_withdrawer(database, api, clock, referral_accounts=WithPointsOnly(api)), clock)

    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.WITHDRAWN, HELD) == (order.state, order.withdrawn)
    with database.read() as connection:
        payout = payouts.find_by_order(connection, ORDER)
        reasons = connection.execute(sa.text("SELECT reason FROM notices ORDER BY id")).scalars().all()
    assert payout is not None
    assert PayoutState.UNCONFIRMED is payout.state
    assert "payout_unconfirmed" in reasons


async def test_a_kind_that_feishu_did_not_withdraw_stays_in_the_account(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    class TakesPointsOnly(FeishuReferralAccounts):
        """Feishu withdraws one of the two kinds, and says so."""

        async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:  # noqa: ARG002 - the signature of the port
            return await super().withdraw(account_id, order_id=order_id, kinds=(Kind.POINTS,))

    ask(database, feishu_box, clock)
    await carry_out(make_withdrawer(database, api, clock, referral_accounts=TakesPointsOnly(api)), clock)

    order = read_withdrawal(database, ORDER)
    assert (WithdrawalState.WITHDRAWN, {POINTS: Decimal(120)}) == (order.state, order.withdrawn)
    with database.read() as connection:
        payout = payouts.find_by_order(connection, ORDER)
    assert payout is not None
    assert PayoutState.PENDING is payout.state


async def test_an_order_whose_calls_always_break_can_be_ended(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    class Broken(FeishuReferralAccounts):
        """An error that no code handles."""

        async def read(self, account_id: str) -> AccountState:  # noqa: ARG002 - the signature of the port
            raise RuntimeError("unforeseen")

    ask(database, feishu_box, clock)
    await carry_out(make_withdrawer(database, api, clock, referral_accounts=Broken(api)), clock)
    clock.advance(seconds=6 * 3600)

    ended = end_withdrawal(database, Config(), clock, ORDER)
    assert ended.is_ok, ended.text


async def test_a_booking_without_amounts_that_moved_nothing_offers_the_balance_again(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    class NothingMoved(FeishuReferralAccounts):
        """As above, for an order that Feishu keeps without carrying it out."""

        async def withdraw(self, account_id: str, *, order_id: str, kinds: Collection[Kind]) -> Withdrawn:  # noqa: ARG002 - the signature of the port
            return Withdrawn(order_id=order_id, at=clock.millis, amounts={})

    ask(database, feishu_box, clock)
    await carry_out(make_withdrawer(database, api, clock, referral_accounts=NothingMoved(api)), clock)

    assert WithdrawalState.REFUSED is read_withdrawal(database, ORDER).state
    with database.read() as connection:
        assert payouts.find_by_order(connection, ORDER) is None


async def test_an_order_without_a_result_for_hours_is_told_once_and_can_be_ended(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock
) -> None:
    """A call without an answer, then refusals for ever: no later refusal proves that nothing was withdrawn."""
    config = Config()
    ask(database, feishu_box, clock)
    withdrawer = make_withdrawer(database, api, clock)
    feishu_box.add_call_fault({"match": WITHDRAW, "action": "reset", "times": 1})
    await carry_out(withdrawer, clock)
    feishu_box.add_call_fault({"match": WITHDRAW, "action": "code", "code": 1002555})
    early = end_withdrawal(database, config, clock, ORDER)
    assert (False, "it can be ended in" in early.text) == (early.is_ok, True)
    for _ in range(40):
        await carry_out(withdrawer, clock)

    order = read_withdrawal(database, ORDER)
    assert WithdrawalState.REQUESTED is order.state
    with database.read() as connection:
        told = connection.execute(sa.text("SELECT reason FROM notices ORDER BY id")).scalars().all()
    assert ["change", "stuck"] == told

    assert end_withdrawal(database, config, clock, ORDER).is_ok
    assert not end_withdrawal(database, config, clock, ORDER).is_ok
    assert WithdrawalState.ENDED is read_withdrawal(database, ORDER).state
    with database.read() as connection:
        entry = audit.list_entries(connection, order_id=ORDER, limit=1)[0]
    assert ("manual", "ended: nothing was withdrawn") == (entry.action, entry.outcome)


@pytest.mark.parametrize("code", [99991401, 99991403, 99991662, 99991673])
async def test_an_order_waits_while_the_app_is_stopped_and_is_carried_out_after(
    database: Database, api: FeishuApi, feishu_box: FeishuBox, clock: FakeClock, code: int
) -> None:
    withdrawer = make_withdrawer(database, api, clock)
    ask(database, feishu_box, clock)
    stopped = feishu_box.add_call_fault({"match": WITHDRAW, "action": "code", "code": code})
    for _ in range(600):  # seconds
        await withdrawer.run_once()
        await withdrawer.drain(10)
        clock.advance(seconds=1)

    assert WithdrawalState.REQUESTED is read_withdrawal(database, ORDER).state
    assert 5 <= feishu_box.count_call_fault_hits(stopped) <= 20, "not more than each half minute"
    feishu_box.clear_call_faults()
    clock.advance(seconds=600)
    await withdrawer.run_once()
    await withdrawer.drain(10)
    assert WithdrawalState.WITHDRAWN is read_withdrawal(database, ORDER).state
    assert 1 == len(feishu_box.withdrawals())
