"""The examples of docs/bots.md, run as they stand, and the lines of both READMEs, which are the same."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from notifier.sandbox.settings import SECRET_PATTERN
from notifier.sandbox.testing import FeishuBox
from sandbox.test_node_sdk import node_folder  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def environment(box: FeishuBox) -> dict[str, str]:
    return {
        **os.environ,
        "FEISHU_SANDBOX_URL": box.url,
        "FEISHU_DOMAIN": box.url,
        "FEISHU_APP_ID": box.app_id,
        "FEISHU_APP_SECRET": box.app_secret,
        "NO_PROXY": "127.0.0.1",
    }


@pytest.mark.timeout(200)
def test_the_python_examples_pass_their_tests() -> None:
    bot, first_test, orders, second_test = blocks("docs/bots.md", "python")
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, where no file may have the sample secret
        folder = Path(name)
        (folder / "bot.py").write_text(bot, encoding="utf-8")
        (folder / "orders.py").write_text(orders, encoding="utf-8")
        (folder / "test_bots.py").write_text(f"{first_test}\n\n{second_test}", encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    assert "2 passed" in ran.stdout, SECRET_PATTERN.sub("...", ran.stdout + ran.stderr)


@pytest.mark.node
@pytest.mark.timeout(300)
def test_the_node_example_is_a_test_that_passes(
    feishu_box: FeishuBox,
    node_folder: Path,  # noqa: F811 - the fixture
) -> None:
    file = node_folder / "bots.test.mjs"
    file.write_text(blocks("docs/bots.md", "js")[0], encoding="utf-8")
    ran = subprocess.run(
        ["node", "--test", file.name],
        cwd=node_folder,
        env=environment(feishu_box),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "pass 1" in ran.stdout
    feishu_box.wait_for(lambda: feishu_box.connections() == 0, "the connection is closed")


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
@pytest.mark.parametrize("language", ["python", "js", "go"])
def test_the_lines_of_the_readme_are_those_of_the_example(page: str, language: str) -> None:
    example = {line.strip() for block in blocks("docs/bots.md", language) for line in block.splitlines()}
    [shown] = blocks(page, language)

    assert 3 == len(shown.splitlines())
    assert set() == set(shown.splitlines()) - example


def test_the_example_values_are_the_defaults() -> None:
    text = (ROOT / "docs" / "bots.md").read_text(encoding="utf-8")
    with FeishuBox() as box:
        assert f"`FEISHU_APP_ID` | `{box.app_id}`" in text
        assert f"`FEISHU_APP_SECRET` | `{box.app_secret}`" in text
