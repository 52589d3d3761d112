"""Changing a card that was sent, at the stand-in."""

import json
from collections.abc import AsyncIterator

import pytest

from notifier.domain.delivery import CardVariant, Content
from notifier.errors import CardRefused, OutcomeUnknown, Refused, TemporaryFailure
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock

LIN = "ou_sandbox_lin"
PATCH_PATH = "/open-apis/im/v1/messages/om"
PATCH = f"PATCH {PATCH_PATH}"
DAY_SECONDS = 86_400


@pytest.fixture
async def messages(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuMessageSender]:
    access = AppAccess(base_url=feishu_box.url, app_id=feishu_box.app_id, app_secret=feishu_box.app_secret)
    async with FeishuApi(access, clock) as api:
        yield FeishuMessageSender(api)


def card(text: str) -> str:
    elements = [{"tag": "div", "text": {"tag": "plain_text", "content": text}}]
    return json.dumps({"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": elements}})


async def sent(messages: FeishuMessageSender) -> str:
    content = Content(variant=CardVariant.FULL, msg_type="interactive", body=card("before"))
    return (await messages.send(content, id_type="open_id", receive_id=LIN, uuid="u-1")).message_id


async def test_a_card_is_replaced_where_it_hangs(
    feishu_box: FeishuBox, messages: FeishuMessageSender
) -> None:
    message_id = await sent(messages)
    await messages.update(message_id, card("余额 0 “ok”"))

    (message,) = feishu_box.messages(LIN)
    assert (message_id, json.loads(card("余额 0 “ok”"))) == (message["message_id"], message["content"])


async def test_the_same_change_twice_does_no_harm(
    feishu_box: FeishuBox, messages: FeishuMessageSender
) -> None:
    message_id = await sent(messages)
    for _ in range(2):
        await messages.update(message_id, card("after"))

    (message,) = feishu_box.messages(LIN)
    assert json.loads(card("after")) == message["content"]


async def test_a_card_older_than_14_days_stays_as_it_is(
    feishu_box: FeishuBox, messages: FeishuMessageSender
) -> None:
    message_id = await sent(messages)
    feishu_box.advance(15 * DAY_SECONDS)
    with pytest.raises(Refused) as refused:
        await messages.update(message_id, card("after"))

    (message,) = feishu_box.messages(LIN)
    assert 230031 == refused.value.code
    assert json.loads(card("before")) == message["content"]


@pytest.mark.parametrize("message_id", ["om_nobody", "om_a/reply", "om a?b#c%2F"])
async def test_a_message_feishu_does_not_know_is_refused(
    messages: FeishuMessageSender, message_id: str
) -> None:
    with pytest.raises(Refused) as refused:
        await messages.update(message_id, card("after"))

    assert 99992354 == refused.value.code


@pytest.mark.parametrize(
    "code, msg", [(11310, "card action is lock"), (230099, "ErrCode: 11310; ErrMsg: card action is lock")]
)
async def test_a_card_that_somebody_uses_is_changed_a_second_later(
    feishu_box: FeishuBox, messages: FeishuMessageSender, code: int, msg: str
) -> None:
    message_id = await sent(messages)
    feishu_box.add_call_fault({"match": PATCH, "action": "code", "code": code, "msg": msg, "times": 1})
    with pytest.raises(TemporaryFailure) as put_off:
        await messages.update(message_id, card("after"))

    assert (1, False) == (put_off.value.retry_after_seconds, put_off.value.affects_whole_app)
    await messages.update(message_id, card("after"))


async def test_a_card_that_is_not_shared_is_refused(messages: FeishuMessageSender) -> None:
    message_id = await sent(messages)
    with pytest.raises(Refused) as refused:
        await messages.update(message_id, '{"schema": "2.0", "body": {"elements": []}}')

    assert 230001 == refused.value.code


async def test_a_card_of_the_wrong_form_may_be_made_simpler(
    feishu_box: FeishuBox, messages: FeishuMessageSender
) -> None:
    message_id = await sent(messages)
    feishu_box.add_call_fault({"match": PATCH, "action": "code", "code": 11311})
    with pytest.raises(CardRefused):
        await messages.update(message_id, card("after"))


async def test_a_change_whose_answer_is_lost_is_made_again(
    feishu_box: FeishuBox, messages: FeishuMessageSender
) -> None:
    message_id = await sent(messages)
    feishu_box.add_call_fault({"match": PATCH, "action": "reset_after", "times": 1})
    with pytest.raises(OutcomeUnknown):
        await messages.update(message_id, card("after"))

    await messages.update(message_id, card("after"))
    (message,) = feishu_box.messages(LIN)
    assert json.loads(card("after")) == message["content"]
