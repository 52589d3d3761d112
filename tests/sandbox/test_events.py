"""Events: pushed, acknowledged, pushed again, given up."""

import itertools
from typing import Any

import pytest

from notifier.sandbox.accounts import BadBalanceChangeError
from notifier.sandbox.push.frames import Frame
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import LongConnectionClient, listening

LIN, CHEN = "7000000000000000001", "7000000000000000002"


def wait_for_state(box: FeishuBox, event_id: str, state: str) -> None:
    box.wait_for(lambda: box.event(event_id)["state"] == state, f"event is {state}")


def wait_for_codes(box: FeishuBox, event_id: str, codes: list[int]) -> None:
    box.wait_for(lambda: box.push_codes(event_id) == codes, f"the pushes were answered with {codes}")


def pushes(box: FeishuBox, event_id: str) -> list[Any]:
    return list(box.event(event_id)["pushes"])


def receive_and_acknowledge(listener: LongConnectionClient) -> Any:
    frame, event = listener.event()
    listener.acknowledge(frame)
    return event


def test_an_event_contains_the_balance_after_the_change(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        (event_id,) = feishu_box.change_balance(LIN, points=-20, cash={"CNY": "+500.00", "USD": "1.25"})
        frame, event = listener.event()
        listener.acknowledge(frame)
        wait_for_state(feishu_box, event_id, "acknowledged")

    assert {"type", "message_id", "trace_id", "sum", "seq"} == {key for key, _ in frame.headers}
    assert (event_id, "2.0", "sandbox-tenant") == (
        event["header"]["event_id"],
        event["schema"],
        event["header"]["tenant_key"],
    )
    assert event["header"]["event_type"] == "hire.referral_account.assets_update_v1"
    cash = [{"currency_type": "CNY", "amount": 850.5}, {"currency_type": "USD", "amount": 1.25}]
    assert {"confirmed_bonus": {"point_bonus": 100, "cash_bonus": cash}} == event["event"]["assets"]
    assert LIN == event["event"]["account_id"]
    assert [200] == [push["code"] for push in pushes(feishu_box, event_id)]


@pytest.mark.parametrize("form, written", [("iso", "JPY"), ("number", 7), ("numeric_string", "7")])
def test_a_currency_can_be_written_in_three_ways(feishu_box: FeishuBox, form: str, written: object) -> None:
    with listening(feishu_box) as listener:
        feishu_box.change_balance("7000000000000000003", cash={"JPY": "100"}, currency_form=form)
        event = receive_and_acknowledge(listener)

    assert written == event["event"]["assets"]["confirmed_bonus"]["cash_bonus"][0]["currency_type"]


@pytest.mark.parametrize(
    "cash, sentence",
    [
        ({"XXX": "1"}, "is not one of Feishu's 48"),
        ({"CNY": "one"}, "is not a number"),
        ({"CNY": "0.001"}, "2 decimals at most"),
        ({"CNY": "NaN"}, "2 decimals at most"),
    ],
)
def test_an_impossible_change_is_refused_with_a_sentence(
    feishu_box: FeishuBox, cash: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadBalanceChangeError, match=sentence):
        feishu_box.change_balance(LIN, cash=cash)


def test_an_event_answered_with_500_comes_again_on_schedule_with_the_same_id(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        (event_id,) = feishu_box.change_balance(LIN, points=1)
        seen = []
        for seconds in (15, 300, 3600, 21600):
            frame, event = listener.event()
            seen.append(event["header"]["event_id"])
            listener.acknowledge(frame, code=500)
            wait_for_codes(feishu_box, event_id, [500] * len(seen))
            feishu_box.advance(seconds)
        receive_and_acknowledge(listener)
        wait_for_state(feishu_box, event_id, "acknowledged")

    assert [event_id] * 4 == seen


def test_an_event_nobody_acknowledges_is_given_up_after_the_schedule() -> None:
    with FeishuBox(SandboxSettings(answer_seconds=0.05, redelivery_seconds=(0.05, 0.05))) as box:
        with listening(box):
            (event_id,) = box.change_balance(LIN, points=1)
            wait_for_state(box, event_id, "given_up")

        assert [None] * 3 == [push["code"] for push in pushes(box, event_id)]


def test_a_new_connection_gets_events_that_failed_while_offline(feishu_box: FeishuBox) -> None:
    (event_id,) = feishu_box.change_balance(LIN, points=1)
    feishu_box.wait_for(lambda: pushes(feishu_box, event_id), "the first push was tried")
    with listening(feishu_box) as listener:
        receive_and_acknowledge(listener)
        wait_for_state(feishu_box, event_id, "acknowledged")

    assert pushes(feishu_box, event_id)[0]["connection"] is None


def test_a_new_connection_waits_for_the_schedule_when_configured() -> None:
    with FeishuBox(SandboxSettings(push_waiting_on_connect=False)) as box:
        (event_id,) = box.change_balance(LIN, points=1)
        box.wait_for(lambda: pushes(box, event_id), "the first push was tried")
        with listening(box) as listener:
            assert len(pushes(box, event_id)) == 1
            box.advance(15)
            assert event_id == receive_and_acknowledge(listener)["header"]["event_id"]


def test_an_event_in_flight_when_the_client_dies_goes_to_the_next_one(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        (event_id,) = feishu_box.change_balance(LIN, points=1)
        listener.receive()
    feishu_box.wait_for(lambda: feishu_box.connections() == 0, "the client is gone")
    with listening(feishu_box) as listener:
        assert event_id == receive_and_acknowledge(listener)["header"]["event_id"]


def test_twice_sends_one_event_in_two_pushes(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        ids = feishu_box.change_balance(LIN, points=1, send="twice")
        first, second = receive_and_acknowledge(listener), receive_and_acknowledge(listener)

    assert len(ids) == 1
    assert first == second


def test_copy_sends_the_same_content_under_another_id(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        ids = feishu_box.change_balance(LIN, points=1, send="copy")
        first, second = receive_and_acknowledge(listener), receive_and_acknowledge(listener)

    assert ids == [first["header"]["event_id"], second["header"]["event_id"]]
    assert first["event"] == second["event"]


def test_reversed_sends_the_later_change_first(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        feishu_box.change_balances([(LIN, 1, {}), (LIN, 1, {}), (CHEN, 1, {})], send="reversed")
        times = [int(receive_and_acknowledge(listener)["event"]["modify_time"]) for _ in range(3)]

    assert sorted(times, reverse=True) == times
    assert len(set(times)) == 3


def test_a_held_event_stays_until_it_is_released(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        (held,) = feishu_box.change_balance(LIN, points=1, send="hold")
        (free,) = feishu_box.change_balance(CHEN, points=1)
        assert free == receive_and_acknowledge(listener)["header"]["event_id"]
        assert pushes(feishu_box, held) == []

        assert feishu_box.release() == 1
        assert held == receive_and_acknowledge(listener)["header"]["event_id"]


def test_a_deactivated_account_changes_without_an_event(feishu_box: FeishuBox) -> None:
    feishu_box.set_account(LIN, status=2)

    assert feishu_box.change_balance(LIN, points=5) == []
    assert feishu_box.account(LIN)["points"] == 125


def test_without_its_scope_the_app_gets_no_event(feishu_box: FeishuBox) -> None:
    feishu_box.set_scopes(["hire:referral_account"])

    assert feishu_box.change_balance(LIN, points=5) == []


@pytest.mark.parametrize("payload", ["", "not json", "[]", '{"header": 1}', "\udcff"])
def test_any_text_can_be_pushed_verbatim(feishu_box: FeishuBox, payload: str) -> None:
    with listening(feishu_box) as listener:
        event_id = feishu_box.push_payload(payload)
        frame = listener.receive()
        listener.acknowledge(frame)
        wait_for_state(feishu_box, event_id, "acknowledged")

    assert payload.encode(errors="surrogatepass") == (frame.payload or b"")


def test_raw_bytes_can_be_pushed_and_a_readable_frame_among_them_acknowledged(feishu_box: FeishuBox) -> None:
    frame = Frame(method=1, headers=(("type", "event"), ("message_id", "mine")), payload=b"?")
    with listening(feishu_box) as listener:
        feishu_box.push_frame(b"\xff\xff")
        assert listener.socket.recv(timeout=10) == b"\xff\xff"

        event_id = feishu_box.push_frame(frame.to_bytes())
        listener.acknowledge(listener.receive())
        wait_for_state(feishu_box, event_id, "acknowledged")


def test_each_push_goes_to_one_client_and_all_clients_get_some(feishu_box: FeishuBox) -> None:
    with listening(feishu_box), listening(feishu_box):
        ids = [feishu_box.change_balance(LIN, points=1)[0] for _ in range(16)]
        feishu_box.wait_for(lambda: all(pushes(feishu_box, one) for one in ids), "all were pushed")
        connections = [
            push["connection"] for push in itertools.chain(*(pushes(feishu_box, one) for one in ids))
        ]

    assert len(connections) == 16
    assert len(set(connections)) == 2


def test_opening_balances_are_pushed_to_the_first_client_once() -> None:
    with FeishuBox(SandboxSettings(opening_events=True)) as box:
        assert [] == [push for event in box.events() for push in event["pushes"]]

        with listening(box) as listener:
            received = {receive_and_acknowledge(listener)["event"]["account_id"] for _ in box.accounts()}
            box.wait_for(lambda: box.unacknowledged() == 0, "all acknowledged")

        assert {account["account_id"] for account in box.accounts()} == received
        assert [1, 1, 1, 1] == [len(event["pushes"]) for event in box.events()]
