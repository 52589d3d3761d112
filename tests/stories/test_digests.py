"""Digests as their users meet them: the card in the group, its buttons, the file, and the commands."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from support.cards import contains_text, is_superseded, newest_card
from support.running import RunningNotifier, running_notifier, texts
from support.waiting import wait_until

HR, OPERATOR, LIN = "oc_sandbox_hr", "ou_sandbox_zhou", "ou_sandbox_lin"
MORE = """\
withdrawals:
  offer_to: [referrer, hr]
  per_minute: 100
digests:
  - name: hr-daily
    to: [hr]
    rows: 50
    file: always
  - name: my-week
    to: [referrer]
    period: week
"""


@pytest.fixture
def notifier(feishu_box: FeishuBox, tmp_path: Path) -> Iterator[RunningNotifier]:
    with running_notifier(feishu_box, tmp_path, more=MORE) as running:
        for account in feishu_box.accounts():
            feishu_box.change_balance(account["account_id"], points=10, cash={"CNY": "+60.00"})  # first seen
            feishu_box.change_balance(
                account["account_id"], cash={"CNY": "+40.00"}
            )  # a reward, for the chart
        running.wait_until_settled()
        yield running


def send(notifier: RunningNotifier, *words: str, name: str = "hr-daily") -> str:
    ran = notifier.command("digest", "send", name, "--for", "today", *words)
    assert ran.returncode == 0, ran.stderr
    notifier.wait_until_settled()
    return ran.stdout


def card(box: FeishuBox, chat: str = HR) -> dict[str, Any]:
    """The newest digest there."""
    return [each for each in box.messages(chat) if is_digest(each)][-1]


def is_digest(message: dict[str, Any]) -> bool:
    title = message["content"].get("header", {}).get("title", {}).get("content", "")
    return "日报" in title or "周报" in title or "摘要" in title


def parts(message: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """All components of this kind, in order."""
    found: list[dict[str, Any]] = []

    def look(node: object) -> None:
        if isinstance(node, dict):
            if node.get("tag") == tag:
                found.append(node)
            for each in node.values():
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    look(message["content"]["body"])
    return found


def button(message: dict[str, Any], words: str) -> dict[str, Any] | None:
    make_digest_fit = (each for each in parts(message, "button") if words in each["text"]["content"])
    return next(make_digest_fit, None)


def press(box: FeishuBox, words: str, who: str = OPERATOR, **more: Any) -> dict[str, Any]:
    message = card(box)
    pressed = button(message, words)
    assert pressed is not None, texts(message["content"])
    return box.click(message["message_id"], who, pressed["behaviors"][0]["value"], **more)


def choose(box: FeishuBox, number: int, who: str = OPERATOR) -> dict[str, Any]:
    option = parts(card(box), "select_static")[0]["options"][number]
    return press(box, "提现所选账户", who, name="submit", form_value={"account": option["value"]})


def results(box: FeishuBox) -> str:
    """The table of results as text, "" before there is one."""
    tables = parts(card(box), "table")
    return json.dumps(tables[2]["rows"], ensure_ascii=False) if len(tables) == 3 else ""


def says(message: dict[str, Any], words: str) -> bool:
    return any(words in text for text in texts(message["content"]))


def test_a_digest_has_figures_tables_chart_file_and_buttons(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    assert "hr: on its way" in send(notifier)
    message = card(feishu_box)
    changed, holders = parts(message, "table")
    chart = parts(message, "chart")[0]["chart_spec"]
    file = feishu_box.messages(HR)[-1]

    assert says(message, "4 个账户的余额有变动")
    assert says(message, "对账")
    assert not says(message, "✗")
    assert 4 == len(changed["rows"]) == len(holders["rows"])
    assert {"who", "amount"} == set(holders["rows"][0])
    assert ("bar", 15) == (chart["type"], len(chart["data"][0]["values"]))
    assert 4 == len(parts(message, "select_static")[0]["options"])
    assert "file" == file["msg_type"]
    assert feishu_box.file(file["content"]["file_key"]).startswith("\ufeff账户 account_id".encode())
    assert "This period is still open" in " ".join(texts(message["content"], "en_us"))


def test_one_account_is_chosen_and_withdrawn(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    send(notifier)
    answer = choose(feishu_box, 1)

    feishu_box.wait_for(lambda: "Withdrawn" in results(feishu_box), "the result is there")

    assert "提现处理中…" == answer["toast"]["content"]
    assert 3 == len(parts(card(feishu_box), "select_static")[0]["options"])
    assert not says(card(feishu_box), "已提现")  # figures are those that were told

    notifier.wait_until_settled()
    send(notifier, "--again")
    assert says(card(feishu_box), "已提现 -")  # by us, and so no correction


def test_nothing_chosen_withdraws_nothing_and_says_so(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    send(notifier)
    answer = press(feishu_box, "提现所选账户", form_value={"account": ""})

    assert "请先选择一个账户" in answer["toast"]["content"]
    assert [] == feishu_box.withdrawals()


@pytest.mark.parametrize("words", ["提现所选账户", "提现所列"])
def test_a_stranger_is_refused(notifier: RunningNotifier, feishu_box: FeishuBox, words: str) -> None:
    send(notifier)
    option = parts(card(feishu_box), "select_static")[0]["options"][0]["value"]
    stranger = next(
        each["open_id"] for each in feishu_box.accounts() if each["open_id"] not in {OPERATOR, LIN}
    )
    owner = _owner_of(notifier, option)
    who = stranger if stranger != owner else LIN
    answer = press(feishu_box, words, who, form_value={"account": option})

    assert ("error", None) == (answer["toast"]["type"], answer.get("card_updated") or None)
    assert [] == feishu_box.withdrawals()
    assert "denied" in notifier.command("audit").stdout


def _owner_of(notifier: RunningNotifier, ref: str) -> str:
    with notifier.open_database() as database, database.read() as connection:
        return connection.execute(
            sa.text(
                "SELECT referrer_open_id FROM accounts JOIN buttons ON account_ref = accounts.id WHERE ref = :ref"
            ),
            {"ref": ref},
        ).scalar_one()


def test_the_referrer_may_withdraw_the_own_account_but_not_all(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    send(notifier)
    options = parts(card(feishu_box), "select_static")[0]["options"]
    mine = next(number for number, each in enumerate(options) if "林小满" in each["text"]["content"])
    all_of_them = press(feishu_box, "提现所列", LIN)
    answer = choose(feishu_box, mine, LIN)
    feishu_box.wait_for(feishu_box.withdrawals, "the own account is withdrawn")

    assert "error" == all_of_them["toast"]["type"]
    assert "info" == answer["toast"]["type"]


def test_an_option_of_another_card_is_refused(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    send(notifier)
    option = parts(card(feishu_box), "select_static")[0]["options"][0]["value"]
    send(notifier, "--again")
    answer = press(feishu_box, "提现所选账户", form_value={"account": option})

    assert "error" == answer["toast"]["type"]
    assert [] == feishu_box.withdrawals()


def test_pressing_all_twice_and_replaying_it_begins_one_batch(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    send(notifier)
    message = card(feishu_box)
    pressed = button(message, "提现所列")
    assert pressed is not None
    value = pressed["behaviors"][0]["value"]
    first = feishu_box.click(message["message_id"], OPERATOR, value)
    second = feishu_box.click(message["message_id"], OPERATOR, value)
    feishu_box.wait_for(lambda: says(card(feishu_box), "批量提现已结束 4/4"), "the batch is over", 40)
    stale = feishu_box.click(message["message_id"], OPERATOR, value)

    assert "批量提现已开始" in first["toast"]["content"]
    assert "正在进行" in second["toast"]["content"]
    assert "卡片内容已更新" in stale["toast"]["content"]
    assert 4 == len(feishu_box.withdrawals())
    assert [1] * 4 == [order["request_count"] for order in feishu_box.withdrawals()]


def test_telling_a_period_again_needs_to_be_asked_for_and_says_so(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    assert "hr: on its way" in _yesterday(notifier)
    again = notifier.command("digest", "send", "hr-daily", "--for", "yesterday")
    corrected = notifier.command("digest", "send", "hr-daily", "--for", "yesterday", "--again")
    notifier.wait_until_settled()

    assert 1 == again.returncode
    assert "--again sends it as a correction" in again.stdout
    assert 0 == corrected.returncode
    assert says(card(feishu_box), "更正")
    assert 2 == len([each for each in feishu_box.messages(HR) if is_digest(each)])


def test_two_processes_at_once_tell_a_period_once(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    """Real processes, started together, and the notifier beside them."""
    words = ("digest", "send", "hr-daily", "--for", "yesterday")
    with ThreadPoolExecutor(4) as together:
        said = list(together.map(lambda _: notifier.command(*words).stdout, range(4)))
    notifier.wait_until_settled()

    assert 1 == sum("on its way" in each for each in said)
    assert 3 == sum("already" in each for each in said)
    assert 1 == len([each for each in feishu_box.messages(HR) if is_digest(each)])


def _yesterday(notifier: RunningNotifier) -> str:
    return notifier.command("digest", "send", "hr-daily", "--for", "yesterday").stdout


def test_a_dry_run_and_a_preview_send_nothing(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    dry = notifier.command("digest", "send", "hr-daily", "--for", "today", "--dry-run")
    shown = notifier.command("digest", "preview", "hr-daily", "--for", "today", "--json")
    notifier.wait_until_settled()

    assert "(adds up)" in dry.stdout
    assert "2.0" == json.loads(shown.stdout)["schema"]
    assert not any(is_digest(each) for each in feishu_box.messages(HR))


def test_every_referrer_gets_the_own_digest_and_withdraws_from_it(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    send(notifier, name="my-week")
    mine = card(feishu_box, LIN)
    pressed = button(mine, "提现")
    assert pressed is not None
    answer = feishu_box.click(mine["message_id"], LIN, pressed["behaviors"][0]["value"])
    feishu_box.wait_for(
        lambda: contains_text(newest_card(feishu_box, LIN), "已提现"), "the receipt shows the withdrawal", 20
    )
    feishu_box.wait_for(lambda: is_superseded(card(feishu_box, LIN)), "the digest points to the receipt", 20)

    assert "我的内推奖励周报" == mine["content"]["header"]["title"]["content"]
    assert not says(mine, "陈知行")
    assert "info" == answer["toast"]["type"]
    assert 1 == len(feishu_box.withdrawals())


def test_where_only_digests_are_told_people_have_names_and_money_moves(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    """No card about a single change has asked whose account it is."""
    nobody = "routes: [{name: never, when: {least_amount: 99999999}, to: [hr]}]\n"
    with running_notifier(feishu_box, tmp_path, more=MORE + nobody) as notifier:
        for account in feishu_box.accounts():
            feishu_box.change_balance(account["account_id"], cash={"CNY": "+40.00"})
        notifier.wait_until_settled()
        with notifier.open_database() as database:
            wait_until(lambda: _owners_known(database) == 4, "all owners are known", seconds=30)
        send(notifier)
        told = card(feishu_box)
        press(feishu_box, "提现所列")
        feishu_box.wait_for(lambda: says(card(feishu_box), "批量提现已结束 4/4"), "it is over", 40)

        assert {LIN, OPERATOR} <= set(re.findall(r"ou_sandbox_\w+", json.dumps(told["content"])))
        assert 4 == len(feishu_box.withdrawals())


def _owners_known(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(
            sa.text("SELECT count(*) FROM accounts WHERE referrer_open_id IS NOT NULL")
        ).scalar_one()


def test_today_told_twice_is_a_correction(notifier: RunningNotifier, feishu_box: FeishuBox) -> None:
    send(notifier)
    twice = notifier.command("digest", "send", "hr-daily", "--for", "today")
    send(notifier, "--again")

    assert 1 == twice.returncode
    assert says(card(feishu_box), "更正")


REFUSED = {
    "match": "POST /open-apis/im/v1/messages",
    "action": "code",
    "code": 230099,
    "msg": "Failed to create card, ext=ErrCode: 11310; ErrMsg: no; ",
}


@pytest.mark.parametrize("times, kind", [(1, "interactive"), (2, "text")])
def test_a_card_that_feishu_refuses_goes_out_simpler_never_not_at_all(
    notifier: RunningNotifier, feishu_box: FeishuBox, times: int, kind: str
) -> None:
    before = len(feishu_box.messages(HR))
    feishu_box.add_call_fault({**REFUSED, "times": times})
    send(notifier)
    message, file = feishu_box.messages(HR)[before:]

    assert (kind, "file") == (message["msg_type"], file["msg_type"])
    assert "¥" in json.dumps(message["content"], ensure_ascii=False)
    assert "degraded" in notifier.command("status").stdout


def test_a_file_that_cannot_be_uploaded_for_now_comes_later(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    feishu_box.add_call_fault(
        {"match": "POST /open-apis/im/v1/files", "action": "http", "http_status": 502, "times": 2}
    )
    send(notifier)

    assert "file" == feishu_box.messages(HR)[-1]["msg_type"]
    assert 1 == sum(each["msg_type"] == "file" for each in feishu_box.messages(HR))


def test_a_group_that_cannot_be_reached_has_its_digest_in_the_fallback_group(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    feishu_box.set_group(HR, has_bot=False)
    send(notifier)
    message = card(feishu_box, "oc_sandbox_fallback")

    assert says(message, "无法送达原定的群")
    assert [] == parts(message, "select_static")  # nobody there may withdraw
    assert "file" == feishu_box.messages("oc_sandbox_fallback")[-1]["msg_type"]


def test_a_digest_that_waits_for_a_person_can_be_sent_again(
    notifier: RunningNotifier, feishu_box: FeishuBox
) -> None:
    feishu_box.add_call_fault({"match": "POST /open-apis/im/v1/messages", "action": "code", "code": 230006})
    notifier.command("digest", "send", "hr-daily", "--for", "today")
    feishu_box.wait_for(lambda: notifier.status()["dead"] == 2, "card and file wait for a person", 30)
    feishu_box.clear_call_faults()
    shown = notifier.command("deliveries", "list", "--state", "dead")
    retried = notifier.command("deliveries", "retry", "--all-dead")
    notifier.wait_until_settled()

    assert "hr" in shown.stdout
    assert 0 == retried.returncode
    assert is_digest(feishu_box.messages(HR)[-2])
    assert "file" == feishu_box.messages(HR)[-1]["msg_type"]


ACCOUNTS, FAILING = 40, 3


def test_a_batch_of_forty_with_three_failing_is_killed_and_resumed(tmp_path: Path) -> None:
    """Killed twice in the middle; each account once; then only the three that failed are tried again."""
    settings = SandboxSettings(extra_accounts=ACCOUNTS - 4)
    with FeishuBox(settings) as box, running_notifier(box, tmp_path, more=MORE) as notifier:
        accounts = [each["account_id"] for each in box.accounts()]
        box.change_balances([(each, 0, {"CNY": f"+{100 + n}.00"}) for n, each in enumerate(accounts)])
        notifier.wait_until_settled()
        send(notifier)
        assert ACCOUNTS == len(parts(card(box), "select_static")[0]["options"])
        for each in accounts[:FAILING]:
            box.set_account(each, status=2)

        press(box, "提现所列")
        seen: set[str] = set()
        for booked in (8, 20):
            box.wait_for(lambda b=booked: len(box.withdrawals()) >= b, f"{booked} are booked", 60)  # type: ignore[misc]
            seen |= {text for text in texts(card(box)["content"]) if "批量提现中" in text}
            notifier.kill()
            notifier.start()
        box.wait_for(
            lambda: says(card(box), f"批量提现已结束 {ACCOUNTS}/{ACCOUNTS}，失败 {FAILING}"), "it is over", 90
        )

        booked_for = [order["account_id"] for order in box.withdrawals()]
        assert seen, "the progress was shown on the card while it went on"
        assert sorted(accounts[FAILING:]) == sorted(booked_for)
        assert len(booked_for) == len(set(booked_for))

        for each in accounts[:FAILING]:
            box.set_account(each, status=1)
        assert button(card(box), f"重试 {FAILING} 个账户") is not None
        _wait_until_usable(notifier)
        press(box, f"重试 {FAILING} 个账户")
        box.wait_for(lambda: says(card(box), f"批量提现已结束 {FAILING}/{FAILING}"), "the retry is over", 60)

        assert sorted(accounts) == sorted(order["account_id"] for order in box.withdrawals())
        assert button(card(box), "重试") is None
        assert [] == parts(card(box), "select_static")
        audit = notifier.command("audit", "--limit", "1000").stdout
        assert ACCOUNTS + FAILING == audit.count(", batch ")  # one of them is the operator's own


def _wait_until_usable(notifier: RunningNotifier) -> None:
    """We take Feishu's word that an account is deactivated for five minutes; nobody here waits for that."""
    with notifier.open_database() as database:
        statement = sa.text("UPDATE accounts SET deactivated_at = NULL")
        database.write(lambda c: c.execute(statement).rowcount).result()
