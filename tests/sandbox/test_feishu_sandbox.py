"""The command `feishu-sandbox`, as its user types it."""

import json
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.command_line import command
from notifier.sandbox.command_line import main as start
from support.running import clean_environment

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "notifier.sandbox.command_line.main"]
ALLOWED = ("notifier", "notifier.sandbox")
HEAVY = ("click", "pydantic", "sqlalchemy", "lark_oapi", "jinja2", "ruamel", "babel", "trustme", "pytest")


@contextmanager
def started(*options: str, locale: str = "C.UTF-8") -> Iterator["subprocess.Popen[str]"]:
    """The running command, stopped with SIGTERM."""
    environment = {**clean_environment(), "LC_ALL": locale}
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *options], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(15)
        finally:
            process.kill()


def read(process: "subprocess.Popen[str]", lines: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(lines)]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_it_prints_where_a_bot_connects() -> None:
    with started() as process:
        text = "\n".join(read(process, 7))
        domain = next(word for word in text.split() if word.startswith("http://"))
        assert f"domain      {domain}" in text
        assert "app id      cli_5a4db0c05a4db0c0" in text
        assert "app secret  sandbox-secret" in text
        assert "cli_5a4db0c05a4db0c0" == get(f"{domain}/api/state")["app"]["app_id"]


def test_it_prints_json_for_all_apps_of_a_world() -> None:
    world = str(ROOT / "docs" / "world.example.yaml")
    with started("--json", "--world", world) as process:
        printed = json.loads(read(process, 1)[0])

    assert printed["domain"] == printed["page"]
    assert printed["ca_file"] is None
    assert [
        ("cli_aaaaaaaaaaaaaaaa", "secret-of-the-sample-app"),
        ("cli_bbbbbbbbbbbbbbbb", "secret-of-the-second-app"),
    ] == [(app["app_id"], app["app_secret"]) for app in printed["apps"][:2]]


def test_a_shell_can_evaluate_its_lines(tmp_path: Path) -> None:
    """A name with a space and a quotation mark stays one value."""
    folder = tmp_path / "it's here"
    with started("--env", "--tls", "--data", str(folder)) as process:
        lines = "\n".join(read(process, 7))
        names = (
            "FEISHU_DOMAIN",
            "FEISHU_APP_ID",
            "FEISHU_APP_SECRET",
            "FEISHU_SANDBOX_URL",
            "SSL_CERT_FILE",
            "NODE_EXTRA_CA_CERTS",
        )
        shown = "; ".join(f'printf "%s\\n" "${name}"' for name in names)
        printed = subprocess.run(
            ["sh", "-c", f"{lines}\n{shown}"], capture_output=True, text=True, check=True
        ).stdout.splitlines()

    assert printed[0].startswith("https://127.0.0.1:")
    assert ["cli_5a4db0c05a4db0c0", "sandbox-secret"] == printed[1:3]
    assert 2 * [str(folder / "feishu-sandbox-ca.pem")] == printed[4:]
    assert printed[0] == printed[3]
    assert (folder / "feishu-sandbox-ca.pem").exists()


def test_it_starts_without_the_notifier() -> None:
    """What it imports is what its start takes."""
    code = (
        "import json, sys, notifier.sandbox.command_line.command as command\n"
        "command.build_parser()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = json.loads(ran.stdout)

    own = [name for name in modules if name.split(".")[0] == "notifier"]
    assert [] == [
        name for name in own if name != "notifier" and not f"{name}.".startswith("notifier.sandbox.")
    ]
    assert set() == {name.split(".")[0] for name in modules} & set(HEAVY)


def test_a_world_is_kept_in_the_data_folder(tmp_path: Path) -> None:
    options = ("--json", "--data", str(tmp_path))
    with started(*options, "--world", str(ROOT / "docs" / "world.example.yaml")) as process:
        first = json.loads(read(process, 1)[0])
    with started(*options) as process:
        again = json.loads(read(process, 1)[0])
        state = get(f"{again['domain']}/api/state?app=cli_bbbbbbbbbbbbbbbb")

    assert first["apps"] == again["apps"]
    assert "cli_bbbbbbbbbbbbbbbb" == state["app"]["app_id"]


def test_faults_and_a_fresh_app_are_there_from_the_start() -> None:
    options = ("--json", "--fresh", "--fault", "429,times=2", "--fault", "setup:bot_off")
    with started(*options) as process:
        state = get(json.loads(read(process, 1)[0])["domain"] + "/api/state")

    assert ["429", "setup:bot_off"] == [fault["fault_type"] for fault in state["running_faults"]]
    assert [] == state["accounts"] == state["scopes"]


def test_it_speaks_the_language_of_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(locale="zh_CN.UTF-8") as process:
        assert "飞书沙盒及其网页" in read(process, 2)[1]
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    with pytest.raises(SystemExit):
        command.run(["--help"])
    assert "在本机运行飞书沙盒" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--world", "missing.yaml"], "feishu-sandbox：--world：无法读取文件 missing.yaml（"),
        (["--world", str(ROOT / "README.md")], "feishu-sandbox：无法启动：“"),
        (["--fault", "nothing"], "--fault nothing 无效：“"),
        (["--webhook", "https://example.com"], "feishu-sandbox：无法启动：“"),
    ],
)
def test_errors_are_chinese_in_a_chinese_terminal(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")

    assert 2 == command.run(["--port", "0", *options])
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["import", "serving"])
def test_a_signal_during_the_start_ends_it_quietly(
    tmp_path: Path, number: signal.Signals, place: str
) -> None:
    """import: while modules are imported. serving: after the event loop has begun."""
    places = {"import": ("asyncio/__init__.py", "<module>"), "serving": ("control/server.py", "build_app")}
    code = """
import os, sys
def watch(frame, event, _):
    if frame.f_code.co_name == {name!r} and frame.f_code.co_filename.endswith({file!r}):
        sys.setprofile(None)
        os.kill(os.getpid(), {number})
from notifier.sandbox.command_line.main import main
sys.setprofile(watch)
sys.exit(main(["--port", "0"]))
"""
    file, name = places[place]
    script = tmp_path / "start.py"
    script.write_text(code.format(file=file, name=name, number=int(number)))
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
    )

    assert (0, "", "") == (ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--fault", "nothing"], 'fault nothing: "fault_type" must be one of: '),
        (
            ["--fault", "nothing", "--world", str(ROOT / "docs" / "world.example.yaml")],
            '"fault_type" must be one of',
        ),
        (["--fresh", "--world", "x.yaml"], "--fresh and --world exclude each other"),
        (["--world", "missing.yaml"], "missing.yaml: the file cannot be read"),
        (["--data", str(ROOT / "README.md")], "README.md cannot be created: File exists"),
        (["--webhook", "https://example.com"], "events go to loopback http addresses only"),
    ],
)
def test_an_option_that_is_not_possible_gives_one_sentence(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    assert 2 == command.run(["--port", "0", *options])
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "" == printed.out


def test_a_port_in_use_and_a_wrong_port_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with started("--json") as process:
        port = json.loads(read(process, 1)[0])["domain"].rsplit(":", 1)[1]
        assert 2 == command.run(["--port", port])
    assert f"cannot listen on port {port}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.run(["--port", "70000"])
    assert "must be from 0 to 65535" in capsys.readouterr().err


def test_the_wheel_has_the_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = scripts["feishu-sandbox"].partition(":")

    assert (start.__name__, "main") == (module, function)
