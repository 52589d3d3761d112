"""No order ever takes an amount that its presser was not shown, whatever is pressed when, and however calls end.

The real steps run against the stand-in: cards are read there as a person sees them, kept as they were seen, and pressed
later or more than once. NOTIFIER_TESTS_EXAMPLES says how many histories are tried.
"""

import asyncio
import itertools
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.cards.render import Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.clock import HOUR_MS
from notifier.domain.delivery import RetryPolicy
from notifier.domain.digest import Digest, Holder
from notifier.domain.digest_panel import Action
from notifier.domain.event import CARD_CLICKED
from notifier.domain.money import POINTS, Amounts, Asset, Kind
from notifier.domain.payout import PayoutState
from notifier.domain.period import Span, finished
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Condition, Recipient, Route
from notifier.domain.withdrawal import WithdrawOffer
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.feishu.wire import encode_balance_reading, read_balance_report, read_event
from notifier.feishu.withdrawal_wire import ACCOUNT_SELECT_NAME, read_click
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.flow.deliveries.resolve_recipients import RecipientResolver, ResolveDeps
from notifier.flow.deliveries.update_cards import CardUpdater, UpdateDeps
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.notices import NoticeWriter
from notifier.flow.withdrawals.batch import BatchDeps, Batcher
from notifier.flow.withdrawals.click import ClickDeps, ClickHandler
from notifier.flow.withdrawals.withdraw import WithdrawDeps, Withdrawer
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store import accounts, ledger
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.notices import make_delivery_key
from notifier.store.schema.tables import accounts as accounts_table
from notifier.store.schema.tables import buttons, panel_buttons, payouts, withdrawals
from support.builders import CNY, USD
from support.clock import FakeClock

EXAMPLES = int(os.environ.get("NOTIFIER_TESTS_EXAMPLES", "12"))
STEPS = 30
LIN, ZHOU, HR = "ou_sandbox_lin", "ou_sandbox_zhou", "oc_sandbox_hr"
PEOPLE = ("7000000000000000001", "7000000000000000002")
ZONE = ZoneInfo("Asia/Shanghai")
WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
BOOK = AddressBook(groups={"hr": HR}, fallback=None)
OFFER = WithdrawOffer(targets=frozenset({"referrer", "hr"}))
FAST = RateLimit(per_second=1000, burst=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A button as a person saw it, with the amounts beside it by accounts.id."""

    message_id: str
    chat: str
    ref: str
    amounts: dict[int, Amounts]
    option: str = ""


@dataclass
class Scene:
    """The steps of the program, run one by one."""

    box: FeishuBox
    database: Database
    api: FeishuApi
    clock: FakeClock
    loop: asyncio.AbstractEventLoop
    received: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        notices = NoticeWriter(address_book=BOOK, max_age_ms=HOUR_MS)
        renderer = Renderer(
            CardTemplates(), check=card_problems, zone=ZONE, clock=self.clock, withdraw_offer=OFFER
        )
        referral_accounts, sender = FeishuReferralAccounts(self.api), FeishuMessageSender(self.api)
        self.insert_events = EventInserter(self.clock)
        self.apply_deps = ApplyDeps(
            read=read_balance_report,
            routes=(Route(name="all", when=Condition(), targets=("referrer", "hr")),),
            notices=notices,
            clock=self.clock,
        )
        self.resolver = RecipientResolver(
            self.database,
            ResolveDeps(
                referral_accounts=referral_accounts,
                address_book=BOOK,
                limit=FAST,
                clock=self.clock,
                wake=_nothing,
            ),
            wake=_nothing,
        )
        self.deliverer = Deliverer(
            self.database,
            DeliverDeps(
                sender=sender,
                renderer=renderer,
                address_book=BOOK,
                sending_limits=SendingLimits(app=FAST, chat=FAST, per_minute=10_000),
                retry_policy=RetryPolicy(give_up_after_ms=HOUR_MS),
                clock=self.clock,
                worker_id="us",
                withdraw_offer=OFFER,
            ),
            wake=_nothing,
        )
        self.updater = CardUpdater(
            self.database,
            UpdateDeps(
                sender=sender,
                notices=notices,
                renderer=renderer,
                limit=FAST,
                clock=self.clock,
                withdraw_offer=OFFER,
            ),
            wake=_nothing,
        )
        self.withdrawer = Withdrawer(
            self.database,
            WithdrawDeps(
                referral_accounts=referral_accounts,
                notices=notices,
                limit=FAST,
                clock=self.clock,
                worker_id="us",
                encode_reading=encode_balance_reading,
                wake=_nothing,
            ),
            wake=_nothing,
        )
        operators = {"hr": (ZHOU,)}
        self.batcher = Batcher(
            self.database,
            BatchDeps(
                app_id=self.box.app_id,
                withdraw_offer=OFFER,
                address_book=BOOK,
                operators=operators,
                clock=self.clock,
                wake=_nothing,
            ),
        )
        self.clicks = ClickHandler(
            self.database,
            ClickDeps(
                read=read_click,
                withdraw_offer=OFFER,
                address_book=BOOK,
                operators=operators,
                renderer=renderer,
                clock=self.clock,
                wake=_nothing,
            ),
        )

    def receive(self, event_ids: list[str]) -> None:
        events = [read_event(self.box.payload(each), app_id=self.box.app_id) for each in event_ids]
        self.database.write(lambda c: self.insert_events(c, events)).result()
        self.received.update(event_ids)

    def run_workers(self) -> None:
        """Everything but the withdrawals themselves."""
        self.clock.advance(seconds=5)
        self.loop.run_until_complete(self._run_workers())

    async def _run_workers(self) -> None:
        while await apply_events(self.database, self.apply_deps):
            pass
        for worker in (self.resolver, self.deliverer, self.updater):
            for _ in range(3):
                await worker.run_once()
                await worker.drain(10)

    def carry_out(self) -> None:
        self.clock.advance(seconds=700)  # longer than every pause before a repeat
        self.loop.run_until_complete(self._carry_out())

    async def _carry_out(self) -> None:
        await self.batcher.run_once()
        await self.withdrawer.run_once()
        await self.withdrawer.drain(10)
        await self.batcher.run_once()

    def press(self, seen: Seen, open_id: str, click_key: str) -> None:
        payload = {
            "schema": "2.0",
            "header": {
                "event_id": click_key,
                "event_type": CARD_CLICKED,
                "app_id": self.box.app_id,
                "tenant_key": "sandbox-tenant",
            },
            "event": {
                "operator": {"open_id": open_id, "tenant_key": "sandbox-tenant"},
                "action": {"value": {"ref": seen.ref}, "form_value": {ACCOUNT_SELECT_NAME: seen.option}},
                "context": {"open_message_id": seen.message_id, "open_chat_id": seen.chat},
            },
        }
        answer: Future[Any] = self.clicks.accept(
            read_event(json.dumps(payload).encode(), app_id=self.box.app_id)
        )
        answer.result(10)

    def post_digest(self, number: int) -> None:
        """A digest that lists the balances of the ledger, as they are now."""

        def post(connection: sa.Connection) -> None:
            refs = (
                connection.execute(sa.select(accounts_table.c.id).order_by(accounts_table.c.id))
                .scalars()
                .all()
            )
            balances = ledger.load_balances(connection, refs)
            holders = []
            for ref in refs:
                ownership = accounts.get_ownership(connection, ref)
                holders.append(
                    Holder(
                        account_ref=ref,
                        account_id=accounts.get_account_key(connection, ref).account_id,
                        referrer=ownership.referrer if ownership else None,
                        amounts=balances.get(ref, {}),
                    )
                )
            period = finished(Span.DAY, self.clock.now().date(), ZONE)
            digest = Digest(
                name=f"d{number}",
                period=period,
                due_at=None,
                created_at=self.clock.millis,
                holders=tuple(each for each in holders if each.amounts),
                offers_withdrawal=True,
            )
            key = DigestRunKey(
                digest=digest.name, period=period, recipient="hr", created_at=self.clock.millis
            )
            run_id = digest_runs.claim_run(connection, key, state=DigestRunState.NOTIFIED, content=digest)
            assert run_id is not None
            hr = Recipient(id_type="chat_id", id=HR)
            digest_runs.create_delivery(connection, key, run_id, target="hr", recipient=hr)

        self.database.write(post).result()

    def look(self) -> Iterator[Seen]:
        """Every button on every card, with the amounts that the card says it withdraws."""
        with self.database.read() as connection:
            account_of = {row.ref: row.account_ref for row in connection.execute(sa.select(buttons))}
            actions = {row.ref: row.action for row in connection.execute(sa.select(panel_buttons))}
        for chat in (LIN, HR):
            for message in self.box.messages(chat):
                yield from _buttons(message, chat, account_of, actions)


def _nothing() -> None:
    pass


def _buttons(
    message: dict[str, Any], chat: str, account_of: dict[str, int], actions: dict[str, str]
) -> Iterator[Seen]:
    content, message_id = message["content"], message["message_id"]
    options = {
        each["value"]: _amounts(each["text"]["content"].partition(" · ")[2])
        for node in _nodes(content)
        if node.get("tag") == "select_static"
        for each in node["options"]
    }
    listed = {account_of[ref]: amounts for ref, amounts in options.items()}
    for node in _nodes(content):
        if node.get("tag") != "button":
            continue
        ref = node["behaviors"][0]["value"]["ref"]
        match actions.get(ref):
            case None:
                amounts = _amounts(node["confirm"]["text"]["content"].partition("：")[2].partition("。")[0])
                yield Seen(message_id=message_id, chat=chat, ref=ref, amounts={account_of[ref]: amounts})
            case Action.ONE:
                for option, amounts in options.items():
                    shown = {account_of[option]: amounts}
                    yield Seen(message_id=message_id, chat=chat, ref=ref, amounts=shown, option=option)
            case Action.ALL:
                yield Seen(message_id=message_id, chat=chat, ref=ref, amounts=listed)
            case _:
                yield Seen(message_id=message_id, chat=chat, ref=ref, amounts=_results(content))


def _results(content: dict[str, Any]) -> dict[int, Amounts]:
    """The amounts in the table of results. The people of this test have one account each, in the order of their ids."""
    people = {LIN: 1, "ou_sandbox_chen": 2}
    found = {}
    for node in _nodes(content):
        if node.get("tag") == "table" and any(each["name"] == "state" for each in node["columns"]):
            for row in node["rows"]:
                who = row["who"][0] if row["who"] else None
                found[people[who] if who else 0] = _amounts(row["amount"])
    return found


def _nodes(node: object) -> Iterator[dict[str, Any]]:
    match node:
        case dict():
            yield node
            for each in node.values():
                yield from _nodes(each)
        case list():
            for each in node:
                yield from _nodes(each)


def _amounts(text: str) -> Amounts:
    """The amounts in a text of a card. Only CNY, USD and points occur here."""
    found: dict[Asset, Decimal] = {}
    for sign, cash in re.findall(r"(US\$|¥)([\d,]+\.\d\d)", text):
        found[USD if sign == "US$" else CNY] = Decimal(cash.replace(",", ""))
    for points in re.findall(r"积分 ([\d,]+)|([\d,]+) 积分", text):
        found[POINTS] = Decimal("".join(points).replace(",", ""))
    return found


class Presses(RuleBasedStateMachine):
    """Two accounts, their referrer and an operator."""

    example_numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.box = FeishuBox(SandboxSettings(quotas=False))
        self.box.start()
        self.box.hold()
        clock = FakeClock(datetime.now(UTC))
        access = AppAccess(
            base_url=self.box.url, app_id=self.box.app_id, app_secret=self.box.app_secret, timeout_seconds=2
        )
        self.api = FeishuApi(access, clock)
        self.loop.run_until_complete(self.api.__aenter__())
        self.database = Database.open(f"sqlite:///{Path(self.folder.name) / 'notifier.db'}")
        self.scene = Scene(self.box, self.database, self.api, clock, self.loop)
        self.seen: list[Seen] = []
        self.shown: dict[str, Amounts] = {}
        """What a press agreed to, by click key of the order that it may have placed."""
        self.numbers = itertools.count(1)
        for account in PEOPLE:
            self.box.change_balance(account, points=5, cash={"CNY": "+100.00"})
            self.receive_all()
            self.work()

    @rule(
        account=st.sampled_from(PEOPLE),
        yuan=st.sampled_from([50, 500, -30, -1000]),
        points=st.sampled_from([0, 7]),
    )
    def the_balance_changes(self, account: str, yuan: int, points: int) -> None:
        self.box.change_balance(account, points=points, cash={"CNY": f"{yuan:+d}.00"})

    @rule()
    def receive_all(self) -> None:
        self.scene.receive(
            [each["event_id"] for each in self.box.events() if each["event_id"] not in self.scene.received]
        )

    @rule()
    def work(self) -> None:
        self.scene.run_workers()
        self.seen += [each for each in self.scene.look() if each not in self.seen]

    @rule()
    def a_digest_is_posted(self) -> None:
        self.scene.post_digest(next(self.numbers))
        self.work()

    @precondition(lambda self: self.seen)
    @rule(age=st.sampled_from([1, 1, 1, 2, 3, 10]), is_stranger=st.sampled_from([False, False, False, True]))
    def somebody_presses(self, age: int, is_stranger: bool) -> None:  # noqa: FBT001 - drawn by its name
        """age: 1 is the newest card that anybody saw."""
        seen, key = self.seen[-min(age, len(self.seen))], f"click-{next(self.numbers)}"
        for account_ref, amounts in seen.amounts.items():
            self.shown[key] = amounts
            self.shown[make_delivery_key("batch", key, str(account_ref))] = amounts
        open_id = ZHOU if (seen.chat == HR) != is_stranger else LIN
        self.scene.press(seen, open_id, key)

    @rule(
        fault=st.sampled_from([None, "reset", "reset_after", "refused"]),
        yuan=st.sampled_from([0, 0, 70, -20]),
        again=st.booleans(),
    )
    def orders_are_carried_out(self, fault: str | None, yuan: int, again: bool) -> None:  # noqa: FBT001 - see above
        """yuan: what changes at Feishu just before. again: whether the call is repeated after another change."""
        if yuan:
            self.the_balance_changes(PEOPLE[0], yuan, 0)
        if fault == "refused":
            self.box.add_call_fault({"match": WITHDRAW, "action": "code", "code": 1002555})
        elif fault is not None:
            self.box.add_call_fault({"match": WITHDRAW, "action": fault})
        self.scene.carry_out()
        self.box.clear_call_faults()
        if again:
            self.the_balance_changes(PEOPLE[0], 30, 0)
            self.scene.carry_out()

    @invariant()
    def nothing_is_withdrawn_that_its_presser_was_not_shown(self) -> None:
        with self.database.read() as connection:
            orders = {row.order_id: row for row in connection.execute(sa.select(withdrawals))}
        for taken in self.box.withdrawals():
            order = orders[taken["order_id"]]
            amounts: dict[Asset, Decimal] = {
                Asset(Kind.CASH, each["currency"]): Decimal(each["amount"]) for each in taken["cash"]
            }
            if taken["points"]:
                amounts[POINTS] = Decimal(taken["points"])
            assert self.shown[order.click_key] == amounts

    def teardown(self) -> None:
        self.scene.clicks.close()
        self.loop.run_until_complete(self.api.__aexit__(None, None, None))
        self.database.close()
        self.loop.close()
        self.box.stop()
        self.folder.cleanup()


def test_no_order_takes_an_amount_that_its_presser_was_not_shown() -> None:
    run_state_machine_as_test(
        Presses,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.generate],  # a shorter history would take minutes to find
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_correction_that_looks_like_the_withdrawal_does_not_permit_another_amount() -> None:
    """The call had no answer and did nothing. HR removes the same amount, and a new reward arrives."""
    history = Presses()
    try:
        seen = [each for each in history.scene.look() if each.chat == LIN][-1]
        (agreed,) = seen.amounts.values()
        history.scene.press(seen, LIN, "click-1")
        history.shown["click-1"] = agreed
        history.box.add_call_fault({"match": WITHDRAW, "action": "reset"})
        history.scene.carry_out()
        history.box.clear_call_faults()
        history.box.change_balance(PEOPLE[0], points=-int(agreed[POINTS]), cash={"CNY": f"-{agreed[CNY]}"})
        history.receive_all()
        history.work()
        history.box.change_balance(PEOPLE[0], cash={"CNY": "+30.00"})
        history.receive_all()
        history.work()
        history.scene.carry_out()

        assert [] == history.box.withdrawals()
        with history.database.read() as connection:
            states = connection.execute(sa.select(payouts.c.state)).scalars().all()
        assert [PayoutState.UNCONFIRMED] == states, "nobody is paid before an operator has looked"
    finally:
        history.teardown()
