"""Clicks on cards: each callback is sent once and must be answered in time."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from notifier.sandbox.push.clicks import BadClickError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import LongConnectionClient, api, card, listening, send

VALUE = {"op": "withdraw", "ref": "abc"}


def click(box: FeishuBox, listener: LongConnectionClient, *, code: int = 200, answer: object = None) -> Any:
    """Clicks on a fresh card while the listener answers; gives the outcome, the question, and the message."""
    message_id = send(box, card()).data["message_id"]
    with ThreadPoolExecutor(1) as pool:
        outcome: Future[Any] = pool.submit(box.click, message_id, "ou_sandbox_chen", VALUE)
        frame, question = listener.event()
        listener.acknowledge(frame, code, answer)
        return outcome.result(), question, box.all_messages()[-1]


def test_a_click_contains_person_action_and_message(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener:
        outcome, question, message = click(feishu_box, listener)

    assert (0, None, False) == (outcome["code"], outcome["toast"], outcome["card_updated"])
    header, event = question["header"], question["event"]
    assert ("card.action.trigger", 16) == (header["event_type"], len(header["create_time"]))
    assert outcome["event_id"] == header["event_id"]
    assert {"tag": "button", "value": VALUE} == event["action"]
    context = {"open_message_id": message["message_id"], "open_chat_id": "oc_sandbox_p2p_lin"}
    assert context == event["context"]
    expected = {
        "open_id": "ou_sandbox_chen",
        "union_id": "on_sandbox_chen",
        "user_id": "sandbox_chen",
        "tenant_key": "sandbox-tenant",
    }
    assert expected == event["operator"]


def test_the_answer_shows_a_toast_and_replaces_the_card(feishu_box: FeishuBox) -> None:
    toast, done = {"type": "success", "content": "done"}, card({"tag": "hr"})
    with listening(feishu_box) as listener:
        answer = {"toast": toast, "card": {"type": "raw", "data": done}}
        outcome, _, message = click(feishu_box, listener, answer=answer)

    assert (0, toast, True) == (outcome["code"], outcome["toast"], outcome["card_updated"])
    assert done == message["content"]


@pytest.mark.parametrize(
    "code, answer, shown",
    [
        (500, None, 200671),
        (200, [], 200672),
        (200, {"toast": {"type": "loud"}}, 200672),
        (200, {"toast": {"content": 5}}, 200672),
        (200, {"card": card()}, 200672),
        (200, {"card": {"type": "raw"}}, 200672),
        (200, {"card": {"type": "raw", "data": card({"tag": "note"})}}, 200673),
        (200, {"card": {"type": "raw", "data": {"elements": []}}}, 200830),
    ],
)
def test_a_bad_answer_is_shown_as_a_code_and_changes_nothing(
    feishu_box: FeishuBox, code: int, answer: object, shown: int
) -> None:
    with listening(feishu_box) as listener:
        outcome, _, message = click(feishu_box, listener, code=code, answer=answer)

    assert shown == outcome["code"]
    assert card() == message["content"]
    assert {shown: 1} == feishu_box.refusals()


def test_no_answer_in_time_is_200341_and_the_click_is_not_repeated() -> None:
    with FeishuBox(SandboxSettings(answer_seconds=0.05)) as box, listening(box) as listener:
        message_id = send(box, card()).data["message_id"]
        outcome = box.click(message_id, "ou_sandbox_lin", VALUE)
        first = listener.event()[1]
        box.advance(30_000)
        box.change_balance("7000000000000000001", points=1)

        assert 200341 == outcome["code"]
        assert first["header"]["event_type"] == "card.action.trigger"
        assert listener.event()[1]["header"]["event_type"] == "hire.referral_account.assets_update_v1"


def test_with_no_client_online_the_app_is_not_online(feishu_box: FeishuBox) -> None:
    message_id = send(feishu_box, card()).data["message_id"]
    outcome = feishu_box.click(message_id, "ou_sandbox_lin", VALUE)

    assert (200340, "app not online") == (outcome["code"], outcome["msg"])


def test_a_card_cannot_be_updated_while_its_click_is_unanswered(feishu_box: FeishuBox) -> None:
    with listening(feishu_box) as listener, ThreadPoolExecutor(1) as pool:
        message_id = send(feishu_box, card()).data["message_id"]
        outcome = pool.submit(feishu_box.click, message_id, "ou_sandbox_lin", VALUE)
        frame, _ = listener.event()
        path, body = (
            f"/im/v1/messages/{message_id}",
            {"content": '{"schema": "2.0", "config": {"update_multi": true}}'},
        )
        refused = api(feishu_box, "PATCH", path, body)
        listener.acknowledge(frame)
        outcome.result()

    assert 230099 == refused.code
    assert "ErrCode: 11310" in refused.content["msg"]
    assert "card action is lock" in refused.content["msg"]


def test_only_a_known_person_can_click_and_only_on_a_card(feishu_box: FeishuBox) -> None:
    text_id, card_id = send(feishu_box, "hi").data["message_id"], send(feishu_box, card()).data["message_id"]

    with pytest.raises(BadClickError, match="no card message"):
        feishu_box.click(text_id, "ou_sandbox_lin", VALUE)
    with pytest.raises(BadClickError, match="no person"):
        feishu_box.click(card_id, "ou_nobody", VALUE)
