"""`notifier preview` without its page: JSON, pictures, and a card that is sent to one person."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cards.templates import shipped_templates
from notifier.cli.main import cli
from notifier.operations.preview.marked_card import MARK
from notifier.sandbox.testing import FeishuBox
from support.browser import find_browser

TEMPLATE = "balance_change.json.j2"
LIN = "ou_sandbox_lin"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The command, without the settings of this shell. environ: further variables."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}\ncards: {{template_dir: '{tmp_path}/own'}}\n",
        encoding="utf-8",
    )
    (tmp_path / "own").mkdir()
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}

    def invoke(*words: str, answer: str | None = None, **environ: str) -> Result:
        return CliRunner().invoke(
            cli, ["preview", *words, "--config", str(file)], env={**hidden, **environ}, input=answer
        )

    return invoke


@pytest.fixture
def app(feishu_box: FeishuBox) -> dict[str, str]:
    """Settings of the app at the stand-in."""
    return {
        "FEISHU_APP_ID": feishu_box.app_id,
        "FEISHU_APP_SECRET": feishu_box.app_secret,
        "NOTIFIER_FEISHU__BASE_URL": feishu_box.url,
    }


def own_template(tmp_path: Path, old: str, new: str) -> None:
    text = (shipped_templates() / TEMPLATE).read_text(encoding="utf-8")
    (tmp_path / "own" / TEMPLATE).write_text(text.replace(old, new, 1), encoding="utf-8")


def test_an_invalid_card_is_printed_too(run: Run, tmp_path: Path) -> None:
    own_template(tmp_path, '"elements"', '"oddity": 1, "elements"')

    assert 1 == json.loads(run(TEMPLATE, "--json").stdout)["body"]["oddity"]


def test_a_broken_template_is_an_error_with_its_line(run: Run, tmp_path: Path) -> None:
    own_template(tmp_path, "{", "{{{ oops }}")
    result = run("--json")

    assert 2 == result.exit_code
    assert result.stderr.startswith(f"notifier: {TEMPLATE}, line 1: ") or "line " in result.stderr


def test_a_data_file_that_is_missing_is_named(run: Run, tmp_path: Path) -> None:
    result = run("--json", "--data", str(tmp_path / "absent.json"))

    assert 2 == result.exit_code
    assert "absent.json: No such file" in result.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (["--sample", "increase", "--data", "x.json"], "Choose one of --sample and --data."),
        (["--json", "--png", "x.png"], "Choose one of --json, --png and --send-to."),
    ],
)
def test_options_that_exclude_each_other(run: Run, words: list[str], said: str) -> None:
    result = run(*words)

    assert 2 == result.exit_code
    assert said in result.stderr


# --png


@pytest.mark.browser
@pytest.mark.parametrize(
    "words, width",
    [(["digest.json.j2"], 1264), (["--phone", "--dark", "--language", "en"], 784)],
)
def test_a_picture_is_a_png_of_the_right_width(
    run: Run, tmp_path: Path, words: list[str], width: int
) -> None:
    find_browser()
    file = tmp_path / "card.png"
    result = run(*words, "--png", str(file))
    content = file.read_bytes()

    assert (0, "") == (result.exit_code, result.stderr)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert width == struct.unpack(">I", content[16:20])[0]
    assert width // 2 < struct.unpack(">I", content[20:24])[0]


def test_without_chromium_a_picture_names_the_remedy(run: Run, tmp_path: Path) -> None:
    result = run("--png", str(tmp_path / "card.png"), PATH=str(tmp_path))

    assert 2 == result.exit_code
    assert "--png: Chromium was not found. Install Chromium (Debian: apt install chromium" in result.stderr
    assert not (tmp_path / "card.png").exists()


def test_a_browser_that_does_not_start_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("--png", str(tmp_path / "card.png"), CHROMIUM="false")

    assert 2 == result.exit_code
    assert "--png: Chromium did not start" in result.stderr


# --send-to


@pytest.mark.parametrize("address", [LIN, "lin"])
def test_a_card_is_sent_once_and_marked_as_a_test(
    run: Run, feishu_box: FeishuBox, app: dict[str, str], address: str
) -> None:
    address = feishu_box.contact(LIN)[0] if address == "lin" else address
    result = run("--sample", "withdraw", "--send-to", address, "--yes", **app)
    (message,) = feishu_box.messages(LIN)
    text = json.dumps(message["content"], ensure_ascii=False)

    assert (0, "") == (result.exit_code, result.stderr)
    assert message["message_id"] in result.stdout
    assert MARK == message["content"]["header"]["text_tag_list"][0]["text"]["content"]
    assert '"disabled": true' in text
    assert "callback" not in text


@pytest.mark.parametrize(
    "address, said",
    [
        ("oc_sandbox_hr", "'oc_sandbox_hr' is neither an e-mail address nor an open_id"),
        ("nobody@example.com", "finds nobody with the address nobody@example.com"),
        ("ou_nobody", "Feishu: "),
    ],
)
def test_nobody_gets_a_card_at_a_wrong_address(
    run: Run, feishu_box: FeishuBox, app: dict[str, str], address: str, said: str
) -> None:
    result = run("--send-to", address, "--yes", **app)

    assert 2 == result.exit_code
    assert said in result.stderr
    assert [] == feishu_box.all_messages()


def test_sending_is_asked_first(run: Run, feishu_box: FeishuBox, app: dict[str, str]) -> None:
    result = run("--send-to", LIN, **app)

    assert 2 == result.exit_code
    assert "--send-to sends a real message. Add --yes" in result.stderr
    assert [] == feishu_box.all_messages()


def test_sending_needs_the_credentials(run: Run) -> None:
    result = run("--send-to", LIN, "--yes")

    assert 2 == result.exit_code
    assert "app_id" in result.stderr
