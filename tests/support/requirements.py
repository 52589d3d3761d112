"""Tools that a machine may lack: a test that needs one is skipped, or fails where the tool is demanded."""

import os
from typing import NoReturn

import pytest


def skip_or_fail(tool: str, why: str) -> NoReturn:
    """Skips the test, or fails it if NOTIFIER_TESTS_REQUIRE names the tool: browser, node, cc, promtool, pip,
    kubectl, namespaces or systemd.
    """
    if tool in os.environ.get("NOTIFIER_TESTS_REQUIRE", "").split(","):
        pytest.fail(why)
    pytest.skip(why)
