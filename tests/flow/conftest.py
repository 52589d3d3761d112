"""The real calls to Feishu, made to the stand-in."""

from collections.abc import AsyncIterator

import pytest

from notifier.feishu.api import AppAccess, FeishuApi
from notifier.sandbox.testing import FeishuBox
from support.clock import FakeClock


@pytest.fixture
async def api(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuApi]:
    access = AppAccess(
        base_url=feishu_box.url,
        app_id=feishu_box.app_id,
        app_secret=feishu_box.app_secret,
        timeout_seconds=2,
    )
    async with FeishuApi(access, clock) as opened:
        await opened.token()
        yield opened
