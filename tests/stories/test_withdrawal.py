"""Withdrawals as people make them: the real program, clicks over a real socket, and Feishu's own ledger as judge."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.sandbox.testing import FeishuBox
from notifier.store import audit, card_updates, withdrawals
from support.cards import (
    balance_card,
    find_button_ref,
    is_about_a_balance,
    is_superseded,
    newest_card,
    press_button,
    receipts,
)
from support.running import RunningNotifier, running_notifier, texts
from support.waiting import wait_until

LIN, ZHOU, CHEN = "ou_sandbox_lin", "ou_sandbox_zhou", "ou_sandbox_chen"
LIN_ACCOUNT = "7000000000000000001"
HR = "oc_sandbox_hr"
WITHDRAW = "POST /open-apis/hire/v1/referral_account/*/withdraw"
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: everybody
    to: [referrer, hr]
"""


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    with running_notifier(feishu_box, tmp_path, more=SETTINGS, timeout_seconds=2) as running:
        config = running.config.read_text(encoding="utf-8")
        assert "operators" in config
        yield running


def reward(notifier: RunningNotifier, cash: str = "+500.00") -> None:
    notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": cash})
    notifier.wait_until_settled()


def shows(box: FeishuBox, chat: str, words: str) -> bool:
    """Whether the newest card there says so."""
    return any(words in text for text in texts(newest_card(box, chat)["content"]))


def balance(box: FeishuBox) -> tuple[int, str]:
    account = box.account(LIN_ACCOUNT)
    cash = {entry["currency"]: entry["amount"] for entry in account["cash"]}
    return account["points"], cash.get("CNY", "0.00")


def orders(notifier: RunningNotifier) -> list[str]:
    with notifier.open_database() as database, database.read() as connection:
        return [each.state.value for each in withdrawals.list_withdrawals(connection, states=(), limit=100)]


def the_order_ids(notifier: RunningNotifier) -> list[str]:
    """Newest first."""
    with notifier.open_database() as database, database.read() as connection:
        return [each.order_id for each in withdrawals.list_withdrawals(connection, states=(), limit=100)]


def wait_for_cards(notifier: RunningNotifier) -> None:
    def at_rest() -> bool:
        with database.read() as connection:
            unfinished = withdrawals.list_withdrawals(connection, states=("requested",), limit=1)
            return not unfinished and card_updates.count_pending(connection) == 0

    with notifier.open_database() as database:
        wait_until(at_rest, "every card shows the end", seconds=60)


def test_the_referrer_withdraws_and_every_card_shows_it(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)

    clicked = press_button(box, LIN, LIN)

    assert 0 == clicked["code"]
    assert clicked["card_updated"]
    assert "提现处理中" in clicked["toast"]["content"]
    wait_for_cards(notifier)
    assert (0, "0.00") == balance(box)
    assert ["withdrawn"] == orders(notifier)
    for chat in (LIN, HR):
        assert shows(box, chat, "已提现")
        assert shows(box, chat, "¥850.50")
        assert find_button_ref(balance_card(box, chat)) is None
    assert is_superseded(balance_card(box, LIN)), "the receipt below it shows the withdrawal"


def test_our_own_withdrawal_is_no_loss_to_tell(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    told = len(box.messages(LIN)), len(box.messages(HR))
    press_button(box, LIN, LIN)
    wait_for_cards(notifier)
    notifier.wait_until_settled()

    assert (told[0] + 1, told[1]) == (len(box.messages(LIN)), len(box.messages(HR)))
    assert 1 == len(receipts(box, LIN))

    reward(notifier, "+70.00")

    assert told[0] + 2 == len(box.messages(LIN))
    assert shows(box, LIN, "+¥70.00")


def test_an_operator_withdraws_in_the_group(notifier: RunningNotifier) -> None:
    reward(notifier)

    assert 0 == press_button(notifier.box, HR, ZHOU)["code"]

    wait_for_cards(notifier)
    notifier.wait_until_settled()
    assert (0, "0.00") == balance(notifier.box)
    assert shows(notifier.box, LIN, "已提现")
    (receipt,) = receipts(notifier.box, LIN)
    assert any("¥850.50" in text for text in texts(receipt["content"]))
    assert ZHOU in json.dumps(receipt["content"]), "who withdrew it is said"
    assert [] == receipts(notifier.box, HR)


def test_a_stranger_is_refused_and_the_card_stays(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    before = balance_card(box, HR)

    clicked = press_button(box, HR, CHEN)

    assert "error" == clicked["toast"]["type"]
    assert not clicked["card_updated"]
    assert before == balance_card(box, HR)
    assert [] == orders(notifier)
    with notifier.open_database() as database, database.read() as connection:
        entry = audit.list_entries(connection, limit=1)[0]
    assert ("denied", CHEN, "not_yours") == (entry.action, entry.actor, entry.outcome)


@pytest.mark.parametrize("value", [{"ref": "0" * 32}, {}, {"op": "withdraw"}, {"ref": 7}, "ref", None])
def test_a_tampered_button_does_nothing(notifier: RunningNotifier, value: object) -> None:
    box = notifier.box
    reward(notifier)

    clicked = box.click(balance_card(box, LIN)["message_id"], LIN, value)

    assert 0 == clicked["code"]
    assert "error" == clicked["toast"]["type"]
    assert [] == orders(notifier)


def test_a_button_on_another_message_is_a_forwarded_card(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    ref = find_button_ref(balance_card(box, LIN))

    clicked = box.click(balance_card(box, HR)["message_id"], LIN, {"ref": ref})

    assert "error" == clicked["toast"]["type"]
    assert [] == orders(notifier)


def test_twenty_clicks_at_once_on_two_cards_are_one_withdrawal(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    answers: list[dict[str, Any]] = []
    cards = {
        chat: (balance_card(box, chat)["message_id"], find_button_ref(balance_card(box, chat)))
        for chat in (LIN, HR)
    }

    def click(chat: str, who: str) -> None:
        message_id, ref = cards[chat]
        answers.append(box.click(message_id, who, {"ref": ref}))

    people = [(LIN, LIN), (HR, ZHOU)] * 10
    threads = [threading.Thread(target=click, args=each) for each in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert {0} == {each["code"] for each in answers}
    assert 20 == len(answers)
    wait_for_cards(notifier)
    assert ["withdrawn"] == orders(notifier)
    assert 1 == len([each for each in box.requests("/open-apis/hire") if each["path"].endswith("/withdraw")])


@pytest.mark.parametrize("action", ["hang_after", "reset_after", "truncate"])
def test_an_answer_that_is_lost_after_the_money_moved(notifier: RunningNotifier, action: str) -> None:
    box = notifier.box
    reward(notifier)
    box.add_call_fault({"match": WITHDRAW, "action": action, "times": 2, "seconds": 5})

    press_button(box, LIN, LIN)

    wait_for_cards(notifier)
    assert ["withdrawn"] == orders(notifier)
    assert (0, "0.00") == balance(box)
    assert shows(box, LIN, "¥850.50")


def test_a_server_in_trouble_is_asked_again_with_the_same_order(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    box.add_call_fault(
        {"match": WITHDRAW, "action": "http", "http_status": 502, "body": "<html>", "times": 2}
    )
    box.expire_tokens()

    press_button(box, LIN, LIN)

    wait_for_cards(notifier)
    assert ["withdrawn"] == orders(notifier)


def test_a_deactivated_account_is_refused_and_the_button_comes_back(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    box.set_account(LIN_ACCOUNT, status=2)

    press_button(box, LIN, LIN)

    wait_for_cards(notifier)
    assert ["refused"] == orders(notifier)
    assert shows(box, LIN, "停用")
    assert find_button_ref(balance_card(box, LIN)) is not None
    assert "停用" in press_button(box, LIN, LIN)["toast"]["content"]
    assert ["refused"] == orders(notifier)


def test_a_card_from_before_the_last_withdrawal_points_to_the_newer_one(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    old = balance_card(box, LIN)
    old_ref = find_button_ref(old)
    press_button(box, LIN, LIN)
    wait_for_cards(notifier)
    reward(notifier, "+70.00")

    clicked = box.click(old["message_id"], LIN, {"ref": old_ref})

    assert clicked["card_updated"]
    assert ["withdrawn"] == orders(notifier)
    assert is_superseded(next(each for each in box.messages(LIN) if each["message_id"] == old["message_id"]))
    assert "¥70.00" in clicked["toast"]["content"]
    press_button(box, LIN, LIN)
    wait_for_cards(notifier)
    assert ["withdrawn", "withdrawn"] == orders(notifier)


def test_of_two_cards_in_a_chat_the_newer_one_offers_the_balance(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    older = {chat: balance_card(box, chat)["message_id"] for chat in (LIN, HR)}
    reward(notifier, "+70.00")
    wait_for_cards(notifier)

    for chat, message_id in older.items():
        assert is_superseded(next(each for each in box.messages(chat) if each["message_id"] == message_id))
        assert shows(box, chat, "¥920.50")
        assert find_button_ref(balance_card(box, chat)) is not None


def test_a_balance_that_feishu_has_changed_unseen_is_not_withdrawn_but_offered(
    notifier: RunningNotifier,
) -> None:
    """The event is still on its way when the card is pressed. The dialog said ¥850.50, Feishu holds ¥1,350.50."""
    box = notifier.box
    reward(notifier)
    box.hold()
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})

    press_button(box, LIN, LIN)

    wait_for_cards(notifier)
    assert ["amount_changed"] == orders(notifier)
    assert [] == box.withdrawals()
    box.wait_for(lambda: shows(box, LIN, "¥1,350.50"), "the card offers what Feishu holds", 30)
    box.release()
    notifier.wait_until_settled()
    wait_for_cards(notifier)
    press_button(box, LIN, LIN)
    wait_for_cards(notifier)
    assert ["withdrawn", "amount_changed"] == orders(notifier)
    shown = notifier.command("withdrawals", "show", the_order_ids(notifier)[-1]).stdout
    assert "agreed        850.50 CNY, 120 points" in shown
    assert "amount_changed: agreed to 850.50 CNY, 120 points, but Feishu holds 1350.50 CNY" in shown


def test_a_correction_takes_the_button_away(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    pressed = find_button_ref(balance_card(box, LIN))
    older = balance_card(box, LIN)["message_id"]
    box.change_balance(LIN_ACCOUNT, points=-120, cash={"CNY": "-999999.00"})
    notifier.wait_until_settled()
    wait_for_cards(notifier)

    assert find_button_ref(next(each for each in box.messages(LIN) if each["message_id"] == older)) is None
    assert "没有可提现的余额" in box.click(older, LIN, {"ref": pressed})["toast"]["content"]
    assert [] == orders(notifier)


def test_a_click_before_feishu_has_confirmed_the_card_is_asked_to_wait(notifier: RunningNotifier) -> None:
    """The card is in the chat, but the answer to its sending is lost, so its message id is not known."""
    box = notifier.box
    lost = box.add_call_fault(
        {"match": "POST /open-apis/im/v1/messages", "receive_id": LIN, "action": "hang_after", "seconds": 60}
    )
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    box.wait_for(
        lambda: box.count_call_fault_hits(lost) == 1 and bool(box.messages(LIN)), "the card is there", 30
    )

    early = press_button(box, LIN, LIN)
    box.clear_call_faults()

    assert "正在确认这张卡片" in early["toast"]["content"]
    assert not early["card_updated"]
    assert [] == orders(notifier)
    notifier.wait_until_settled()
    assert "提现处理中" in press_button(box, LIN, LIN)["toast"]["content"]
    wait_for_cards(notifier)
    assert 1 == len([each for each in box.messages(LIN) if is_about_a_balance(each)])


@pytest.mark.parametrize("fault", ["hang", "hang_after"])
def test_a_kill_in_the_middle_of_the_call(notifier: RunningNotifier, fault: str) -> None:
    """hang: the call never got through. hang_after: the money moved, and nobody heard the answer."""
    box = notifier.box
    reward(notifier)
    waiting = box.add_call_fault({"match": WITHDRAW, "action": fault, "times": 1, "seconds": 30})
    press_button(box, LIN, LIN)
    box.wait_for(lambda: box.count_call_fault_hits(waiting) == 1, "the call is under way")

    notifier.kill()
    notifier.start()

    wait_for_cards(notifier)
    assert ["withdrawn"] == orders(notifier)
    assert (0, "0.00") == balance(box)
    assert shows(box, LIN, "¥850.50")
    assert shows(box, HR, "已提现")


def test_the_books_agree(notifier: RunningNotifier) -> None:
    """Ours and Feishu's: the same order ids, each once, with the same amounts."""
    box = notifier.box
    for _ in range(3):
        reward(notifier, "+10.00")
        press_button(box, LIN, LIN)
        wait_for_cards(notifier)

    theirs = {each["order_id"]: each["cash"] for each in box.withdrawals()}
    with notifier.open_database() as database, database.read() as connection:
        ours = withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=100)
        log = connection.execute(sa.text("SELECT count(*) FROM audit WHERE action = 'order'")).scalar()
    assert sorted(theirs) == sorted(each.order_id for each in ours)
    assert len(ours) == 3 == log
    assert "sandbox-secret" not in json.dumps([str(each) for each in ours])


def test_what_was_just_withdrawn_is_not_offered_again(notifier: RunningNotifier) -> None:
    """Until the balance event comes, the ledger still shows the money."""
    box = notifier.box
    reward(notifier)
    old, ref = balance_card(box, LIN), find_button_ref(balance_card(box, LIN))
    box.hold()
    press_button(box, LIN, LIN)
    wait_for_cards(notifier)

    clicked = box.click(old["message_id"], LIN, {"ref": ref})

    assert 0 == clicked["code"]
    assert find_button_ref(balance_card(box, LIN)) is None
    assert shows(box, LIN, "已提现")
    assert ["withdrawn"] == orders(notifier)


@pytest.mark.parametrize("code", [230006, 230099, 11310])
def test_a_card_that_feishu_will_not_change_for_now_is_changed_later(
    notifier: RunningNotifier, code: int
) -> None:
    box = notifier.box
    reward(notifier)
    box.add_call_fault(
        {"match": "PATCH /open-apis/im/v1/messages/*", "action": "code", "code": code, "times": 3}
    )

    press_button(box, LIN, LIN)

    wait_for_cards(notifier)
    assert shows(box, LIN, "已提现")
    assert shows(box, HR, "已提现")


def test_a_code_that_nobody_explained_is_no_proof_that_nothing_moved(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier)
    box.add_call_fault({"match": WITHDRAW, "action": "code", "code": 1009999, "times": 1})

    press_button(box, LIN, LIN)

    wait_for_cards(notifier)
    assert ["withdrawn"] == orders(notifier)
