"""The official Node SDK, unchanged, against the sandbox: a second reading of the wire, by other people."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import card, send
from support.packages import npm_folder

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "node"
PROGRAMS = ("client.js", "webhook.js", "bot.js")
LIN = "7000000000000000001"

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


@pytest.fixture
def node_folder() -> Path:
    """The clients of tests/node with the Node SDK."""
    return npm_folder(SOURCE, "node", (SOURCE / name for name in PROGRAMS))


@contextmanager
def sdk(
    box: FeishuBox, folder: Path, program: str = "client.js", **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    command = ["node", program, box.url, box.app_id, box.app_secret]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **variables}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            box.wait_for(box.connections, "the SDK is connected", 60)
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("chunk_bytes", [200_000, 40])
def test_the_node_sdk_receives_sends_clicks_and_comes_back(node_folder: Path, chunk_bytes: int) -> None:
    with FeishuBox(SandboxSettings(chunk_bytes=chunk_bytes)) as box, sdk(box, node_folder) as process:
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

        box.disconnect_all()
        box.wait_for(lambda: box.connections() == 0, "the connection broke")
        box.wait_for(box.connections, "the SDK is back", 20)
        (event_id,) = box.change_balance(LIN, points=1)
        box.wait_for(lambda: box.event(event_id)["state"] == "acknowledged", "the next ack has arrived")
        assert {} == box.refusals()


def test_the_node_sdk_takes_events_by_webhook(node_folder: Path) -> None:
    """It verifies the signature over its own compact JSON of the body, so the body must be compact."""
    key, token = "an-encrypt-key", "a-token"
    settings = SandboxSettings(webhook_encrypt_key=key, webhook_verification_token=token)
    command = ["node", "webhook.js", key, token]
    with (
        FeishuBox(settings) as box,
        subprocess.Popen(command, cwd=node_folder, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert "" == box.set_webhook(line(process)), "the address is verified"
            (event_id,) = box.change_balance(LIN, points=3)
            assert f"event {event_id} {LIN} 123" == line(process)
            box.wait_for(lambda: box.event(event_id)["state"] == "acknowledged", "it is delivered")
        finally:
            process.kill()


def test_the_node_channel_connects_and_uploads_bytes_without_a_name(node_folder: Path) -> None:
    """LarkChannel throws without bot/v3/info; a Buffer is sent as a part without a file name."""
    with FeishuBox() as box, sdk(box, node_folder, "bot.js") as process:
        assert "connected ou_sandbox_bot" == line(process)
        kind, file_key = line(process).split(" ")
        assert "file" == kind
        assert bytes([0, 255, 1, 254]) == box.file(file_key)
        assert line(process).startswith("image img_")
        unknown = line(process)
        assert unknown.startswith("unknown 404 ")
        assert "GET /open-apis/calendar/v4/calendars" in unknown


def test_the_node_sdk_connects_by_https(node_folder: Path, tmp_path: Path) -> None:
    ca_file = str(tmp_path / "ca.pem")
    with (
        FeishuBox(SandboxSettings(ca_file=ca_file)) as box,
        sdk(box, node_folder, NODE_EXTRA_CA_CERTS=ca_file) as process,
    ):
        (event_id,) = box.change_balance(LIN, points=3)
        assert f"event {event_id} {LIN} 123 CNY 350.5" == line(process)
        assert "sent 0" == line(process)
