"""Pytest plugin with the fixture `feishu_box`: a separate sandbox for each test."""

from collections.abc import Iterator

import pytest

from notifier.sandbox.testing import FeishuBox


@pytest.fixture
def feishu_box() -> Iterator[FeishuBox]:
    """A started sandbox that stops after the test."""
    with FeishuBox() as box:
        yield box
