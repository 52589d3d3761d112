"""Files: the upload, against the stand-in over a real socket."""

from collections.abc import AsyncIterator

import pytest

from notifier.errors import OutcomeUnknown, Refused, TemporaryFailure
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock

UPLOAD = "POST /open-apis/im/v1/files"
NAME = "内推奖励_2026-11-23.csv"


@pytest.fixture
async def api(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuApi]:
    access = AppAccess(base_url=feishu_box.url, app_id=feishu_box.app_id, app_secret=feishu_box.app_secret)
    async with FeishuApi(access, clock) as opened:
        yield opened


async def test_a_file_arrives_as_it_is(api: FeishuApi, feishu_box: FeishuBox) -> None:
    content = "\ufeff账户,金额\r\n".encode() + bytes(range(256))
    key = await FeishuMessageSender(api).upload(NAME, content)

    assert content == feishu_box.file(key)
    assert 1 == len(feishu_box.requests("/open-apis/im/v1/files"))


async def test_a_token_that_feishu_rejects_is_renewed_and_the_file_sent_again(
    api: FeishuApi, feishu_box: FeishuBox
) -> None:
    feishu_box.expire_tokens()

    assert b"x" == feishu_box.file(await FeishuMessageSender(api).upload(NAME, b"x"))


@pytest.mark.parametrize("size, meaning", [(0, "empty"), (30 * 1024 * 1024 + 1, "larger than 30 MB")])
async def test_what_feishu_does_not_take_is_said(api: FeishuApi, size: int, meaning: str) -> None:
    with pytest.raises(Refused, match=meaning):
        await FeishuMessageSender(api).upload(NAME, bytes(size))


async def test_a_missing_scope_is_named(api: FeishuApi, feishu_box: FeishuBox) -> None:
    feishu_box.set_scopes(["im:message:send_as_bot"])

    with pytest.raises(Refused, match="im:resource"):
        await FeishuMessageSender(api).upload(NAME, b"x")


async def test_an_answer_without_a_key_is_no_upload(api: FeishuApi, feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault({"match": UPLOAD, "action": "code", "code": 0, "http_status": 200, "times": 1})

    with pytest.raises(TemporaryFailure, match="names no file"):
        await FeishuMessageSender(api).upload(NAME, b"x")


async def test_an_upload_that_breaks_off_is_unknown(api: FeishuApi, feishu_box: FeishuBox) -> None:
    feishu_box.add_call_fault({"match": UPLOAD, "action": "reset_after", "times": 1})

    with pytest.raises(OutcomeUnknown):
        await FeishuMessageSender(api).upload(NAME, b"x")
