"""`notifier trigger` against a running sandbox: what it causes, and what it prints about the pushes."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from websockets.exceptions import ConnectionClosed

from notifier.cli.main import cli
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import listening
from support.ports import free_port

LIN, ACCOUNT = "ou_sandbox_lin", "7000000000000000001"
CHINESE = {"LC_ALL": "zh_CN.UTF-8"}


@pytest.fixture(scope="module")
def shared_box() -> Iterator[FeishuBox]:
    with FeishuBox() as running:
        yield running


@pytest.fixture
def box(shared_box: FeishuBox) -> FeishuBox:
    shared_box.reset()
    return shared_box


def run(*words: str, url: str = "", **environment: str) -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "LC_"))}
    return CliRunner().invoke(
        cli, ["trigger", *words], env={**hidden, "FEISHU_SANDBOX_URL": url, **environment}
    )


@contextmanager
def answering(box: FeishuBox, code: int = 200) -> Iterator[list[str]]:
    """A client that answers every event with a code. Yields the ids of the events, in the order of their arrival."""
    arrived: list[str] = []
    with listening(box) as client:

        def answer() -> None:
            while True:
                try:
                    frame, event = client.event()
                except (ConnectionClosed, TimeoutError):
                    return
                arrived.append(event["header"]["event_id"])
                client.acknowledge(frame, code=code)

        thread = threading.Thread(target=answer)
        thread.start()
        yield arrived
        client.socket.close()
        thread.join(10)


def test_a_reward_changes_the_balance_and_prints_the_answer(box: FeishuBox) -> None:
    with answering(box) as arrived:
        result = run("reward", "--account", ACCOUNT, "--cash", "500", "--points", "10", url=box.url)

    assert (0, 1) == (result.exit_code, len(arrived)), result.output
    line = result.output.strip()
    assert line.startswith(f"{arrived[0]}  acknowledged after ")
    assert line.endswith(" ms")
    assert (130, "850.50") == (box.account(ACCOUNT)["points"], box.account(ACCOUNT)["cash"][0]["amount"])


def test_negative_amounts_and_other_currencies(box: FeishuBox) -> None:
    words = ("--account", ACCOUNT, "--cash", "-12.5", "--currency", "usd", "--points", "-20", "--no-wait")
    result = run("reward", *words, url=box.url)

    assert 0 == result.exit_code, result.output
    assert {"currency": "USD", "amount": "-12.50"} in box.account(ACCOUNT)["cash"]
    assert 100 == box.account(ACCOUNT)["points"]


def test_an_event_arrives_twice_or_in_the_wrong_order_or_again(box: FeishuBox) -> None:
    with answering(box) as arrived:
        assert 0 == run("reward", "--account", ACCOUNT, "--points", "1", "--duplicate", url=box.url).exit_code
        assert arrived[0] == arrived[1]
        assert 2 == len(arrived)
        result = run("reward", "--account", ACCOUNT, "--points", "1", "--out-of-order", url=box.url)
        assert [line.split()[0] for line in result.output.splitlines()] == arrived[2:]
        newer, older = (box.find_events(contains=event_id)[0]["payload"]["event"] for event_id in arrived[2:])
        assert int(newer["modify_time"]) > int(older["modify_time"])
        result = run("reward", "--replay", arrived[0], url=box.url)
        assert (0, arrived[0]) == (result.exit_code, arrived[-1])
        assert f"{arrived[0]}  acknowledged after" in result.output
    assert 123 == box.account(ACCOUNT)["points"]


def test_a_burst_is_summarised(box: FeishuBox) -> None:
    with answering(box) as arrived:
        result = run(
            "reward", "--account", ACCOUNT, "--points", "1", "--burst", "1100", url=box.url, **CHINESE
        )

    assert (0, 1100, 1100) == (result.exit_code, len(arrived), len(set(arrived))), result.output
    assert "1100 个事件" in result.output
    assert "   1100  已确认" in result.output
    assert "中位数" in result.output
    assert 1220 == box.account(ACCOUNT)["points"]


def test_a_refused_push_and_one_without_a_client_are_told_apart(box: FeishuBox) -> None:
    with answering(box, code=500):
        refused = run("reward", "--account", ACCOUNT, "--points", "1", url=box.url)
    alone = run("reward", "--account", ACCOUNT, "--points", "1", url=box.url)
    box.hold()
    held = run("reward", "--account", ACCOUNT, "--points", "1", "--json", url=box.url)

    assert (1, True) == (refused.exit_code, "refused with code 500 after" in refused.output)
    assert (1, True) == (alone.exit_code, "no client is connected" in alone.output)
    assert (0, "held") == (held.exit_code, json.loads(held.output)["events"][0]["result"])


def test_a_client_that_does_not_answer_is_not_waited_for_longer_than_said(box: FeishuBox) -> None:
    with listening(box):
        result = run(
            "reward", "--account", ACCOUNT, "--points", "1", "--timeout", "0.1", "--json", url=box.url
        )

    [event] = json.loads(result.output)["events"]
    assert (1, "waiting", None) == (result.exit_code, event["result"], event["code"])


def test_an_account_without_events_is_explained(box: FeishuBox) -> None:
    box.set_account(ACCOUNT, status=2)
    result = run("reward", "--account", ACCOUNT, "--points", "1", url=box.url)

    assert (1, True) == (result.exit_code, "No event was pushed" in result.output)


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_a_message_without_an_event_ends_with_1(box: FeishuBox, wait: tuple[str, ...]) -> None:
    box.set_scopes([])
    result = run("message", "--from", LIN, "--text", "hi", *wait, url=box.url)

    assert (1, True) == (result.exit_code, "No event was pushed" in result.output)
    assert 1 == len(box.messages(LIN))


def test_an_event_that_is_not_waited_for_is_pushed_only_to_a_client(box: FeishuBox) -> None:
    words = ("reward", "--account", ACCOUNT, "--points", "1", "--no-wait")
    alone = run(*words, url=box.url)
    with answering(box):
        pushed = run(*words, "--json", url=box.url)
    box.hold()
    held = run(*words, url=box.url, **CHINESE)

    assert (0, 0, 0) == (alone.exit_code, pushed.exit_code, held.exit_code)
    assert "not delivered: no client is connected" in alone.output
    assert "pushed" == json.loads(pushed.output)["events"][0]["result"]
    assert "已暂停" in held.output


def test_a_person_writes_and_chooses_from_the_menu(box: FeishuBox) -> None:
    private = run("message", "--from", "lin xiaoman", "--text", "余额", "--no-wait", "--json", url=box.url)
    group = run("message", "--from", LIN, "--text", "hi", "--chat", "招聘奖励", "--no-wait", url=box.url)
    key = box.state()["menu"][0]["event_key"]
    chosen = run("menu", "--from", "林小满", "--key", key, "--no-wait", url=box.url)

    assert (0, 0, 0) == (private.exit_code, group.exit_code, chosen.exit_code), group.output + chosen.output
    [message] = box.messages(LIN)
    assert (message["message_id"], {"text": "余额"}) == (
        json.loads(private.output)["message_id"],
        message["content"],
    )
    [in_group] = box.messages("oc_sandbox_hr")
    assert in_group["message_id"] in group.output
    assert 1 == len(in_group["mentions"])
    run(
        "message",
        "--from",
        LIN,
        "--text",
        "x",
        "--chat",
        "oc_sandbox_hr",
        "--no-mention",
        "--no-wait",
        url=box.url,
    )
    assert [] == box.messages("oc_sandbox_hr")[1]["mentions"]


@pytest.mark.parametrize(
    "data, event",
    [
        ({"chat_id": "oc_1"}, {"chat_id": "oc_1"}),
        ({"schema": "2.0", "header": {"event_type": "im.chat.updated_v1"}, "event": {"a": 1}}, {"a": 1}),
        ({"schema": "2.0", "header": {"event_id": "ev-own"}, "event": {"a": 2}}, {"a": 2}),
    ],
)
def test_any_event_is_pushed(box: FeishuBox, tmp_path: Path, data: dict[str, object], event: object) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with answering(box) as arrived:
        result = run("im.chat.updated_v1", "--data", str(file), url=box.url)

    assert 0 == result.exit_code, result.output
    [found] = box.find_events()
    assert (arrived[0], event) == (found["event_id"], found["payload"]["event"])
    header = data.get("header")
    if isinstance(header, dict) and "event_id" in header:
        assert "ev-own" == found["event_id"]
    else:
        assert ("im.chat.updated_v1", box.app_id) == (
            found["payload"]["header"]["event_type"],
            found["payload"]["header"]["app_id"],
        )


@pytest.mark.parametrize(
    "words, said, in_chinese",
    [
        (("reward", "--account", "1", "--points", "1"), "there is no account '1'", "沙盒拒绝了请求"),
        (("reward", "--points", "1"), "Add --account", "请加上 --account"),
        (("reward", "--account", "1"), "Add --cash or --points", "请加上 --cash"),
        (("reward", "--account", "1", "--cash", "1.234"), "two decimals", "两位小数"),
        (("reward", "--account", "1", "--cash", "much"), "two decimals", "两位小数"),
        (
            ("reward", "--account", ACCOUNT, "--cash", "1", "--currency", "ZZZ"),
            "one of Feishu's 48",
            "沙盒拒绝",
        ),
        (("reward", "--replay", "ev_none"), "there is no event 'ev_none'", "沙盒拒绝了请求"),
        (("reward", "--replay", "ev_none", "--points", "1"), "--replay stands alone", "只能单独使用"),
        (
            ("reward", "--account", "1", "--points", "1", "--duplicate", "--out-of-order"),
            "Choose one of",
            "只能选一个",
        ),
        (("message", "--from", "nobody", "--text", "x"), "nothing in the sandbox has the name", "沙盒中没有"),
        (("message", "--from", "sample", "--text", "x"), "fits several", "有多个"),
        (("menu", "--from", LIN, "--key", "none"), "the menu has no item 'none'", "沙盒拒绝了请求"),
        (("EVENT_TYPE", "--data", "-"), "Write the event type", "事件类型"),
        (("im.chat.updated_v1", "--data", "-"), "this is not JSON", "不是有效的 JSON"),
        (("no-such-command",), "No such command", "没有命令"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_errors_are_one_sentence_in_both_languages(
    box: FeishuBox, words: tuple[str, ...], said: str, in_chinese: str
) -> None:
    english, chinese = run(*words, url=box.url), run(*words, url=box.url, **CHINESE)

    assert (2, True) == (english.exit_code, said in english.output), english.output
    assert (2, True) == (chinese.exit_code, in_chinese in chinese.output), chinese.output
    assert 120 == box.account(ACCOUNT)["points"]


def test_an_envelope_of_another_type_is_refused(box: FeishuBox, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('{"header": {"event_type": "x.y"}}', encoding="utf-8")
    result = run("im.chat.updated_v1", "--data", str(file), url=box.url)

    assert (2, True) == (result.exit_code, "the envelope is of the type x.y" in result.output)
    file.write_text("[]", encoding="utf-8")
    assert "must be a JSON object" in run("a.b", "--data", str(file), url=box.url).output


def test_without_a_sandbox_the_next_step_is_named() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    result = run("reward", "--account", ACCOUNT, "--points", "1", url=address)

    assert 2 == result.exit_code
    assert f"no sandbox answers at {address}" in result.output
    assert "Start one with `notifier sandbox`" in result.output
    assert (
        "请先运行 `notifier sandbox`"
        in run("menu", "--from", "x", "--key", "y", url=address, **CHINESE).output
    )
