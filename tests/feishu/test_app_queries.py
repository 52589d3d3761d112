"""Chats: is the bot in there? Asked of the stand-in."""

from collections.abc import AsyncIterator

import pytest

from notifier.errors import CallError, Refused
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.app_queries import bot_is_in
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock

GROUP = "oc_sandbox_hr"


@pytest.fixture
async def api(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuApi]:
    access = AppAccess(base_url=feishu_box.url, app_id=feishu_box.app_id, app_secret=feishu_box.app_secret)
    async with FeishuApi(access, clock) as opened:
        yield opened


@pytest.mark.parametrize("has_bot", [True, False])
async def test_the_bot_is_where_it_was_added(
    feishu_box: FeishuBox,
    api: FeishuApi,
    has_bot: bool,  # noqa: FBT001 - both answers
) -> None:
    feishu_box.set_group(GROUP, has_bot=has_bot)

    assert has_bot is await bot_is_in(api, GROUP)


async def test_a_chat_that_does_not_exist_is_an_error(api: FeishuApi) -> None:
    with pytest.raises(CallError):
        await bot_is_in(api, "oc_nowhere")


async def test_a_missing_scope_is_named(feishu_box: FeishuBox, api: FeishuApi) -> None:
    feishu_box.set_scopes(["im:message:send_as_bot"])
    with pytest.raises(Refused, match="im:chat:readonly"):
        await bot_is_in(api, GROUP)


async def test_a_chat_id_cannot_lead_to_another_call(feishu_box: FeishuBox, api: FeishuApi) -> None:
    with pytest.raises(CallError):
        await bot_is_in(api, "../messages?x=")

    (line,) = feishu_box.requests("/open-apis/im")
    assert line["path"].startswith("/open-apis/im/v1/chats/")
    assert line["path"].endswith("/members/is_in_chat")
