"""The official Python SDK, unchanged, against the sandbox."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, send

CLIENT = Path(__file__).parent / "python_client.py"
LIN = "7000000000000000001"
SLOW_IMPORT_SECONDS = 90


@contextmanager
def sdk(box: FeishuBox, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """The client in a process of its own: the SDK binds an event loop when it is imported, and cannot be stopped."""
    command = [sys.executable, str(CLIENT), box.url, box.app_id, box.app_secret]
    variables = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            box.wait_for(box.connections, "the SDK is connected", SLOW_IMPORT_SECONDS)
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("chunk_bytes", [200_000, 40])
def test_the_python_sdk_receives_sends_clicks_and_comes_back(chunk_bytes: int) -> None:
    with FeishuBox(SandboxSettings(chunk_bytes=chunk_bytes)) as box, sdk(box) as process:
        (event_id,) = box.change_balance(LIN, points=3)
        assert f"event {event_id} {LIN} 123 CNY 350.5" == line(process)
        box.wait_for(lambda: box.event(event_id)["state"] == "acknowledged", "the ack has arrived")
        assert "sent 0" == line(process)
        assert [{"text": "balance changed"}] == [one["content"] for one in box.messages("ou_sandbox_lin")]

        message_id = send(box, card()).data["message_id"]
        outcome = box.click(message_id, "ou_sandbox_lin", {"op": "withdraw"})
        assert (0, {"type": "info", "content": "withdraw"}, True) == (
            outcome["code"],
            outcome["toast"],
            outcome["card_updated"],
        )

        unreadable = box.push_payload("not json")
        box.wait_for(lambda: box.push_codes(unreadable) == [500], "the SDK has refused it")
        assert "waiting" == box.event(unreadable)["state"]

        box.disconnect_all()
        box.wait_for(lambda: box.connections() == 0, "the connection broke")
        box.wait_for(box.connections, "the SDK is back", 20)
        (event_id,) = box.change_balance(LIN, points=1)
        box.wait_for(lambda: box.event(event_id)["state"] == "acknowledged", "the next ack has arrived")
        assert {} == box.refusals()


def test_the_python_sdk_connects_by_https(tmp_path: Path) -> None:
    """Its calls are made by requests, its long connection by websockets: each trusts by a variable of its own."""
    ca_file = str(tmp_path / "ca.pem")
    with (
        FeishuBox(SandboxSettings(ca_file=ca_file)) as box,
        sdk(box, SSL_CERT_FILE=ca_file, REQUESTS_CA_BUNDLE=ca_file) as process,
    ):
        assert box.url.startswith("https://")
        (event_id,) = box.change_balance(LIN, points=3)
        assert f"event {event_id} {LIN} 123 CNY 350.5" == line(process)
        assert "sent 0" == line(process)
