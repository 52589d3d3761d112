"""People ask the bot: the real program, messages over a real socket, and the chats of the stand-in as judge."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.clock import MINUTE_MS
from notifier.domain.answers.question import ANSWERS_PER_MINUTE
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support import postgres
from support.cards import contains_text, find_button_ref
from support.running import RunningNotifier, running_notifier, texts
from support.waiting import wait_until

LIN, ZHOU, CHEN = "ou_sandbox_lin", "ou_sandbox_zhou", "ou_sandbox_chen"
LIN_ACCOUNT = "7000000000000000001"
HR = "oc_sandbox_hr"
READ = "GET /open-apis/hire/v1/referral_account/get_account_assets"
SETTINGS = """\
withdrawals:
  offer_to: [referrer]
"""
UNAVAILABLE = "暂时无法查询"
NO_ACCOUNT, HELP, BALANCE = "还没有查到你的内推账户", "内推奖励助手", "内推奖励余额"
TOO_MANY, NOTE = "你的提问太频繁", "已私聊回复你。"
PEOPLE = 20
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def notifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNotifier]:
    """One for all: each test has people of its own."""
    folder = tmp_path_factory.mktemp("answers")
    with (
        FeishuBox(SandboxSettings(extra_accounts=PEOPLE)) as box,
        running_notifier(box, folder, more=SETTINGS, timeout_seconds=2) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
def _without_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "notifier" in request.fixturenames:
        request.getfixturevalue("notifier").box.clear_call_faults()


@pytest.fixture
def person() -> str:
    """Somebody with an account that no event named yet."""
    return f"ou_sandbox_extra_{next(_numbers):04}"


other_person = person


def account_of(notifier: RunningNotifier, open_id: str) -> str:
    [account] = [each["account_id"] for each in notifier.box.accounts() if each["open_id"] == open_id]
    return str(account)


def reward(notifier: RunningNotifier, open_id: str) -> str:
    """¥850.50 and 120 points for somebody. Returns the account."""
    account = account_of(notifier, open_id)
    notifier.box.change_balance(account, points=120, cash={"CNY": "+850.50"})
    notifier.wait_until_settled()
    return account


def from_bot(box: FeishuBox, chat: str) -> list[dict[str, Any]]:
    return [each for each in box.messages(chat) if each["sender"]["sender_type"] == "app"]


def ask(notifier: RunningNotifier, open_id: str, text: str = "余额", **options: Any) -> list[dict[str, Any]]:
    """The messages of the bot in the person's private chat that came after the question."""
    before = len(from_bot(notifier.box, open_id))
    notifier.box.write(open_id, text, **options)
    notifier.wait_until_settled()
    return from_bot(notifier.box, open_id)[before:]


def title(message: dict[str, Any]) -> str:
    return str(message["content"]["header"]["title"]["content"])


def message_event(box: FeishuBox) -> dict[str, Any]:
    """The newest event of a message."""
    [event] = [each for each in box.events() if each["event_type"] == "im.message.receive_v1"][-1:]
    return dict(json.loads(box.payload(event["event_id"])))


def push_again(notifier: RunningNotifier, document: dict[str, Any], event_id: str) -> None:
    document["header"]["event_id"] = event_id
    notifier.box.push_payload(json.dumps(document, ensure_ascii=False))
    notifier.wait_until_settled()


def test_a_person_asks_and_withdraws_what_the_card_offers(notifier: RunningNotifier, person: str) -> None:
    box = notifier.box
    reward(notifier, person)

    [card] = ask(notifier, person, "  提现！ ")

    assert "内推奖励提现" == title(card)
    assert contains_text(card, "余额 ¥850.50")
    shown = json.dumps(card["content"], ensure_ascii=False)
    assert "现金（CNY） ¥850.50、积分 120" in shown, "the confirmation names what is withdrawn"

    clicked = box.click(card["message_id"], person, {"ref": find_button_ref(card)})

    assert (0, True) == (clicked["code"], clicked["card_updated"])
    box.wait_for(lambda: len(box.withdrawals()) == 1, "it is withdrawn")
    [order] = box.withdrawals()
    assert [{"currency": "CNY", "amount": "850.50"}] == order["cash"]
    notifier.wait_until_settled()
    [empty] = ask(notifier, person, "withdraw")
    assert contains_text(empty, "目前没有可提现的余额")
    assert contains_text(empty, "等待付款的提现"), "the payout is not reported yet"
    assert find_button_ref(empty) is None
    [history] = ask(notifier, person, "记录")
    assert ["已提现，等待付款", "首次余额"] == [
        text for text in texts(history["content"]) if text in ("已提现，等待付款", "首次余额", "变动")
    ]


def test_the_balance_is_the_one_that_feishu_holds_now(notifier: RunningNotifier, person: str) -> None:
    """Its event is still on the way: the card shows the new balance and offers exactly it."""
    box = notifier.box
    account = reward(notifier, person)
    box.change_balance(account, cash={"CNY": "+100.00"}, send="hold")

    before = len(from_bot(box, person))
    box.write(person, "balance")
    box.wait_for(lambda: len(from_bot(box, person)) >= before + 2, "the change and the answer")

    change, answer = from_bot(box, person)[before:]
    assert contains_text(change, "+¥100.00")
    assert (BALANCE, True) == (title(answer), contains_text(answer, "余额 ¥950.50"))
    assert contains_text(answer, "查询时间")
    assert find_button_ref(answer) is not None
    assert contains_text(answer, "现金（CNY） ¥950.50"), "the offer"

    box.release()
    notifier.wait_until_settled()

    assert before + 2 == len(from_bot(box, person)), "the late event is no news"


def test_nothing_private_appears_in_a_group(notifier: RunningNotifier) -> None:
    box = notifier.box
    reward(notifier, LIN)
    before, said = len(from_bot(box, HR)), len(box.messages(HR))

    [card] = ask(notifier, LIN, "余额", chat_id=HR)

    assert contains_text(card, "¥1,201.00")
    [note] = from_bot(box, HR)[before:]
    assert "text" == note["msg_type"]
    assert note["content"]["text"].startswith(NOTE)
    assert "1,201" not in json.dumps(note)
    [asked] = [each for each in box.messages(HR)[said:] if each["sender"]["sender_type"] == "user"]
    assert asked["message_id"] == note["parent_id"]

    assert [] == ask(notifier, LIN, "余额", chat_id=HR, mention_bot=False), "not asked"


def test_the_reply_in_a_group_is_true_when_no_private_answer_is_possible(notifier: RunningNotifier) -> None:
    box, before = notifier.box, len(from_bot(notifier.box, HR))
    box.set_person(CHEN, status="out_of_range")

    assert [] == ask(notifier, CHEN, "余额", chat_id=HR)

    box.set_person(CHEN, status="active")
    [note] = from_bot(box, HR)[before:]
    assert note["content"]["text"].startswith("我没能私聊你")
    assert NOTE not in note["content"]["text"]

    assert 1 == len(ask(notifier, CHEN, "余额", chat_id=HR))
    [note] = from_bot(box, HR)[before + 1 :]
    assert note["content"]["text"].startswith(NOTE)


def test_an_answer_that_cannot_be_delivered_goes_nowhere_else(notifier: RunningNotifier, person: str) -> None:
    box = notifier.box
    reward(notifier, person)
    box.add_call_fault(
        {"match": "POST /open-apis/im/v1/messages", "action": "code", "code": 230013, "times": 1}
    )

    assert [] == ask(notifier, person)

    assert [] == box.messages("oc_sandbox_fallback")
    assert "delivery.answer_dropped" in notifier.log
    status = notifier.status()
    assert (0, 0) == (status["dead"], status["unknown"])
    assert status["deliveries"]["dropped"]
    assert status["questions"]["balance"]
    assert "questions" in notifier.command("status").stdout


def test_the_menu_and_every_kind_of_message(
    notifier: RunningNotifier, person: str, other_person: str
) -> None:
    box = notifier.box
    for key in ("balance", "help"):
        box.press_menu(person, key)
        notifier.wait_until_settled()
    assert [NO_ACCOUNT, HELP] == [title(each) for each in from_bot(box, person)]

    post = {"title": "", "content": [[{"tag": "text", "text": "余额"}, {"tag": "text", "text": "？"}]]}
    [answer] = ask(notifier, person, msg_type="post", content=post)
    assert NO_ACCOUNT == title(answer)

    [helped] = ask(notifier, other_person, "你好，请问奖励什么时候发？")
    assert HELP == title(helped)
    assert [] == ask(notifier, other_person, "？"), "help once an hour"
    assert "你好" not in notifier.log


def test_one_note_for_too_many_questions_and_then_silence(notifier: RunningNotifier, person: str) -> None:
    for _ in range(ANSWERS_PER_MINUTE + 3):
        notifier.box.write(person, "help")
    notifier.wait_until_settled()

    answers = from_bot(notifier.box, person)
    assert [HELP] * ANSWERS_PER_MINUTE == [
        title(each) for each in answers if each["msg_type"] == "interactive"
    ]
    [note] = [each for each in answers if each["msg_type"] == "text"]
    assert note["content"]["text"].startswith(TOO_MANY)


def test_a_message_is_answered_once_whatever_the_ids_of_its_events(
    notifier: RunningNotifier, person: str
) -> None:
    """Feishu's page says to tell repeats by the id of the message."""
    assert 1 == len(ask(notifier, person))
    document = message_event(notifier.box)

    push_again(notifier, document, "ev_another")

    assert 1 == len(from_bot(notifier.box, person))


def test_an_old_question_says_so_and_a_very_old_one_gets_nothing(
    notifier: RunningNotifier, person: str
) -> None:
    box = notifier.box
    reward(notifier, person)
    assert 1 == len(ask(notifier, person))
    document = message_event(box)
    now_ms = int(document["event"]["message"]["create_time"])

    for hours in (2, 25):
        document["event"]["message"] |= {
            "message_id": f"om_{hours}",
            "create_time": str(now_ms - hours * 3_600_000),
        }
        push_again(notifier, document, f"ev_{hours}")

    *_, late = from_bot(box, person)
    assert 3 == len(from_bot(box, person))
    assert contains_text(late, "提问时间")
    assert contains_text(late, "余额 ¥850.50")


def test_bots_get_no_answer(notifier: RunningNotifier, person: str) -> None:
    assert 1 == len(ask(notifier, person))
    document = message_event(notifier.box)
    document["event"]["sender"]["sender_type"] = "app"
    document["event"]["message"]["message_id"] = "om_of_a_bot"

    push_again(notifier, document, "ev_of_a_bot")

    assert 1 == len(from_bot(notifier.box, person))


def test_several_accounts_a_deactivated_one_and_one_that_changed_hands(
    notifier: RunningNotifier, person: str, other_person: str
) -> None:
    box = notifier.box
    own, other = reward(notifier, person), reward(notifier, other_person)
    box._call(lambda sandbox: setattr(sandbox.tenant.accounts[other], "open_id", person))
    assert [NO_ACCOUNT] == [title(each) for each in ask(notifier, other_person)], "Feishu says so now"

    box.set_account(other, status=2)
    first, second = ask(notifier, person)

    assert contains_text(first, f"账户 {own}")
    assert find_button_ref(first) is not None
    assert contains_text(second, f"账户 {other}")
    assert contains_text(second, "该账户已停用")
    assert find_button_ref(second) is None


def test_the_stored_balance_with_its_time_while_feishu_does_not_respond(
    notifier: RunningNotifier, person: str
) -> None:
    reward(notifier, person)
    notifier.box.add_call_fault({"match": READ, "action": "http", "http_status": 503, "times": 20})

    [card] = ask(notifier, person)

    assert contains_text(card, "显示的是已保存的余额")
    assert contains_text(card, "余额 ¥850.50")
    assert contains_text(card, "余额更新时间")


@pytest.mark.parametrize("way", ["webhook", "postgresql", "disabled"])
def test_over_the_webhook_on_postgresql_and_switched_off(
    feishu_box: FeishuBox, tmp_path: Path, way: str, request: pytest.FixtureRequest
) -> None:
    options: dict[str, Any] = {"webhook": way == "webhook"}
    if way == "postgresql":
        options["store_url"] = postgres.create_database()
    more = SETTINGS + ("answers:\n  enabled: false\n" if way == "disabled" else "")
    with running_notifier(feishu_box, tmp_path, more=more, **options) as running:
        reward(running, LIN)
        answers = ask(running, LIN, chat_id=HR)
    if way == "postgresql":
        request.addfinalizer(lambda: postgres.drop_database(options["store_url"]))

    assert ([] if way == "disabled" else [BALANCE]) == [title(each) for each in answers]
    assert ([] if way == "disabled" else ["text"]) == [each["msg_type"] for each in from_bot(feishu_box, HR)]


def test_no_person_is_called_unknown_while_a_referrer_is_still_looked_up(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    early = [f"ou_sandbox_extra_{number:04}" for number in range(1, 5)]
    late, stranger = "ou_sandbox_extra_0005", "ou_sandbox_extra_0006"
    with (
        FeishuBox(SandboxSettings(extra_accounts=len(early) + 2, clock_file=str(clock))) as box,
        running_notifier(box, tmp_path, more=SETTINGS, timeout_seconds=2) as running,
    ):
        running.stop()
        for each in early:
            box.change_balance(account_of(running, each), cash={"CNY": "+100.00"})
        for each in early:
            box.write(each, "余额")
        running.arguments = ("--clock-file", str(clock))
        running.start()
        running.wait_until_settled()
        for each in early:
            [answer] = [sent for sent in from_bot(box, each) if contains_text(sent, "查询时间")]
            assert BALANCE == title(answer), "the reward was known before the question"

        box.add_call_fault({"match": READ, "action": "http", "http_status": 503, "times": 1_000})
        box.change_balance(account_of(running, late), cash={"CNY": "+100.00"})
        wait_until(lambda: "account.lookup_failed" in running.log, "the look-up failed")
        box.write(stranger, "余额")
        wait_until(lambda: running.log.count("question.received") > len(early), "it waits")
        assert [] == from_bot(box, stranger)
        box.advance(MINUTE_MS // 1000)
        box.wait_for(lambda: from_bot(box, stranger), "an answer that claims nothing")
        assert [UNAVAILABLE] == [title(each) for each in from_bot(box, stranger)]
