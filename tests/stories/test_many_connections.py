"""A crowd of strangers: connections that say nothing keep neither events nor questions out, and fill no log."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from notifier.sandbox.testing import FeishuBox
from support.ports import free_port
from support.running import RunningNotifier
from support.waiting import wait_until

ACCOUNT = "7000000000000000001"
DESCRIPTORS = 128
LIMITED = f"""\
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
runpy.run_module("notifier", run_name="__main__", alter_sys=True)
"""


class Crowded(RunningNotifier):
    """One that may have few files open, with the address where it says how it is."""

    health: str = ""

    def is_alive(self) -> bool:
        with urllib.request.urlopen(f"{self.health}/livez", timeout=5) as answer:
            return bool(json.load(answer)["alive"])


@pytest.fixture(params=[True, False], ids=["webhook", "long connection"])
def notifier(feishu_box: FeishuBox, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Crowded]:
    port = free_port()
    running = Crowded(
        feishu_box,
        tmp_path,
        more=f"health:\n  listen: 127.0.0.1:{port}\n",
        program=("-c", LIMITED),
        webhook=request.param,
    )
    running.health = f"http://127.0.0.1:{port}"
    running.start()
    yield running
    if not running.ended:
        running.kill()


def test_a_crowd_that_says_nothing_keeps_nobody_out(notifier: Crowded) -> None:
    box = notifier.box
    wait_until(notifier.is_alive, "it is alive", seconds=30)
    addresses = [notifier.health, *filter(None, [notifier.webhook_url])]
    with ExitStack() as crowd:
        for address in addresses:
            place = urlsplit(address)
            for number in range(DESCRIPTORS + 32):
                stranger = crowd.enter_context(
                    socket.create_connection((place.hostname, place.port), timeout=5)
                )
                if number % 2:
                    stranger.sendall(b"POST /feishu/events HTTP/1.1\r\nHost: here\r\n")
        box.disconnect_all()
        [event_id] = box.change_balance(ACCOUNT, points=5)

        box.wait_for(lambda: 200 in box.push_codes(event_id), "it is acknowledged", timeout=60)
        box.wait_for(lambda: box.messages("ou_sandbox_lin"), "the card", timeout=60)
        assert notifier.is_alive()
    assert 0 == notifier.stop()
    assert "out of system resource" not in notifier.log
    assert len(notifier.log) < 100_000
