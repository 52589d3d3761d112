"""Pytest plugin: the fixture `feishu_box`, a stand-in Feishu of its own for each test."""

from collections.abc import Iterator

import pytest

from notifier.sandbox.testing import FeishuBox


@pytest.fixture
def feishu_box() -> Iterator[FeishuBox]:
    with FeishuBox() as box:
        yield box
