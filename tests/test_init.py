"""`notifier init`: what it asks, what it writes, and what it never leaves behind."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from notifier.config.loader import load_config
from notifier.operations.setup import config_text
from notifier.operations.setup.config_text import GroupSetup, SetupChoices, choose_groups, render_config
from notifier.operations.setup.files import merge_env
from notifier.sandbox.settings import DEFAULT_SCOPES
from notifier.sandbox.testing import FeishuBox
from support.ports import free_port
from support.running import clean_environment
from support.terminal import TerminalSession, on_terminal

HR, FALLBACK = "oc_sandbox_hr", "oc_sandbox_fallback"
CHINESE = {"LC_ALL": "zh_CN.UTF-8"}


def run(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None, secret: str = ""
) -> "subprocess.CompletedProcess[str]":
    """`notifier init` without a terminal. secret: on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "notifier", "init", *words],
        cwd=folder,
        input=secret,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment() | {"LC_ALL": "C.UTF-8"} | dict(environment or {}),
    )


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


# without a terminal


def test_options_write_both_files_and_the_service_can_load_them(
    feishu_box: FeishuBox, tmp_path: Path
) -> None:
    ran = run(
        tmp_path,
        *("--app-id", feishu_box.app_id, "--base-url", feishu_box.url, "--secret-file", "-"),
        *("--group", f"hr={HR}", "--group", f"fallback={FALLBACK}", "--operator", "ou_sandbox_zhou"),
        *("--withdraw", "referrer", "--withdraw", "hr", "--test-app"),
        secret=feishu_box.app_secret + "\n",
    )

    assert 0 == ran.returncode, ran.stderr
    assert {"config.yaml", ".env"} == files_in(tmp_path)
    assert [0o600, 0o600] == [mode_of(tmp_path / name) for name in ("config.yaml", ".env")]
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert feishu_box.app_secret not in text + ran.stdout + ran.stderr
    config = load_config(tmp_path / "config.yaml", {}).config
    assert feishu_box.app_secret == config.feishu.app_secret.get_secret_value()
    assert (feishu_box.app_id, feishu_box.url, "test") == (
        config.feishu.app_id,
        config.feishu.base_url,
        config.feishu.environment,
    )
    assert {"hr": HR, "fallback": FALLBACK} == {name: each.chat_id for name, each in config.groups.items()}
    assert ("ou_sandbox_zhou",) == config.groups["hr"].operators
    assert ("fallback", ("referrer", "hr")) == (config.fallback_group, config.withdrawals.offer_to)
    assert ("referrer", "hr") == config.routes[0].to
    assert "hire:external_referral_reward" in ran.stdout
    for command in ("notifier doctor", "notifier accounts import", "notifier run", "notifier try reward"):
        assert command in ran.stdout


def test_the_name_of_a_group_becomes_a_comment(feishu_box: FeishuBox, tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        *("--app-id", feishu_box.app_id, "--base-url", feishu_box.url, "--group", f"hr={HR}"),
        environment={"FEISHU_APP_SECRET": feishu_box.app_secret},
    )

    assert 0 == ran.returncode, ran.stderr
    name = next(each["name"] for each in feishu_box.state()["chats"] if each["chat_id"] == HR)
    assert f"chat_id: {HR}   # {name}" in (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "Note: FEISHU_APP_SECRET is set in the environment" in ran.stdout


@pytest.mark.parametrize(
    "words, secret, expected",
    [
        ([], "", "--app-id is needed without a terminal"),
        (["--app-id", "cli_a1b2"], "", "--secret-file is needed without a terminal"),
        (["--app-id", "cli a", "--secret-file", "-"], "s3cret", "An app id has letters, digits and _ only"),
        (["--app-id", "cli_a1b2", "--secret-file", "-"], "two words", "A secret has no blanks"),
        (["--app-id", "cli_a1b2", "--secret-file", "missing"], "", "--secret-file: missing cannot be read"),
        (
            ["--app-id", "cli_a1b2", "--secret-file", "-", "--base-url", "http://x.com"],
            "s3cret",
            "with https",
        ),
        (["--group", "hr=om_1"], "", "neither a number of the list nor a chat_id"),
        (["--group", "HR=oc_1"], "", "write NAME=CHAT_ID"),
        (["--group", "referrer=oc_1"], "", "write NAME=CHAT_ID"),
        (["--operator", "zhou"], "", "an operator is an e-mail address"),
        (
            ["--app-id", "cli_a1b2", "--secret-file", "-", "--offline", "--withdraw", "hr"],
            "s3cret",
            "--withdraw hr needs --group hr=oc_...",
        ),
        (
            ["--app-id", "cli_a1b2", "--secret-file", "-", "--offline", "--operator", "ou_1a2b"],
            "s3cret",
            "--operator needs --group hr=oc_...",
        ),
        (["--config", ".env"], "", ".env: holds the secret"),
        (["--config", "missing/config.yaml"], "", "missing: no such folder"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_written(
    tmp_path: Path, words: list[str], secret: str, expected: str
) -> None:
    ran = run(tmp_path, *words, secret=secret)

    assert 2 == ran.returncode
    assert expected in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not secret or secret not in ran.stderr + ran.stdout
    assert set() == files_in(tmp_path)


@pytest.mark.parametrize("app_id, secret, code", [("cli_other", None, 10003), (None, "another-one", 10015)])
def test_rejected_credentials_are_named_by_their_code(
    feishu_box: FeishuBox, tmp_path: Path, app_id: str | None, secret: str | None, code: int
) -> None:
    ran = run(
        tmp_path,
        *(
            "--app-id",
            app_id or feishu_box.app_id,
            "--base-url",
            feishu_box.url,
            "--secret-file",
            "-",
            "--yes",
        ),
        secret=secret or feishu_box.app_secret,
    )

    assert (2, set()) == (ran.returncode, files_in(tmp_path))
    assert f"(code {code})" in ran.stderr


def test_without_an_answer_it_is_written_only_if_that_is_wanted(tmp_path: Path) -> None:
    words = ("--app-id", "cli_a1b2", "--base-url", f"http://127.0.0.1:{free_port()}", "--secret-file", "-")

    ran = run(tmp_path, *words, secret="s3cret")
    assert (2, set()) == (ran.returncode, files_in(tmp_path))
    assert "cannot be reached" in ran.stderr
    assert "Add --yes" in ran.stderr
    ran = run(tmp_path, *words, "--yes", secret="s3cret")
    assert (0, {"config.yaml", ".env"}) == (ran.returncode, files_in(tmp_path))
    assert "cannot be reached" in ran.stderr


# what exists already

OFFLINE = ("--app-id", "cli_a1b2", "--secret-file", "-", "--offline")


def test_existing_files_are_replaced_only_if_asked_and_kept_as_copies(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# mine\n", encoding="utf-8")
    (tmp_path / ".env").write_text("OTHER=1\nexport FEISHU_APP_SECRET=old\n# mine, too\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)

    ran = run(tmp_path, *OFFLINE, secret="s3cret")
    assert 2 == ran.returncode
    assert "exists already. Add --yes" in ran.stderr
    assert "# mine\n" == (tmp_path / "config.yaml").read_text(encoding="utf-8")

    for _ in range(2):
        ran = run(tmp_path, *OFFLINE, "--yes", secret="s3cret")
        assert 0 == ran.returncode, ran.stderr
    text = (tmp_path / ".env").read_text(encoding="utf-8")
    assert "OTHER=1\n# mine, too\nFEISHU_APP_SECRET=s3cret\n" == text
    copies = [path for path in tmp_path.iterdir() if path.suffix == ".bak"]
    assert 4 == len(copies)
    assert {0o600} == {mode_of(each) for each in copies}
    assert "# mine\n" in {each.read_text(encoding="utf-8") for each in copies}
    assert 6 == len(files_in(tmp_path)), "nothing else is left"


@pytest.mark.parametrize("name", ["config.yaml", ".env"])
def test_symbolic_links_and_folders_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    target = tmp_path / "elsewhere"
    target.write_text("kept", encoding="utf-8")
    (folder / name).symlink_to(target)

    ran = run(folder, *OFFLINE, "--yes", secret="s3cret")
    assert 2 == ran.returncode
    assert f"{name}: is a symbolic link to {target}." in ran.stderr
    assert ({name}, "kept") == (files_in(folder), target.read_text(encoding="utf-8"))

    (folder / name).unlink()
    (folder / name).mkdir()
    ran = run(folder, *OFFLINE, "--yes", secret="s3cret")
    assert 2 == ran.returncode
    assert f"{name}: is not a file." in ran.stderr


def test_a_folder_that_takes_no_files_is_named(tmp_path: Path) -> None:
    """/proc takes no files, not even from root."""
    ran = run(tmp_path, *OFFLINE, "--yes", "--config", "/proc/config.yaml", secret="s3cret")

    assert 2 == ran.returncode
    assert "/proc: files cannot be written there" in ran.stderr
    assert "Traceback" not in ran.stderr


# the texts


def test_only_what_was_chosen_differs_from_the_example() -> None:
    example = config_text.read_example().splitlines()
    plain = render_config(SetupChoices(app_id="cli_a1b2", base_url="https://open.feishu.cn")).splitlines()

    assert ['  app_id: ""'] == [line for line in example if line not in plain]
    assert ["  app_id: cli_a1b2"] == [line for line in plain if line not in example]


def test_every_choice_is_in_the_file(tmp_path: Path) -> None:
    groups = {
        "hr": GroupSetup(chat_id="oc_1", label="招聘\x1b[31m\n # 群", operators=("ou_1", "ou_2")),
        "alarms": GroupSetup(chat_id="oc_2"),
    }
    choices = SetupChoices(
        app_id='we"ird',
        base_url="https://open.larksuite.com",
        is_test=True,
        groups=groups,
        fallback_group="hr",
        alarm_group="alarms",
        offer_to=("hr",),
    )
    file = tmp_path / "config.yaml"
    file.write_text(render_config(choices), encoding="utf-8")
    config = load_config(file, {}).config

    assert ('we"ird', "https://open.larksuite.com") == (config.feishu.app_id, config.feishu.base_url)
    assert (("ou_1", "ou_2"), ()) == (config.groups["hr"].operators, config.groups["alarms"].operators)
    assert ("hr", "alarms", ("hr",)) == (
        config.fallback_group,
        config.payouts.alarm_group,
        config.withdrawals.offer_to,
    )
    kept = {line for line in config_text.read_example().splitlines() if line.startswith("  #")}
    assert kept <= set(file.read_text(encoding="utf-8").splitlines())
    assert YAML(typ="safe").load(file)["feishu"]["app_secret"] == ""


@pytest.mark.parametrize("order", [("hr", "fallback", "alarms"), ("alarms", "fallback", "hr")])
def test_one_chat_has_one_name(order: tuple[str, ...]) -> None:
    groups, fallback, alarms = choose_groups({name: GroupSetup(chat_id="oc_1") for name in order})

    assert (["hr"], "hr", "hr") == (list(groups), fallback, alarms)
    assert ({}, None, None) == choose_groups({})


@pytest.mark.parametrize("secret", ["plain", "with#hash", "a$b", "it's", "back\\\"sl'ash", "x=y"])
def test_any_secret_survives_the_file(tmp_path: Path, secret: str) -> None:
    env = tmp_path / ".env"
    env.write_text(merge_env(env, {"FEISHU_APP_SECRET": secret}, []), encoding="utf-8")
    env.chmod(0o600)
    config = tmp_path / "config.yaml"
    config.write_text("", encoding="utf-8")

    assert secret == load_config(config, {}).config.feishu.app_secret.get_secret_value()


# on a terminal


def test_a_person_is_asked_and_chooses_from_the_groups(feishu_box: FeishuBox, tmp_path: Path) -> None:
    names = [each["name"] for each in feishu_box.state()["chats"] if each["chat_id"] in (HR, FALLBACK)]
    with on_terminal("init", folder=tmp_path) as terminal:
        terminal.answer("1 Feishu, 2 Lark, or another address [1]: ", feishu_box.url)
        terminal.answer("App ID: ", "not an id")
        terminal.expect("An app id has letters, digits and _ only")
        terminal.answer("App ID: ", feishu_box.app_id)
        terminal.answer("App secret (not shown): ", "a-wrong-one")
        terminal.expect("The app secret is wrong (code 10015).")
        terminal.answer("App secret (not shown): ", feishu_box.app_secret)
        terminal.expect("Feishu accepts the app.")
        terminal.answer("Is it a test app, without real rewards? [y/N]: ", "y")
        for number, name in enumerate(names, 1):
            terminal.expect(f"{number}  {name}")
        terminal.answer("HR group", "99")
        terminal.expect("99 is neither a number of the list")
        terminal.answer("HR group", str(1 + [HR, FALLBACK].index(HR)))
        terminal.answer("Fallback group", FALLBACK)
        terminal.answer("Another group, such as sales=2", "")
        terminal.answer("Withdraw button on the cards", "4")
        terminal.answer("addresses or open_ids of those who may withdraw", "zhou")
        terminal.expect("an operator is an e-mail address, or an open_id")
        terminal.answer("addresses or open_ids of those who may withdraw", "zhou@sandbox.example")
        terminal.expect("notifier doctor")
        assert 0 == terminal.wait_end()
        assert feishu_box.app_secret not in terminal.text
        assert "a-wrong-one" not in terminal.text

    config = load_config(tmp_path / "config.yaml", {}).config
    assert {"hr": HR, "fallback": FALLBACK} == {name: each.chat_id for name, each in config.groups.items()}
    assert ("test", "fallback", ("referrer", "hr")) == (
        config.feishu.environment,
        config.fallback_group,
        config.withdrawals.offer_to,
    )


def test_former_answers_are_offered_again(feishu_box: FeishuBox, tmp_path: Path) -> None:
    run(
        tmp_path,
        *("--app-id", feishu_box.app_id, "--base-url", feishu_box.url, "--secret-file", "-"),
        *("--group", f"hr={HR}", "--operator", "zhou@sandbox.example", "--withdraw", "hr", "--test-app"),
        secret=feishu_box.app_secret + "\n",
    )
    before = load_config(tmp_path / "config.yaml", {}).config
    with on_terminal("init", folder=tmp_path) as terminal:
        terminal.answer("Replace it and keep a copy?", "y")
        terminal.answer(f"another address [{feishu_box.url}]: ", "")
        terminal.answer(f"App ID [{feishu_box.app_id}]: ", "")
        terminal.answer("Enter keeps the present one", "")
        terminal.answer("Is it a test app, without real rewards? [Y/n]: ", "")
        terminal.answer(f"none) [{HR}]: ", "")
        terminal.answer(f"none) [{HR}]: ", "")
        terminal.answer("Another group, such as sales=2", "sales 2")
        terminal.expect("write NAME=CHAT_ID")
        terminal.answer("Another group, such as sales=2", f"sales={FALLBACK}")
        terminal.answer("Another group, such as sales=2", "")
        terminal.answer("4 both [3]: ", "")
        terminal.answer("[zhou@sandbox.example]: ", "")
        assert 0 == terminal.wait_end()
        assert feishu_box.app_secret not in terminal.text
        assert "feishu.app" not in terminal.text

    after = load_config(tmp_path / "config.yaml", {}).config
    assert before.feishu == after.feishu
    assert (before.groups["hr"], FALLBACK) == (after.groups["hr"], after.groups["sales"].chat_id)
    assert ({"hr", "sales"}, ("hr",)) == (set(after.groups), after.withdrawals.offer_to)


def test_the_questions_are_chinese_in_a_chinese_terminal(feishu_box: FeishuBox, tmp_path: Path) -> None:
    feishu_box.set_scopes(DEFAULT_SCOPES - {"im:chat:readonly"})
    with on_terminal("init", folder=tmp_path, environment=CHINESE) as terminal:
        terminal.answer("1 飞书，2 Lark，或其他地址", feishu_box.url)
        terminal.answer("App ID", feishu_box.app_id)
        terminal.answer("App Secret（输入时不显示）", feishu_box.app_secret)
        terminal.expect("飞书接受该应用。")
        terminal.answer("这是没有真实奖励的测试应用吗？", "")
        terminal.expect("无法列出群：缺少权限 im:chat:readonly，或含该权限的版本尚未发布（错误码 99991672）")
        terminal.answer("HR 群", "")
        terminal.answer("兜底群", "")
        terminal.answer("其他群", "")
        terminal.answer("卡片上的“提现”按钮", "3")
        terminal.expect("没有设置 HR 群。")
        terminal.answer("卡片上的“提现”按钮", "1")
        terminal.expect("版本管理与发布")
        assert 0 == terminal.wait_end()
        assert "notifier doctor" in terminal.text


def _until_address(_: TerminalSession, __: FeishuBox) -> None:
    pass


def _until_app_id(terminal: TerminalSession, box: FeishuBox) -> None:
    terminal.answer("or another address", box.url)
    terminal.expect("App ID: ")


def _until_secret(terminal: TerminalSession, box: FeishuBox) -> None:
    _until_app_id(terminal, box)
    terminal.type(f"{box.app_id}\n")
    terminal.expect("App secret (not shown): ")


def _until_test_app(terminal: TerminalSession, box: FeishuBox) -> None:
    _until_secret(terminal, box)
    terminal.type(f"{box.app_secret}\n")
    terminal.expect("Is it a test app")


def _until_offer(terminal: TerminalSession, box: FeishuBox) -> None:
    _until_test_app(terminal, box)
    terminal.type("\n")
    terminal.answer("HR group", "")
    terminal.answer("Fallback group", "")
    terminal.answer("Another group", "")
    terminal.expect("Withdraw button")


@pytest.mark.parametrize(
    "advance", [_until_address, _until_app_id, _until_secret, _until_test_app, _until_offer]
)
def test_control_c_at_any_question_leaves_nothing(
    feishu_box: FeishuBox, tmp_path: Path, advance: "object"
) -> None:
    with on_terminal("init", folder=tmp_path) as terminal:
        if advance is _until_address:
            terminal.expect("or another address")
        advance(terminal, feishu_box)  # type: ignore[operator]
        terminal.type("\x03")
        terminal.expect("notifier: stopped; nothing was written.")
        assert 1 == terminal.wait_end()

    assert set() == files_in(tmp_path)


def test_a_person_may_keep_what_exists(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# mine\n", encoding="utf-8")
    with on_terminal("init", folder=tmp_path) as terminal:
        terminal.answer("config.yaml: exists already. Replace it and keep a copy?", "")
        terminal.expect("nothing was changed.")
        assert 1 == terminal.wait_end()

    assert {"config.yaml"} == files_in(tmp_path)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "gbk", "ascii"])
def test_a_terminal_that_is_not_utf_8_shows_what_it_can(
    feishu_box: FeishuBox, tmp_path: Path, encoding: str
) -> None:
    """The names of the groups are Chinese."""
    with on_terminal(
        "init", folder=tmp_path, environment={"PYTHONIOENCODING": encoding}, encoding=encoding
    ) as terminal:
        terminal.answer("or another address", feishu_box.url)
        terminal.answer("App ID: ", feishu_box.app_id)
        terminal.answer("App secret (not shown): ", feishu_box.app_secret)
        terminal.answer("Is it a test app", "")
        terminal.expect(HR)
        terminal.answer("HR group", "1")
        terminal.answer("Fallback group", "")
        terminal.answer("Another group", "")
        terminal.answer("Withdraw button", "2")
        terminal.expect("notifier doctor")
        assert 0 == terminal.wait_end(), terminal.text
        assert "Traceback" not in terminal.text
    assert load_config(tmp_path / "config.yaml", {}).config.groups


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_before_the_first_question(tmp_path: Path) -> None:
    folder = tmp_path / "readonly"
    folder.mkdir(mode=0o500)
    with on_terminal("init", folder=folder) as terminal:
        terminal.expect("files cannot be written there")
        assert 2 == terminal.wait_end()
