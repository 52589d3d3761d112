"""The client of the control API: the same calls as FeishuBox, from another process, without imports of the notifier."""

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.client import SandboxClient, SandboxClientError, SandboxUnreachableError
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, listening, send
from support.ports import free_port

ROOT = Path(__file__).parents[2]
LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"

ONLY_IN_PROCESS = {
    "app_secret": "a secret does not leave the sandbox",
    "start": "the client does not run the sandbox",
    "stop": "as above",
    "wait_for_async": "asyncio.to_thread(client.wait_for, ...) does the same",
    "newest_events": "find_events(limit=...) does the same",
    "unacknowledged": "for load tests inside of the process",
    "payload": "find_events has it",
    "pings": "for tests of the sandbox itself",
    "count_call_fault_hits": "the state has it",
    "withdrawals": "the state has them",
    "payouts": "the state has them",
    "set_webhook": "the box returns the reason; over HTTP a failed check is a refused request",
    "add_people": "for tests of the sandbox itself",
    "add_group": "as above",
    "contact": "as above",
    "set_mobile": "as above",
    "rename": "as above",
}
"""Methods of FeishuBox that the client does not have, each with the reason."""
ONLY_IN_CLIENT = {"write_message": "returns the ids of the events too, which a command prints"}


@pytest.fixture(scope="module")
def shared_box() -> Iterator[FeishuBox]:
    with FeishuBox() as running:
        yield running


@pytest.fixture
def box(shared_box: FeishuBox) -> FeishuBox:
    shared_box.reset()
    return shared_box


@pytest.fixture
def client(box: FeishuBox) -> SandboxClient:
    return SandboxClient(box.url)


def methods(kind: type) -> dict[str, object]:
    return {name: each for name, each in inspect.getmembers(kind) if not name.startswith("_")}


def test_both_have_the_same_methods_with_the_same_signatures() -> None:
    of_box, of_client = methods(FeishuBox), methods(SandboxClient)

    assert set(ONLY_IN_PROCESS) == set(of_box) - set(of_client)
    assert set(ONLY_IN_CLIENT) == set(of_client) - set(of_box)
    for name in set(of_box) & set(of_client):
        if callable(of_box[name]):
            ours, theirs = (inspect.signature(each[name]) for each in (of_client, of_box))  # type: ignore[arg-type]
            assert str(ours) == str(theirs), name


def test_both_read_the_same(box: FeishuBox, client: SandboxClient) -> None:
    file_key = box.state()["accounts"][0]["account_id"]
    assert LIN_ACCOUNT == file_key
    message_id = send(box, card()).data["message_id"]
    send(box, "13800001234")
    client.write(LIN, "hello")
    [event_id] = client.change_balance(LIN_ACCOUNT, points=1, cash={"CNY": "+1.00"})
    client.change_balances([(LIN_ACCOUNT, 1, {}), (LIN_ACCOUNT, 2, {"CNY": "-1.00"})], send="hold")
    assert 2 == client.release()
    client.start_fault("slow", delay_seconds=0.1, seconds=500)
    with_pushes = lambda: all(one["in_flight"] == 0 for one in box.events())  # noqa: E731
    box.wait_for(with_pushes, "no push is running")

    for name, arguments in (
        ("app_id", None),
        ("account", (LIN_ACCOUNT,)),
        ("accounts", ()),
        ("messages", (LIN,)),
        ("messages", ("oc_sandbox_hr",)),
        ("all_messages", ()),
        ("event", (event_id,)),
        ("push_codes", (event_id,)),
        ("refusals", ()),
        ("connections", ()),
        ("snapshots", ()),
        ("find_messages", ()),
        ("find_events", ()),
        ("find_requests", ()),
    ):
        ours, theirs = getattr(client, name), getattr(box, name)
        if arguments is not None:
            ours, theirs = ours(*arguments), theirs(*arguments)
        if name == "event":  # over HTTP with its payload
            ours.pop("payload")
        assert ours == theirs, name
    assert [one["event_id"] for one in client.events()] == [one["event_id"] for one in box.events()]
    assert [one["log_id"] for one in client.requests("/open-apis/im")] == [
        one["log_id"] for one in box.requests("/open-apis/im")
    ]
    assert abs(client.now_ms() - box.now_ms()) < 60_000
    assert ["slow"] == [one["fault_type"] for one in client.running_faults()]
    assert message_id == client.wait_for_message(msg_type="interactive")["message_id"]


def test_the_client_controls_the_sandbox(box: FeishuBox, client: SandboxClient) -> None:
    with listening(box) as listener:
        client.push_payload('{"x": 1}')
        assert {"x": 1} == listener.event()[1]
        client.push_frame(b"\x00")
        event_id = client.push_event("im.chat.updated_v1", {})
        client.press_menu(LIN, client.state()["menu"][0]["event_key"])
        assert 1 == client.connections()
        client.silence()
        client.silence(on=False)
        assert 1 == client.disconnect_all()
    assert event_id in {one["event_id"] for one in client.events()}
    written = client.write(LIN, "hello")
    sent = send(box, "hello").data["message_id"]
    reaction_id = client.react(LIN, sent, "SMILE")
    assert [reaction_id] == [one["reaction_id"] for one in box.messages(LIN)[1]["reactions"]]
    client.remove_reaction(sent, reaction_id)
    client.read(LIN, sent)
    client.recall(LIN, written)
    recalled, other = box.messages(LIN)
    assert (True, [], [LIN]) == (recalled["is_recalled"], other["reactions"], other["read_by"])
    client.enter_chat(LIN)
    client.set_bot_in_group(LIN, "oc_sandbox_hr", is_member=False)
    assert not box.state()["groups"][0]["has_bot"]
    client.set_person(LIN, status="blocked")
    assert 230035 == send(box, "hi").code
    client.set_person(LIN, status="active")
    client.set_group("oc_sandbox_hr", has_bot=False)
    assert 230002 == send(box, "hi", to="oc_sandbox_hr").code
    client.set_account(LIN_ACCOUNT, status=2)
    assert 2 == box.account(LIN_ACCOUNT)["status"]
    message_id = send(box, card()).data["message_id"]
    assert 200340 == client.click(message_id, LIN, {})["code"]
    client.add_call_fault({"match": "* /x", "action": "reset"})
    client.clear_call_faults()
    fault_id = client.start_fault("setup:bot_off")
    client.end_fault(fault_id)
    client.end_all_faults()
    client.expire_tokens()
    client.set_other_connections(2)
    assert 2 == client.connection_status()["other_connections"]
    client.set_other_connections(0)
    client.set_scopes([])
    client.change_console(bot=False)
    client.publish()
    assert 99991672 == send(box, "hi").code
    client.set_payout_report_url("")
    client.advance(60)
    assert box.state()["ahead_seconds"] == 60


def test_everything_is_read_page_after_page(client: SandboxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.sandbox.client.reading.MAX_LIMIT", 3)
    event_ids = client.change_balances([(LIN_ACCOUNT, 1, {})] * 8)

    assert event_ids == [one["event_id"] for one in client.events()]


def test_a_refused_request_raises_the_sentence_of_the_sandbox(client: SandboxClient) -> None:
    with pytest.raises(SandboxClientError, match="there is no account '1'") as refused:
        client.change_balance("1")
    assert 404 == refused.value.status
    with pytest.raises(SandboxClientError, match="there is no account '1'"):
        client.account("1")
    with pytest.raises(TimeoutError, match=r"not within 0\.01 s: messages with contains='x'"):
        client.wait_for_message(contains="x", timeout=0.01)
    with pytest.raises(TimeoutError, match="never"):
        client.wait_for(lambda: False, "never", timeout=0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "ftp://127.0.0.1", "127.0.0.1:8765"])
def test_without_a_sandbox_the_error_names_the_address(url: str) -> None:
    address = url.format(port=free_port())
    with pytest.raises(SandboxUnreachableError, match=r"127\.0\.0\.1"):
        SandboxClient(address).state()


def test_the_address_comes_from_the_environment(box: FeishuBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEISHU_SANDBOX_URL", box.url + "/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert box.app_id == SandboxClient().app_id


def test_the_client_imports_nothing_else() -> None:
    """Neither the notifier nor a library: a script needs Python alone."""
    program = (
        "import sys; import notifier.sandbox.client\n"
        "outside = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(name for name in sys.modules if name.startswith('notifier')))\n"
        "print(sorted(outside - {'notifier', '__main__'}))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    modules = [
        "",
        ".sandbox",
        ".sandbox.client",
        ".sandbox.client.client",
        ".sandbox.client.connection",
        ".sandbox.client.reading",
    ]
    assert str([f"notifier{name}" for name in modules]) == printed[0]
    assert "[]" == printed[1]
