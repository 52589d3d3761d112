"""Withdrawals at the corners: what changes, breaks or arrives between a click and the last card."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.templates import shipped_templates
from notifier.domain.withdrawal import Withdrawal, WithdrawalState
from notifier.sandbox.testing import FeishuBox
from notifier.store import audit, card_updates, withdrawals
from notifier.store.audit import AuditRow
from support.cards import balance_card, contains_text, find_button_ref, is_superseded, press_button
from support.running import RunningNotifier, running_notifier
from support.waiting import wait_until

LIN, ZHOU, CHEN = "ou_sandbox_lin", "ou_sandbox_zhou", "ou_sandbox_chen"
LIN_ACCOUNT = "7000000000000000001"
HR = "oc_sandbox_hr"
READ = "GET /open-apis/hire/v1/referral_account/get_account_assets"
WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
PATCH = "PATCH /open-apis/im/v1/messages"
SEND = "POST /open-apis/im/v1/messages"
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: everybody
    to: [referrer, hr]
"""
AFTER_REWARD = (120, "850.50")
EMPTY = (0, "0.00")


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    with running_notifier(feishu_box, tmp_path, more=SETTINGS, timeout_seconds=10) as running:
        yield running


@pytest.fixture
def impatient(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    """Takes a second without an answer for none at all."""
    with running_notifier(feishu_box, tmp_path, more=SETTINGS, timeout_seconds=1) as running:
        yield running


def reward(notifier: RunningNotifier, cash: str = "+500.00") -> None:
    notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": cash})
    notifier.wait_until_settled()


def balance(box: FeishuBox) -> tuple[int, str]:
    account = box.account(LIN_ACCOUNT)
    cash = {entry["currency"]: entry["amount"] for entry in account["cash"]}
    return account["points"], cash.get("CNY", "0.00")


def give_away(box: FeishuBox, open_id: str) -> None:
    """The account belongs to somebody else from now on."""
    box._call(lambda sandbox: setattr(sandbox.tenant.accounts[LIN_ACCOUNT], "open_id", open_id))


def orders(notifier: RunningNotifier) -> list[Withdrawal]:
    with notifier.open_database() as database, database.read() as connection:
        return withdrawals.list_withdrawals(connection, states=(), limit=100)


def the_order(notifier: RunningNotifier) -> Withdrawal:
    (order,) = orders(notifier)
    return order


def trail(notifier: RunningNotifier, order_id: str) -> list[AuditRow]:
    """Newest first."""
    with notifier.open_database() as database, database.read() as connection:
        return audit.list_entries(connection, order_id=order_id, limit=100)


def wait_for_cards(notifier: RunningNotifier) -> None:
    def at_rest() -> bool:
        with database.read() as connection:
            unfinished = withdrawals.list_withdrawals(connection, states=("requested",), limit=1)
            return not unfinished and card_updates.count_pending(connection) == 0

    with notifier.open_database() as database:
        wait_until(at_rest, "every order is over and every card shows it", seconds=60)


def wait_for_hits(box: FeishuBox, fault: str, times: int = 1) -> None:
    box.wait_for(lambda: box.count_call_fault_hits(fault) >= times, f"{times} calls met {fault}", timeout=30)


def account_calls(box: FeishuBox) -> list[dict[str, Any]]:
    return box.requests("/open-apis/hire/v1/referral_account")


def is_withdrawal(call: dict[str, Any]) -> bool:
    return call["path"].endswith("/withdraw")


def card_now(box: FeishuBox, chat: str, message_id: str) -> dict[str, Any]:
    return next(each for each in box.messages(chat) if each["message_id"] == message_id)


def keep_only(box: FeishuBox, fault: str) -> None:
    """Takes back every other fault; what has met one already goes on."""

    def do(sandbox: Any) -> None:
        sandbox.call_faults.rules = [rule for rule in sandbox.call_faults.rules if rule.fault_id == fault]

    box._call(do)


def test_the_owner_changes_between_the_click_and_the_call(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    own, hr = (balance_card(box, chat) for chat in (LIN, HR))
    reading = box.add_call_fault({"match": READ, "action": "http", "http_status": 500})
    assert 0 == press_button(box, LIN, LIN)["code"]
    wait_for_hits(box, reading)
    assert WithdrawalState.REQUESTED is the_order(notifier).state

    give_away(box, CHEN)
    box.clear_call_faults()

    wait_for_cards(notifier)
    order = the_order(notifier)
    assert (WithdrawalState.REFUSED, 0, None) == (order.state, order.attempts, order.withdrawn)
    assert not any(is_withdrawal(each) for each in account_calls(box))
    assert [] == box.withdrawals()
    assert AFTER_REWARD == balance(box)
    group_card = card_now(box, HR, hr["message_id"])
    assert contains_text(group_card, "提现失败")
    assert find_button_ref(group_card) is not None, "the button is back"
    own_card = card_now(box, LIN, own["message_id"])
    assert contains_text(own_card, "你已不是该内推账户的内推人")
    assert not contains_text(own_card, order.order_id)
    assert find_button_ref(own_card) is None
    last, *_, first = trail(notifier, order.order_id)
    assert ("answer", audit.FEISHU) == (last.action, last.actor)
    assert "refused: the account belongs to another referrer" == last.outcome
    assert ("order", LIN, "requested as referrer: 850.50 CNY, 120 points") == (
        first.action,
        first.actor,
        first.outcome,
    )

    again = box.click(own["message_id"], LIN, {"ref": find_button_ref(own)})
    assert "error" == again["toast"]["type"], "the former referrer is a stranger now"
    assert 1 == len(orders(notifier))


def test_an_operator_may_still_withdraw_when_the_owner_changes(notifier: RunningNotifier) -> None:
    """An operator acts for the group, whoever owns the account."""
    box = notifier.box
    reward(notifier)
    reading = box.add_call_fault({"match": READ, "action": "http", "http_status": 500})
    press_button(box, HR, ZHOU)
    wait_for_hits(box, reading)

    give_away(box, CHEN)
    box.clear_call_faults()

    wait_for_cards(notifier)
    assert WithdrawalState.WITHDRAWN is the_order(notifier).state
    assert 1 == len(box.withdrawals())
    former = balance_card(box, LIN)
    assert contains_text(former, "你已不是该内推账户的内推人")
    assert not contains_text(former, the_order(notifier).order_id), "what became of it is not theirs to read"


def test_a_change_of_a_card_that_was_on_its_way_is_not_its_last(notifier: RunningNotifier) -> None:
    """It left while the withdrawal was under way, and arrives after a click was answered with its end."""
    box = notifier.box
    reward(notifier)
    card = balance_card(box, HR)
    message_id, ref = card["message_id"], find_button_ref(card)
    box.add_call_fault({"match": READ, "action": "http", "http_status": 500})
    late = box.add_call_fault({"match": f"{PATCH}/{message_id}", "action": "delay", "seconds": 5, "times": 1})
    press_button(box, LIN, LIN)
    wait_for_hits(box, late)
    assert WithdrawalState.REQUESTED is the_order(notifier).state, "so it says that one is under way"
    box.clear_call_faults()
    wait_until(lambda: the_order(notifier).state is WithdrawalState.WITHDRAWN, "the order is over")

    clicked = box.click(message_id, ZHOU, {"ref": ref})

    assert clicked["card_updated"]
    assert contains_text(card_now(box, HR, message_id), "已提现")
    wait_for_cards(notifier)
    assert contains_text(card_now(box, HR, message_id), "已提现")
    assert not contains_text(card_now(box, HR, message_id), "提现处理中")
    assert 1 == len(box.withdrawals())


def test_a_click_that_draws_a_card_anew_outlives_a_change_on_its_way(notifier: RunningNotifier) -> None:
    """Nothing but the click itself asks for another change: the order was over before."""
    box = notifier.box
    reward(notifier)
    card = balance_card(box, HR)
    message_id, ref = card["message_id"], find_button_ref(card)
    box.add_call_fault({"match": f"{PATCH}/{message_id}", "action": "code", "code": 11310})
    press_button(box, LIN, LIN)
    wait_until(lambda: the_order(notifier).state is WithdrawalState.WITHDRAWN, "the order is over")
    box.add_call_fault({"match": SEND, "receive_id": HR, "action": "code", "code": 230002})
    reward(notifier, "+70.00")  # without a newer card in the group
    late = box.add_call_fault({"match": f"{PATCH}/{message_id}", "action": "delay", "seconds": 5, "times": 1})
    keep_only(box, late)
    wait_for_hits(box, late)

    clicked = box.click(message_id, ZHOU, {"ref": ref})

    assert clicked["card_updated"]
    anew = find_button_ref(card_now(box, HR, message_id))
    assert anew not in {None, ref}
    wait_for_cards(notifier)
    now = card_now(box, HR, message_id)
    assert contains_text(now, "¥70.00")
    assert anew == find_button_ref(now)


def test_no_withdrawal_before_the_balance_could_be_read(impatient: RunningNotifier) -> None:
    notifier, box = impatient, impatient.box
    reward(notifier)
    before = len(account_calls(box))
    faults = [
        box.add_call_fault({"match": READ, **fault})
        for fault in (
            {"action": "http", "http_status": 500, "body": "<html>", "times": 2},
            {"action": "hang", "seconds": 30, "times": 1},
            {"action": "code", "http_status": 500, "code": 1009999, "times": 1},
        )
    ]

    press_button(box, LIN, LIN)

    wait_for_hits(box, faults[0])
    order_id = the_order(notifier).order_id
    wait_for_hits(box, faults[-1])
    assert not any(is_withdrawal(each) for each in account_calls(box))
    wait_for_cards(notifier)
    order = the_order(notifier)
    assert (WithdrawalState.WITHDRAWN, order_id, 1) == (order.state, order.order_id, order.attempts)
    (booked,) = box.withdrawals()
    assert (order_id, 1) == (booked["order_id"], booked["request_count"])
    assert EMPTY == balance(box)
    calls = account_calls(box)[before:]
    (call,) = (number for number, each in enumerate(calls) if is_withdrawal(each))
    assert [0] == [each["code"] for each in calls[:call] if each["code"] == 0], "read once before"
    failed = [each for each in trail(notifier, order_id) if each.outcome.startswith("not known yet: ")]
    assert 4 == len(failed)
    pauses = [int(pause) for pause in re.findall(r"withdrawal\.postponed.* again_in_ms=(\d+)", notifier.log)]
    assert 4 == len(pauses)
    assert all(pause >= 500 for pause in pauses), pauses


BREAKS = (
    '{% if card.withdrawal and card.withdrawal.state == "processing" %}{{ card.no_such_thing }}{% endif %}'
)


@pytest.fixture
def badly_dressed(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    """With templates of its own, full and compact, that break on a withdrawal under way."""
    own = tmp_path / "own"
    own.mkdir()
    for name in ("balance_change.json.j2", "balance_change_compact.json.j2"):
        shipped = (shipped_templates() / name).read_text(encoding="utf-8")
        (own / name).write_text(shipped + BREAKS, encoding="utf-8")
    more = SETTINGS + "cards: {template_dir: own}\n"
    with running_notifier(feishu_box, tmp_path, more=more, timeout_seconds=10) as running:
        yield running


def test_a_card_that_cannot_be_drawn_costs_neither_toast_nor_money(badly_dressed: RunningNotifier) -> None:
    notifier, box = badly_dressed, badly_dressed.box
    reward(notifier)

    clicked = press_button(box, LIN, LIN)

    assert (0, "") == (clicked["code"], clicked["msg"])
    assert "提现处理中" in clicked["toast"]["content"]
    assert not clicked["card_updated"]
    wait_until(lambda: the_order(notifier).state is WithdrawalState.WITHDRAWN, "the order is over")
    assert "card.broken" in notifier.log
    (booked,) = box.withdrawals()
    assert (the_order(notifier).order_id, 1) == (booked["order_id"], booked["request_count"])
    assert EMPTY == balance(box)


def test_a_card_that_could_not_be_drawn_shows_the_end(badly_dressed: RunningNotifier) -> None:
    """Its turn comes while the withdrawal is under way; the end can be drawn again."""
    notifier, box = badly_dressed, badly_dressed.box
    reward(notifier)
    cards = {chat: balance_card(box, chat)["message_id"] for chat in (LIN, HR)}
    box.add_call_fault({"match": READ, "action": "http", "http_status": 500})
    press_button(box, LIN, LIN)
    broken = 'card.broken.*variant="?compact'
    wait_until(lambda: len(re.findall(broken, notifier.log)) >= 3, "the answer and both changes failed")

    box.clear_call_faults()

    wait_for_cards(notifier)
    assert contains_text(card_now(box, HR, cards[HR]), "已提现")
    assert is_superseded(card_now(box, LIN, cards[LIN])), "by the receipt"
    for chat, message_id in cards.items():
        assert find_button_ref(card_now(box, chat, message_id)) is None


@pytest.mark.parametrize(
    "action,asked",
    [
        pytest.param("delay", 1, id="the call was on its way: it is refused for its token"),
        pytest.param("hang_after", 2, id="the money moved, and the repeat has an old token"),
    ],
)
def test_the_token_expires_in_the_middle_of_the_call(
    feishu_box: FeishuBox, tmp_path: Path, action: str, asked: int
) -> None:
    box = feishu_box
    with running_notifier(box, tmp_path, more=SETTINGS, timeout_seconds=4) as notifier:
        reward(notifier)
        fault = box.add_call_fault({"match": WITHDRAW, "action": action, "seconds": 2, "times": 1})
        press_button(box, LIN, LIN)
        wait_for_hits(box, fault)

        box.expire_tokens()

        wait_for_cards(notifier)
        order = the_order(notifier)
        (booked,) = box.withdrawals()
        assert WithdrawalState.WITHDRAWN is order.state
        assert (order.order_id, asked) == (booked["order_id"], booked["request_count"])
        assert EMPTY == balance(box)
        assert 99991663 in box.refusals(), "a call came with the old token"
