"""Money on its way from a click to paid: settings, when it has come to rest, and what is wrong with it then."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from notifier.sandbox.testing import FeishuBox
from notifier.store import card_updates, payouts, withdrawals
from notifier.store.engine.database import Database
from support.cards import is_about_a_balance
from support.running import texts

WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
PATCH = "PATCH /open-apis/im/v1/messages/*"
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
payouts:
  url: {url}/payroll/payouts
  listen: 127.0.0.1:{port}
  secret: sandbox-payout-secret
"""

NO_LIMIT = 1_000_000
_ORDER_ID = re.compile(r"rn-[0-9a-f]{32}")


def is_settled(database: Database) -> bool:
    """No order open, no payout waiting, no card behind."""
    with database.read() as connection:
        waiting = withdrawals.list_withdrawals(connection, states=("requested",), limit=1)
        unpaid = payouts.list_payouts(connection, states=("pending",), limit=1)
        return not waiting and not unpaid and card_updates.count_pending(connection) == 0


def pay_withdrawn_orders(box: FeishuBox) -> None:
    for payout in box.payouts():
        if payout["report_status"] != 200:
            answer = box.report_payout(payout["order_id"], "paid", payout["order_id"])
            assert 200 == answer["http_status"], answer


def problems(box: FeishuBox, database: Database) -> list[str]:
    """A sentence for each withdrawal that is not once in Feishu's ledger, handed over once, paid, and told once; for
    when all are at rest and paid.
    """
    with database.read() as connection:
        ours = {
            each.order_id
            for each in withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=NO_LIMIT)
        }
        paid = {each.order_id for each in payouts.list_payouts(connection, states=("paid",), limit=NO_LIMIT)}
    theirs = {each["order_id"]: each for each in box.withdrawals() if each["cash"] or each["points"]}
    handed = Counter(each["order_id"] for each in box.payouts())
    bodies = {each["order_id"]: each["body"]["amounts"] for each in box.payouts()}
    found = [f"{order_id}: ours and Feishu's ledger differ" for order_id in ours ^ set(theirs)]
    found += [
        f"{order_id}: handed over {handed[order_id]} times" for order_id in ours if handed[order_id] != 1
    ]
    found += [f"{order_id}: handed over, not withdrawn" for order_id in set(handed) - ours]
    found += [f"{order_id}: not shown as paid to us" for order_id in ours - paid]
    found += [
        f"{order_id}: handed over another amount than was taken"
        for order_id in ours & set(theirs) & set(bodies)
        if cash(theirs[order_id]["cash"]) != cash(bodies[order_id])
    ]
    about = _messages_about_orders(box)
    return found + [
        problem for order_id in ours for problem in _notification_problems(order_id, about[order_id])
    ]


def _messages_about_orders(box: FeishuBox) -> dict[str, list[tuple[dict[str, Any], str]]]:
    """By order id, each message that names it, with all that it says."""
    about: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for message in box.all_messages():
        said = "\n".join(texts(message["content"]))
        for order_id in set(_ORDER_ID.findall(said)):
            about[order_id].append((message, said))
    return about


def _notification_problems(order_id: str, about: list[tuple[dict[str, Any], str]]) -> list[str]:
    """Besides the cards that offered it: to the referrer the receipt and `paid`, or both in one; nobody else."""
    told = [message["chat_id"] for message, _ in about if not is_about_a_balance(message)]
    found = [] if 1 <= len(told) <= 2 and len(set(told)) == 1 else [f"{order_id}: told {len(told)} times"]
    if not all("已付款" in said for _, said in about):
        found.append(f"{order_id}: a card does not show that it is paid")
    return found


def cash(entries: Iterable[dict[str, Any]]) -> Decimal:
    return sum(
        (Decimal(each["amount"]) for each in entries if each.get("kind", "cash") == "cash"), Decimal(0)
    )
