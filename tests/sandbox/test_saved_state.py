"""A sandbox with a state file continues where the one before it ended."""

import stat
from pathlib import Path

import pytest

from notifier.sandbox.saved_state import BadStateFileError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, card, listening, send

LIN, LIN_ACCOUNT = "ou_sandbox_lin", "7000000000000000001"


@pytest.fixture
def settings(tmp_path: Path) -> SandboxSettings:
    return SandboxSettings(state_file=str(tmp_path / "feishu.json"), opening_events=True)


def withdraw(box: FeishuBox) -> object:
    path = f"/hire/v1/referral_account/{LIN_ACCOUNT}/withdraw"
    return api(box, "POST", path, {"external_order_id": "o-1", "withdraw_bonus_type": [1, 2]}).data


def without_logs(box: FeishuBox) -> dict[str, object]:
    """What a reader of the page sees, without what no file keeps and what differs by address and moment."""
    of_this_run = ("revision", "now_ms", "feishu_url", "requests", "refusals", "app", "long_connection")
    return {name: value for name, value in box.state().items() if name not in of_this_run}


def test_everything_but_the_logs_is_kept(settings: SandboxSettings) -> None:
    with FeishuBox(settings) as box:
        message_id = send(box, card(), uuid="u-1").data["message_id"]
        send(box, "hello", to="oc_sandbox_hr")
        box.change_balance(LIN_ACCOUNT, points=7, cash={"JPY": "+912.00"})
        first = withdraw(box)
        box.push_payload("not json")
        box.set_person(LIN, status="resigned")
        box.set_group("oc_sandbox_hr", muted=True)
        box.rename("ou_sandbox_chen", name="\ud800 <b>", en_name="x")
        box.set_scopes(["hire:referral_account", "im:message:send_as_bot"])
        box.advance(3000)
        before = without_logs(box)

    with FeishuBox(settings) as box:
        assert before == without_logs(box)
        assert first == withdraw(box), "a repeated order is answered as before"
        assert message_id == send(box, card(), uuid="u-1").data["message_id"], "the uuid is remembered"
        box.advance(700)
        assert message_id != send(box, card(), to="ou_sandbox_chen", uuid="u-1").data["message_id"]


def test_conversations_are_kept(settings: SandboxSettings) -> None:
    def shown(box: FeishuBox) -> tuple[object, object]:
        messages = [
            api(box, "GET", f"/im/v1/messages/{each['message_id']}").data for each in box.all_messages()
        ]
        return box.all_messages(), messages

    with FeishuBox(settings) as box:
        card_id = send(box, card()).data["message_id"]
        box.read(LIN, card_id)
        api(box, "POST", "/im/v1/pins", {"message_id": card_id})
        api(
            box,
            "PATCH",
            f"/im/v1/messages/{card_id}/urgent_app?user_id_type=open_id",
            {"user_id_list": [LIN]},
        )
        question = box.write(LIN, "余额", chat_id="oc_sandbox_hr")
        answer = {"msg_type": "text", "content": '{"text": "350.50"}', "reply_in_thread": True}
        api(box, "POST", f"/im/v1/messages/{question}/reply", answer)
        box.react(LIN, question, "SMILE")
        box.recall(LIN, box.write(LIN, "oh", reply_to=card_id))
        image = box.write(LIN, msg_type="image", content={"base64": "iVBORw0KGgo="})
        body = {"receive_id": LIN, "message_id_list": [card_id, image]}
        api(box, "POST", "/im/v1/messages/merge_forward?receive_id_type=open_id", body)
        before = shown(box)

    with FeishuBox(settings) as box:
        assert before == shown(box)
        key = next(one for one in box.messages(LIN) if one["message_id"] == image)["content"]["image_key"]
        assert b"\x89PNG\r\n\x1a\n" == box._read(lambda sandbox: sandbox.tenant.image_bytes[key])


def test_an_event_that_was_not_delivered_comes_after_the_restart(settings: SandboxSettings) -> None:
    with FeishuBox(settings) as box:
        (waiting,) = box.change_balance(LIN_ACCOUNT, points=1)
        openings = [event["event_id"] for event in box.events() if event["event_id"] != waiting]
        assert 4 == len(openings)

    with FeishuBox(settings) as box:
        box.wait_for(lambda: box.push_codes(waiting), "it is pushed, to nobody")
        with listening(box) as client:
            got = set()
            for _ in range(5):
                frame, event = client.event()
                client.acknowledge(frame)
                got.add(event["header"]["event_id"])
            assert {waiting, *openings} == got
            box.wait_for(lambda: box.event(waiting)["state"] == "acknowledged", "it is delivered")

    with FeishuBox(settings) as box, listening(box) as client:
        (newest,) = box.change_balance(LIN_ACCOUNT, points=1)
        _, event = client.event()
        assert newest == event["header"]["event_id"], "nothing is delivered twice"


def test_the_file_is_private_and_a_wrong_one_is_refused(settings: SandboxSettings) -> None:
    path = Path(settings.state_file)
    with FeishuBox(settings):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    for wrong in ("", "{}", "[]", '{"format": 9}', path.read_text().replace('"350.50"', '"x"')):
        path.write_text(wrong)
        with pytest.raises(BadStateFileError, match=r"feishu\.json"):
            FeishuBox(settings).start()
        assert wrong == path.read_text(), "it is not overwritten"
