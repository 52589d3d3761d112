"""Bots on libraries of other people, unchanged, against the sandbox: each goes through one trial."""

import sys
from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from outside.trial import STEPS, running_bot
from support.packages import npm_folder, python_with
from support.ports import free_port

HERE = Path(__file__).parent
BOTS = HERE / "bots"
WITHOUT_STREAM = [step for step in STEPS if step != "stream"]
"""For libraries that have no streaming cards."""

pytestmark = pytest.mark.timeout(300)


def test_the_python_sdk(feishu_box: FeishuBox) -> None:
    command = [sys.executable, str(BOTS / "python_sdk.py")]
    with running_bot(feishu_box, command) as trial:
        trial.run(WITHOUT_STREAM)


def test_the_channel_of_the_python_sdk(feishu_box: FeishuBox) -> None:
    command = [sys.executable, str(BOTS / "feishu_channel.py"), "lark_oapi.channel"]
    with running_bot(feishu_box, command) as trial:
        trial.run(STEPS)


def test_nonebot(feishu_box: FeishuBox) -> None:
    command = [
        python_with(HERE / "requirements.txt", "nonebot"),
        str(BOTS / "nonebot_bot.py"),
        str(free_port()),
    ]
    with running_bot(feishu_box, command) as trial:
        trial.run(WITHOUT_STREAM)


@pytest.mark.node
@pytest.mark.parametrize(
    "program, steps", [("node_sdk.js", WITHOUT_STREAM), ("lark_channel.js", STEPS)], ids=["sdk", "channel"]
)
def test_the_node_sdk(feishu_box: FeishuBox, program: str, steps: list[str]) -> None:
    folder = npm_folder(HERE.parent / "node", "node", [BOTS / program])
    with running_bot(feishu_box, ["node", program], folder=folder) as trial:
        trial.run(steps)


@pytest.mark.node
def test_satori(feishu_box: FeishuBox) -> None:
    folder = npm_folder(HERE / "node", "satori", [BOTS / "satori.js"])
    command = ["node", "satori.js"]
    with running_bot(feishu_box, command, folder=folder, first_call="/open-apis/bot/v3/info") as trial:
        trial.run(WITHOUT_STREAM)
