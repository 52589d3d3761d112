"""Sweep: a crash in every gap between two durable steps, again and again, under traffic; and what is wrong afterwards.

A gap is one side of a COMMIT (crashing.py), or a call that is under way, before or after the other side carried it out
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
from notifier.store import delivery_admin, ledger, withdrawals
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, inbox
from support import payout_checks as money
from support.card_amounts import CASH, POINTS, Sums, add, told_in, without_zeros
from support.cards import balance_card, ref_on
from support.crash_server import STEPS
from support.forked_notifier import ForkedNotifier
from support.waiting import wait_until

Gap = tuple[str, str]
"""A step of crashing.STEPS with before or after its COMMIT; or a call with before or after it was carried out."""

SEND = "POST /open-apis/im/v1/messages"
LOOK_UP = "GET /open-apis/hire/v1/referral_account/get_account_assets"
HAND_OVER = "POST /payroll/payouts"
CALLS = {
    "call: look-up": LOOK_UP,
    "call: send": SEND,
    "call: withdraw": money.WITHDRAW,
    "call: hand over": HAND_OVER,
    "call: change a card": money.PATCH,
}
GAPS: tuple[Gap, ...] = tuple(itertools.product((*STEPS, *CALLS), ("before", "after")))

BY_A_CLICK = (
    "order on disk",
    "withdrawal claimed",
    "withdrawal call begun",
    "withdrawal over",
    "own withdrawal seen",
    "payout claimed",
    "payout handed over",
    "payout reported",
    "card change shown",
    "call: withdraw",
    "call: hand over",
    "call: change a card",
)
OF_NEW_ACCOUNTS = ("look-up begun", "owner known", "call: look-up")
OFTEN = ("notice born", "card claimed", "card frozen", "card sent")
"""Several a round: the first or the second is taken."""

BUSY, LIN_ACCOUNT = 40, "7000000000000000001"
CHANGES = 11
"""Of a round, each of another account; fewer where orders keep many accounts still."""

SENDINGS = ("once", "once", "twice", "copy", "reversed")
LOOKED_BACK = 300
HIT_SECONDS = 6.0
SETTLE_EVERY = 40
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
    return SandboxSettings(extra_accounts=BUSY + kills, redelivery_seconds=(0.5,) * 10 + (2.0,) * 10_000)


class Sweep:
    """Counters grow by what is found at each kill and each time that all has come to rest."""

    def __init__(self, notifier: ForkedNotifier, database: Database, chance: random.Random) -> None:
        self.notifier, self.box, self.database, self.chance = notifier, notifier.box, database, chance
        accounts = self.box.accounts()
        first, rest = accounts[0], accounts[4:]  # the three between hold other currencies
        self.owners = {each["account_id"]: each["open_id"] for each in (first, *rest)}
        self.busy = [first["account_id"], *(each["account_id"] for each in rest[: BUSY - 1])]
        self.unheard = [each["account_id"] for each in rest[BUSY - 1 :]]
        self.gaps: list[Gap] = []
        self.hit: Counter[Gap] = Counter()
        self.kills = self.elsewhere = 0
        self.lost: set[str] = set()
        self.wrong_deltas: list[str] = []
        self.wrong_balances: list[str] = []
        self.seen_twice: list[str] = []
        self.wrong_money: list[str] = []

    def run(self, kills: int, *, gaps: Sequence[Gap] = GAPS) -> None:
        self.notifier.start()
        self.box.change_many([(account, 1, {"CNY": "+1.00"}) for account in self.busy])
        self.settle()
        self.notifier.kill()
        for number in range(1, kills + 1):
            if not self.gaps:
                self.gaps = self.chance.sample(gaps, len(gaps))
            self.round(self.gaps.pop())
            if number % SETTLE_EVERY == 0 or number == kills:
                self.notifier.start()
                self.settle()
                self.notifier.kill()

    def round(self, gap: Gap) -> None:
        step, when = gap
        presser = self.presser() if step in BY_A_CLICK else None
        down, up = self.changes(step, presser)
        self.push(down)
        if step in CALLS:
            action = "hang" if when == "before" else "hang_after"
            fault = self.box.add_fault({"match": CALLS[step], "action": action, "times": 1, "seconds": 30})
            self.notifier.start(crash=None, connected=False)
        else:
            nth = self.chance.randint(1, 2) if step in OFTEN else 1
            self.notifier.start(crash={"step": step, "when": when, "nth": nth})
            fault = None
        self.push(up)
        if presser is not None:
            self.click(presser)
        self.await_the_end(gap, fault)
        self.box.clear_faults()
        self.kills += 1
        self.note_lost()

    def changes(self, step: str, presser: str | None) -> tuple[list[str], list[str]]:
        """The accounts that change while nobody listens, and those that change afterwards."""
        still = {*self.under_way(), presser}
        free = [each for each in self.busy if each not in still]
        changing = self.chance.sample(free, min(CHANGES, len(free)))
        if step in OF_NEW_ACCOUNTS and self.unheard:
            changing += [self.unheard.pop()]
        self.chance.shuffle(changing)
        cut = self.chance.randint(0, len(changing))
        return changing[:cut], changing[cut:]

    def presser(self) -> str | None:
        """An account that may withdraw what its cards have told of, all of it.

        A withdrawal takes what Feishu holds. What it takes before its event came is told by the receipt alone, and the
        cards would no longer add up; so nothing else changes such an account until its order is over.
        """
        still = self.under_way()
        with self.database.read() as connection:
            for account in self.chance.sample(self.busy, len(self.busy)):
                theirs = _theirs(self.box.account(account))
                if account not in still and theirs and self._held(connection, account) == theirs:
                    return account
        return None

    def under_way(self) -> set[str]:
        """The accounts with an order that is not over."""
        with self.database.read() as connection:
            orders = withdrawals.listed(connection, states=("requested",), limit=money.ALL)
        return {each.account.account_id for each in orders}

    def push(self, accounts: Sequence[str]) -> None:
        """Mostly more; less only where there is some."""
        held = {each["account_id"]: each["points"] for each in self.box.accounts()}
        changes = [
            (
                account,
                self.chance.randint(-5 if held[account] >= 5 else 0, 9),
                {"CNY": f"+{self.chance.randint(0, 9)}.{self.chance.randint(0, 99):02}"},
            )
            for account in accounts
        ]
        self.box.change_many(changes, send=self.chance.choice(SENDINGS))

    def click(self, account: str) -> None:
        """On their newest card; the answer may never come, as the notifier dies meanwhile."""
        self.notifier.wait_until_connected()
        who = self.owners[account]
        card = balance_card(self.box, who)
        click = (card["message_id"], who, {"ref": ref_on(card)})
        threading.Thread(target=self.box.click, args=click, daemon=True).start()

    def await_the_end(self, gap: Gap, fault: str | None) -> None:
        """Killed by itself or, in a call, by us. Where the gap did not come in time it is killed wherever it is."""
        ends_at = time.monotonic() + HIT_SECONDS
        pause = threading.Event()
        while time.monotonic() < ends_at and not self.notifier.ended:
            if fault is not None and self.box.fault_hits(fault):
                break
            if gap[0] == "payout reported":
                self.report_one()
            pause.wait(0.01)
        came = self.notifier.gap == gap if fault is None else self.box.fault_hits(fault) == 1
        assert came or not self.notifier.ended, self.notifier.log[-4000:]
        self.notifier.kill()
        self.hit[gap] += came
        self.elsewhere += not came

    def report_one(self) -> None:
        for payout in self.box.payouts():
            if payout["report_status"] != 200:
                self.box.report_payout(payout["order_id"], "paid", payout["order_id"])
                return

    def note_lost(self) -> None:
        """Everything that Feishu was told we have is in the inbox, at any moment."""
        self.lost |= self.missing(self.box.newest_events(LOOKED_BACK))

    def missing(self, events: Sequence[dict[str, Any]]) -> set[str]:
        acknowledged = {str(each["event_id"]) for each in events if each["state"] == "acknowledged"}
        with self.database.read() as connection:
            stored = set(connection.execute(sa.select(inbox.c.event_key)).scalars())
        return acknowledged - stored

    def settle(self) -> None:
        """Lets all come to rest, pays, and judges."""
        self.notifier.wait_until_settled(seconds=180)
        wait_until(lambda: money.at_rest(self.database), "orders are over and shown", seconds=120)
        money.pay_what_was_withdrawn(self.box)
        wait_until(lambda: money.at_rest(self.database), "every card shows the end", seconds=120)
        self.notifier.wait_until_settled(seconds=120)
        self.lost |= self.missing(self.box.events())
        self.judge_messages()
        self.judge_balances()
        self.wrong_money = money.problems(self.box, self.database)

    def judge_messages(self) -> None:
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
        self.seen_twice = extra
        if states != {"sent": len(ours)} or len(ours) != len(messages):
            self.seen_twice.append(f"{len(messages)} messages, {states}")

    def judge_balances(self) -> None:
        """What the books hold is what Feishu holds; what was told is that and what was withdrawn."""
        told = told_in(self.box.all_messages())
        self.wrong_balances, self.wrong_deltas = [], []
        with self.database.read() as connection:
            self.wrong_balances += [str(each) for each in ledger.imbalances(connection)]
            orders = withdrawals.listed(connection, states=("withdrawn",), limit=money.ALL)
            held = {account: self._held(connection, account) for account in self.owners}
        chats = {person["open_id"]: person["chat_id"] for person in self.box.state()["people"]}
        due = {account: dict(ours) for account, ours in held.items() if ours is not None}
        for order in orders:
            for asset, amount in (order.taken or {}).items():
                add(due[order.account.account_id], _label(asset), amount)
        for account, sums in due.items():
            theirs = _theirs(self.box.account(account))
            if held[account] != theirs:
                self.wrong_balances.append(f"{account}: {held[account]}, Feishu holds {theirs}")
            also = ["oc_sandbox_hr"] if account == LIN_ACCOUNT else []
            for chat in [chats[self.owners[account]], *also]:
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
            "killed elsewhere": self.elsewhere,
        }

    def zeros(self) -> dict[str, int]:
        return {
            "acknowledged events lost": len(self.lost),
            "wrong deltas": len(self.wrong_deltas),
            "wrong balances": len(self.wrong_balances),
            "cards seen twice": len(self.seen_twice),
            "withdrawals wrong": len(self.wrong_money),
        }

    def found(self) -> list[str]:
        """All that is wrong, a sentence each."""
        lost = [f"{event_id}: acknowledged and lost" for event_id in self.lost]
        return lost + self.wrong_deltas + self.wrong_balances + self.seen_twice + self.wrong_money

    def _held(self, connection: sa.Connection, account: str) -> Sums | None:
        """None for an account that was never heard of."""
        key = AccountKey(tenant_key="sandbox-tenant", app_id=self.box.app_id, account_id=account)
        history = ledger.history(connection, key)
        if not history:
            return None
        newest, _ = history[-1]
        return {_label(asset): amount for asset, amount in newest.amounts.items()}


def _label(asset: Asset) -> str:
    return POINTS if asset.kind is Kind.POINTS else CASH


def _theirs(account: dict[str, Any]) -> Sums:
    return without_zeros({CASH: money.cash(account["cash"]), POINTS: Decimal(account["points"])})
