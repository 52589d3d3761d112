"""Sweep: a crash in every gap between two durable steps, again and again, under traffic; and what is wrong afterwards.

A gap is one side of a COMMIT (crash_plan.py), or a call under way, before or after the other side carried it out
(the stand-in's faults `hang` and `hang_after`). Events go on meanwhile: of many accounts, some twice, some copied, some
in reverse, some while nobody listens; people press the button.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from notifier.domain.event import AccountKey
from notifier.domain.money import Asset, Kind
from notifier.sandbox.settings import SandboxSettings
from notifier.store import ledger, withdrawals
from notifier.store.deliveries import delivery_admin
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, inbox, leadership
from support import payout_checks as money
from support.card_amounts import CASH, POINTS, AmountSums, add_amount, sum_amounts_by_chat, without_zeros
from support.cards import balance_card, find_button_ref
from support.crash_plan import CRASH_POINTS
from support.forked_notifier import ForkedNotifier
from support.waiting import wait_until

Gap = tuple[str, str]
"""A step of CRASH_POINTS with before or after its COMMIT; or a call with before or after it was carried out."""

SEND = "POST /open-apis/im/v1/messages"
RESOLVE_REFERRER = "GET /open-apis/hire/v1/referral_account/get_account_assets"
SUBMIT_PAYOUT = "POST /payroll/payouts"
CALLS = {
    "call: resolve referrer": RESOLVE_REFERRER,
    "call: send": SEND,
    "call: withdraw": money.WITHDRAW,
    "call: submit payout": SUBMIT_PAYOUT,
    "call: change a card": money.PATCH,
}
GAPS: tuple[Gap, ...] = tuple(itertools.product((*CRASH_POINTS, *CALLS), ("before", "after")))

BY_A_CLICK = (
    "order stored",
    "withdrawal claimed",
    "withdrawal call begun",
    "withdrawal finished",
    "own withdrawal seen",
    "payout claimed",
    "payout submitted",
    "payout reported",
    "card change shown",
    "call: withdraw",
    "call: submit payout",
    "call: change a card",
)
OF_NEW_ACCOUNTS = ("look-up begun", "referrer known", "call: resolve referrer")
REPEATED = ("notice created", "card claimed", "card frozen", "card sent")
"""Several a round: the first or the second is taken."""

BUSY_ACCOUNTS, LIN_ACCOUNT = 40, "7000000000000000001"
CHANGES = 11
"""Of a round, each of another account; fewer where orders keep many accounts still."""

SEND_MODES = ("once", "once", "twice", "copy", "reversed")
EVENTS_CHECKED = 300
HIT_SECONDS = 6.0
CHECK_EVERY = 40
ROUTES = f"""\
routes:
  - name: one that a group hears of too
    when:
      account: ["{LIN_ACCOUNT}"]
    to: [referrer, hr]
  - name: everybody
    to: [referrer]
log:
  level: warning
"""


def settings(kills: int) -> SandboxSettings:
    """Feishu's own limits hold. Its pauses between two pushes are short, as a restart takes no hour here."""
    return SandboxSettings(
        extra_accounts=BUSY_ACCOUNTS + kills, redelivery_seconds=(0.5,) * 10 + (2.0,) * 10_000
    )


class CrashSweep:
    """Counters grow by what is found at each kill and each time that all has come to rest."""

    def __init__(self, notifier: ForkedNotifier, database: Database, rng: random.Random) -> None:
        self.notifier, self.box, self.database, self.rng = notifier, notifier.box, database, rng
        accounts = self.box.accounts()
        first, rest = accounts[0], accounts[4:]  # the three between hold other currencies
        self.referrers = {each["account_id"]: each["open_id"] for each in (first, *rest)}
        self.busy = [first["account_id"], *(each["account_id"] for each in rest[: BUSY_ACCOUNTS - 1])]
        self.new_accounts = [each["account_id"] for each in rest[BUSY_ACCOUNTS - 1 :]]
        self.gaps: list[Gap] = []
        self.hit: Counter[Gap] = Counter()
        self.kills = self.killed_elsewhere = 0
        self.lost: set[str] = set()
        self.wrong_deltas: list[str] = []
        self.wrong_balances: list[str] = []
        self.duplicate_cards: list[str] = []
        self.wrong_money: list[str] = []

    def run(self, kills: int, *, gaps: Sequence[Gap] = GAPS) -> None:
        self.notifier.start()
        self.box.change_balances([(account, 1, {"CNY": "+1.00"}) for account in self.busy])
        self.settle_and_check()
        self.notifier.kill()
        self.end_lease()
        for number in range(1, kills + 1):
            if not self.gaps:
                self.gaps = self.rng.sample(gaps, len(gaps))
            self.run_round(self.gaps.pop())
            self.end_lease()
            if number % CHECK_EVERY == 0 or number == kills:
                self.notifier.start()
                self.settle_and_check()
                self.notifier.kill()
                self.end_lease()

    def end_lease(self) -> None:
        """The process that led is dead; the next one need not wait until its lease ends. That wait has its own test."""
        ended = sa.update(leadership).values(expires_at=0)
        self.database.write(lambda c: c.execute(ended).close()).result()

    def run_round(self, gap: Gap) -> None:
        step, when = gap
        clicker = self.clicker() if step in BY_A_CLICK else None
        down, up = self.choose_changes(step, clicker)
        self.push(down)
        if step in CALLS:
            action = "hang" if when == "before" else "hang_after"
            fault = self.box.add_call_fault(
                {"match": CALLS[step], "action": action, "times": 1, "seconds": 30}
            )
            self.notifier.start(crash=None, connected=False)
        else:
            nth = self.rng.randint(1, 2) if step in REPEATED else 1
            self.notifier.start(crash={"step": step, "when": when, "nth": nth})
            fault = None
        self.push(up)
        if clicker is not None:
            self.click(clicker)
        self.wait_for_crash(gap, fault)
        self.box.clear_call_faults()
        self.kills += 1
        self.record_lost()

    def choose_changes(self, step: str, clicker: str | None) -> tuple[list[str], list[str]]:
        """The accounts that change while nobody listens, and those that change afterwards."""
        still = {*self.open_order_accounts(), clicker}
        free = [each for each in self.busy if each not in still]
        changing = self.rng.sample(free, min(CHANGES, len(free)))
        if step in OF_NEW_ACCOUNTS and self.new_accounts:
            changing += [self.new_accounts.pop()]
        self.rng.shuffle(changing)
        cut = self.rng.randint(0, len(changing))
        return changing[:cut], changing[cut:]

    def clicker(self) -> str | None:
        """An account that may withdraw what its cards have told of, all of it.

        A withdrawal takes what Feishu holds. What it takes before its event came is told by the receipt alone, and the
        cards would no longer add up; so nothing else changes such an account until its order is over.
        """
        still = self.open_order_accounts()
        with self.database.read() as connection:
            for account in self.rng.sample(self.busy, len(self.busy)):
                theirs = _feishu_balance(self.box.account(account))
                if account not in still and theirs and self._ledger_balance(connection, account) == theirs:
                    return account
        return None

    def open_order_accounts(self) -> set[str]:
        """The accounts with an order that is not over."""
        with self.database.read() as connection:
            orders = withdrawals.list_withdrawals(connection, states=("requested",), limit=money.NO_LIMIT)
        return {each.account.account_id for each in orders}

    def push(self, accounts: Sequence[str]) -> None:
        """Mostly more; less only where there is some."""
        held = {each["account_id"]: each["points"] for each in self.box.accounts()}
        changes = [
            (
                account,
                self.rng.randint(-5 if held[account] >= 5 else 0, 9),
                {"CNY": f"+{self.rng.randint(0, 9)}.{self.rng.randint(0, 99):02}"},
            )
            for account in accounts
        ]
        self.box.change_balances(changes, send=self.rng.choice(SEND_MODES))

    def click(self, account: str) -> None:
        """On their newest card; the answer may never come, as the notifier dies meanwhile."""
        self.notifier.wait_until_connected()
        who = self.referrers[account]
        card = balance_card(self.box, who)
        click = (card["message_id"], who, {"ref": find_button_ref(card)})
        threading.Thread(target=self.box.click, args=click, daemon=True).start()

    def wait_for_crash(self, gap: Gap, fault: str | None) -> None:
        """Killed by itself or, in a call, by us. Where the gap did not come in time it is killed wherever it is."""
        ends_at = time.monotonic() + HIT_SECONDS
        pause = threading.Event()
        while time.monotonic() < ends_at and not self.notifier.ended:
            if fault is not None and self.box.count_call_fault_hits(fault):
                break
            if gap[0] == "payout reported":
                self.report_one()
            pause.wait(0.01)
        came = self.notifier.gap == gap if fault is None else self.box.count_call_fault_hits(fault) == 1
        assert came or not self.notifier.ended, self.notifier.log[-4000:]
        self.notifier.kill()
        self.hit[gap] += came
        self.killed_elsewhere += not came

    def report_one(self) -> None:
        for payout in self.box.payouts():
            if payout["report_status"] != 200:
                self.box.report_payout(payout["order_id"], "paid", payout["order_id"])
                return

    def record_lost(self) -> None:
        """Everything that Feishu was told we have is in the inbox, at any moment."""
        self.lost |= self.missing(self.box.newest_events(EVENTS_CHECKED))

    def missing(self, events: Sequence[dict[str, Any]]) -> set[str]:
        acknowledged = {str(each["event_id"]) for each in events if each["state"] == "acknowledged"}
        with self.database.read() as connection:
            stored = set(connection.execute(sa.select(inbox.c.event_key)).scalars())
        return acknowledged - stored

    def settle_and_check(self) -> None:
        """Lets all come to rest, pays, and judges."""
        self.notifier.wait_until_settled(seconds=180)
        wait_until(lambda: money.is_settled(self.database), "orders are over and shown", seconds=120)
        money.pay_withdrawn_orders(self.box)
        wait_until(lambda: money.is_settled(self.database), "every card shows the end", seconds=120)
        self.notifier.wait_until_settled(seconds=120)
        self.lost |= self.missing(self.box.events())
        self.check_messages()
        self.check_balances()
        self.wrong_money = money.problems(self.box, self.database)

    def check_messages(self) -> None:
        """Each message is one delivery's. Under a new uuid, or sent again by mistake, it would be nobody's."""
        messages = self.box.all_messages()
        with self.database.read() as connection:
            states = delivery_admin.count_by_state(connection)
            ours = set(
                connection.execute(
                    sa.select(deliveries.c.message_id).where(deliveries.c.state == "sent")
                ).scalars()
            )
        extra = [each["message_id"] for each in messages if each["message_id"] not in ours]
        self.duplicate_cards = extra
        if states != {"sent": len(ours)} or len(ours) != len(messages):
            self.duplicate_cards.append(f"{len(messages)} messages, {states}")

    def check_balances(self) -> None:
        """What the books hold is what Feishu holds; what was told is that and what was withdrawn."""
        told = sum_amounts_by_chat(self.box.all_messages())
        self.wrong_balances, self.wrong_deltas = [], []
        with self.database.read() as connection:
            self.wrong_balances += [str(each) for each in ledger.find_imbalances(connection)]
            orders = withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=money.NO_LIMIT)
            held = {account: self._ledger_balance(connection, account) for account in self.referrers}
        chats = {person["open_id"]: person["chat_id"] for person in self.box.state()["people"]}
        due = {account: dict(ours) for account, ours in held.items() if ours is not None}
        for order in orders:
            for asset, amount in (order.withdrawn or {}).items():
                add_amount(due[order.account.account_id], _label(asset), amount)
        for account, sums in due.items():
            theirs = _feishu_balance(self.box.account(account))
            if held[account] != theirs:
                self.wrong_balances.append(f"{account}: {held[account]}, Feishu holds {theirs}")
            also = ["oc_sandbox_hr"] if account == LIN_ACCOUNT else []
            for chat in [chats[self.referrers[account]], *also]:
                if told.get(chat, {}) != without_zeros(sums):
                    self.wrong_deltas.append(f"{account} in {chat}: told {told.get(chat)}, due {dict(sums)}")

    def counted(self) -> dict[str, int]:
        events = self.box.events()
        return {
            "kills": self.kills,
            "events": len(events),
            "acknowledged": sum(each["state"] == "acknowledged" for each in events),
            "withdrawals": len(self.box.withdrawals()),
            "messages": len(self.box.all_messages()),
            "gaps": len(GAPS),
            "gaps hit": len(+self.hit),
            "killed elsewhere": self.killed_elsewhere,
        }

    def zeros(self) -> dict[str, int]:
        return {
            "acknowledged events lost": len(self.lost),
            "wrong deltas": len(self.wrong_deltas),
            "wrong balances": len(self.wrong_balances),
            "cards seen twice": len(self.duplicate_cards),
            "withdrawals wrong": len(self.wrong_money),
        }

    def list_problems(self) -> list[str]:
        """All that is wrong, a sentence each."""
        lost = [f"{event_id}: acknowledged and lost" for event_id in self.lost]
        return lost + self.wrong_deltas + self.wrong_balances + self.duplicate_cards + self.wrong_money

    def _ledger_balance(self, connection: sa.Connection, account: str) -> AmountSums | None:
        """None for an account that was never heard of."""
        key = AccountKey(tenant_key="sandbox-tenant", app_id=self.box.app_id, account_id=account)
        history = ledger.load_history(connection, key)
        if not history:
            return None
        newest, _ = history[-1]
        return {_label(asset): amount for asset, amount in newest.amounts.items()}


def _label(asset: Asset) -> str:
    return POINTS if asset.kind is Kind.POINTS else CASH


def _feishu_balance(account: dict[str, Any]) -> AmountSums:
    return without_zeros({CASH: money.cash(account["cash"]), POINTS: Decimal(account["points"])})
