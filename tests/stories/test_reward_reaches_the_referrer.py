"""The main job: a balance change becomes a card in the referrer's chat."""

from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from notifier.store import ledger
from support.running import RunningNotifier, running_notifier, texts
from support.waiting import wait_until

LIN = "ou_sandbox_lin"
LIN_ACCOUNT = "7000000000000000001"
SEED = Path(__file__).parents[1] / "feishu" / "fixtures" / "assets_update.json"


def cards(box: FeishuBox, chat: str) -> list[list[str]]:
    return [texts(message["content"]) for message in box.messages(chat)]


def wait_for_cards(box: FeishuBox, chat: str, number: int) -> list[list[str]]:
    box.wait_for(lambda: len(box.messages(chat)) >= number, f"{number} cards in {chat}", timeout=20)
    return cards(box, chat)


def test_the_event_of_feishus_own_page_becomes_a_card(notifier: RunningNotifier) -> None:
    box = notifier.box

    box.push_payload(SEED.read_text(encoding="utf-8"))

    [card] = wait_for_cards(box, LIN, 1)
    assert ["内推奖励余额", "现金（CNY）", "余额 ¥350.50", "积分", "余额 120"] == card[:5]


def test_first_sight_shows_the_balance_and_the_next_change_its_delta(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=10)
    first = wait_for_cards(box, LIN, 1)[0]

    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})

    second = wait_for_cards(box, LIN, 2)[1]
    assert "内推奖励余额" == first[0]
    assert not any(text.startswith("+") for text in first)
    assert ["内推奖励到账", "现金（CNY）", "+¥500.00", "余额 ¥850.50"] == second[:4]


def test_a_decrease_says_so(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=1)
    wait_for_cards(box, LIN, 1)

    box.change_balance(LIN_ACCOUNT, cash={"CNY": "-50.50"})

    card = wait_for_cards(box, LIN, 2)[1]
    assert ["内推奖励减少", "现金（CNY）", "-¥50.50", "余额 ¥300.00"] == card[:4]


@pytest.mark.parametrize("send", ["twice", "copy"])
def test_a_duplicate_tells_nobody(notifier: RunningNotifier, send: str) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=1, send=send)
    wait_for_cards(box, LIN, 1)
    box.change_balance(LIN_ACCOUNT, points=1, send=send)
    wait_for_cards(box, LIN, 2)

    notifier.wait_until_settled()

    assert 2 == len(box.messages(LIN))


@pytest.mark.parametrize("form", ["iso", "number", "numeric_string"])
def test_every_form_of_a_currency_is_the_same_currency(notifier: RunningNotifier, form: str) -> None:
    notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": "+1.00"}, currency_form=form)

    [card] = wait_for_cards(notifier.box, LIN, 1)
    assert ["现金（CNY）", "余额 ¥351.50"] == card[1:3]


def test_events_in_the_wrong_order_never_announce_a_false_drop(notifier: RunningNotifier) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, points=1)
    wait_for_cards(box, LIN, 1)

    box.change_balances(
        [(LIN_ACCOUNT, 0, {"CNY": "+100.00"}), (LIN_ACCOUNT, 0, {"CNY": "+200.00"})], send="reversed"
    )
    notifier.wait_until_settled()

    told = [text for card in cards(box, LIN)[1:] for text in card]
    assert {"+¥300.00", "余额 ¥650.50"} <= set(told)
    assert not any(text.startswith("-") for text in told)
    with notifier.open_database() as database, database.read() as connection:
        assert [] == ledger.find_imbalances(connection)


def test_two_accounts_are_looked_up_once_while_the_answer_is_fresh(notifier: RunningNotifier) -> None:
    box = notifier.box
    wait_until(lambda: "trigger=connected" in notifier.log, "the reconciliation after the connect has ended")
    box.change_balance(LIN_ACCOUNT, points=1)
    wait_for_cards(box, LIN, 1)

    box.change_balance(LIN_ACCOUNT, points=1)

    wait_for_cards(box, LIN, 2)
    assert 1 == len(box.requests("/open-apis/hire"))


ROUTES = """\
routes:
  - name: cash to both
    when: {kind: cash, least_amount: 100}
    to: [referrer, hr]
  - name: the rest
    to: [referrer]
"""


def test_routes_decide_who_is_told(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with running_notifier(feishu_box, tmp_path, more=ROUTES):
        feishu_box.change_balance(LIN_ACCOUNT, points=1)
        wait_for_cards(feishu_box, LIN, 1)
        wait_for_cards(feishu_box, "oc_sandbox_hr", 1)

        feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": "+99.99"})
        wait_for_cards(feishu_box, LIN, 2)
        feishu_box.change_balance(LIN_ACCOUNT, cash={"CNY": "+100.00"})
        wait_for_cards(feishu_box, LIN, 3)
        group = wait_for_cards(feishu_box, "oc_sandbox_hr", 2)

    assert 2 == len(group)
    assert ["内推奖励到账", "林小满（示例）"] == group[1][:2]
    assert {"+¥100.00", "余额 ¥550.49"} <= set(group[1])
