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
NODE = HERE.parent / "node"
WITHOUT_STREAM = [step for step in STEPS if step != "stream"]
"""For libraries that have no streaming cards."""

pytestmark = pytest.mark.timeout(300)


def node_bot(program: str, source: Path, name: str) -> tuple[list[str], Path]:
    folder = npm_folder(source, name, [BOTS / program])
    return ["node", program], folder


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
    "program, source, name, steps",
    [
        pytest.param("node_sdk.js", NODE, "node", WITHOUT_STREAM, id="node-sdk"),
        pytest.param("lark_channel.js", NODE, "node", STEPS, id="lark-channel"),
        pytest.param("satori.js", HERE / "node", "satori", WITHOUT_STREAM, id="satori"),
    ],
)
def test_node(feishu_box: FeishuBox, program: str, source: Path, name: str, steps: list[str]) -> None:
    command, folder = node_bot(program, source, name)
    with running_bot(feishu_box, command, folder=folder) as trial:
        trial.run(steps)
