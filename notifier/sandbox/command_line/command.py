"""The options of `feishu-sandbox`, and its run. It imports nothing of the notifier but the sandbox: a quick start."""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from notifier.sandbox.command_line.output import StartedApp, StartedSandbox, localized
from notifier.sandbox.control.server import serving
from notifier.sandbox.control.tls import TlsUnavailableError
from notifier.sandbox.faults.fault_text import parse_fault_text
from notifier.sandbox.faults.running import BadFaultError
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.sample_tenant import build_sample_tenant
from notifier.sandbox.saved_state import BadStateFileError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.world.world import BadWorldError, World

PORT = 8765
STATE_FILE, CA_FILE = "feishu-sandbox.json", "feishu-sandbox-ca.pem"


class BadOptionError(ValueError):
    """An option that is not possible. The text is shown to the user, in the language of the terminal."""


REFUSED_STARTS = (
    BadWorldError,
    BadStateFileError,
    BadWebhookError,
    BadFaultError,
    TlsUnavailableError,
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or Ctrl-C. Returns the exit code: 2 for an option that is not possible."""
    options = build_parser().parse_args(arguments)
    try:
        with contextlib.ExitStack() as stack:
            folder = _make_folder(options, stack)
            asyncio.run(_serve(read_settings(options, folder), options))
    except BadOptionError as error:
        sys.stderr.write(localized(f"feishu-sandbox: {error}\n", f"feishu-sandbox：{error}\n"))
        return 2
    except REFUSED_STARTS as error:
        sys.stderr.write(localized(f"feishu-sandbox: {error}\n", f"feishu-sandbox：无法启动：“{error}”\n"))
        return 2
    except OSError as error:
        sys.stderr.write(
            localized(
                f"feishu-sandbox: it cannot listen on port {options.port}: {error}. Try --port 0.\n",
                f"feishu-sandbox：无法监听端口 {options.port}（{error}）。可试 --port 0。\n",
            )
        )
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options, in the language of the terminal."""
    parser = argparse.ArgumentParser(
        prog="feishu-sandbox",
        description=localized("Run a stand-in for Feishu on this machine.", "在本机运行飞书沙盒。"),
        allow_abbrev=False,
    )
    form = parser.add_mutually_exclusive_group()
    for name, (how, en, zh) in OPTIONS.items():
        place = form if name in FORMS else parser
        place.add_argument(name, help=localized(en, zh), **how)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(localized("must be from 0 to 65535", "必须是 0 到 65535"))
    return int(text)


FORMS = ("--json", "--env")
FLAG: dict[str, Any] = {"action": "store_true"}
OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "--port": (
        {"type": _port, "default": PORT},
        f"port; 0 for any free port (default: {PORT})",
        f"端口，0 为任意空闲端口（默认 {PORT}）",
    ),
    "--data": (
        {"type": Path, "metavar": "DIR"},
        "keep messages, accounts and events in this folder",
        "把消息、账户和事件保存在此目录",
    ),
    "--world": (
        {"type": Path, "metavar": "FILE"},
        "YAML file with people, departments, groups and apps; --data goes first if it has a world",
        "YAML 文件，定义人员、部门、群组和应用；--data 中已有数据时以其为准",
    ),
    "--fresh": (FLAG, "start with an app as Feishu creates it", "从一个刚创建的应用开始"),
    "--fault": (
        {"action": "append", "default": [], "metavar": "TYPE[,OPTION=VALUE]"},
        "start this fault; repeat for more",
        "启动此故障，可重复",
    ),
    "--webhook": (
        {"default": "", "metavar": "URL"},
        "send events to this http URL on loopback",
        "把事件发送到此本机 http 地址",
    ),
    "--tls": (FLAG, "serve https, with a certificate made for it", "使用 https，证书自动生成"),
    "--json": (FLAG, "print one line of JSON", "输出一行 JSON"),
    "--env": (
        FLAG,
        "print lines for a shell: FEISHU_DOMAIN, FEISHU_SANDBOX_URL, ...",
        "输出 shell 可用的行：FEISHU_DOMAIN、FEISHU_SANDBOX_URL 等",
    ),
}
"""How each option is read, and its help in English and Chinese."""


def read_settings(options: argparse.Namespace, folder: Path | None) -> SandboxSettings:
    """The settings of the options. folder: for files, None if none is needed. Raises BadOptionError."""
    if options.fresh and options.world:
        raise BadOptionError(
            localized(
                "--fresh and --world exclude each other: the world file says how its apps are set up.",
                "--fresh 与 --world 不能同时使用：应用的设置由世界文件决定。",
            )
        )
    if options.world:
        _check_readable(options.world)
    settings = SandboxSettings(
        port=options.port,
        fresh=options.fresh,
        webhook_url=options.webhook,
        world_file=str(options.world or ""),
        state_file=str(folder / STATE_FILE) if folder and options.data else "",
        ca_file=str(folder / CA_FILE) if folder and options.tls else "",
    )
    tenant = None if options.world else build_sample_tenant(settings)
    faults = []
    for text in options.fault:
        try:
            faults.append(parse_fault_text(text, tenant))
        except BadFaultError as error:
            raise BadOptionError(
                localized(f"--fault {text}: {error}.", f"--fault {text} 无效：“{error}”。")
            ) from error
    return replace(settings, faults=tuple(faults))


def _check_readable(file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise BadOptionError(
            localized(
                f"--world: {file}: the file cannot be read ({error.strerror}).",
                f"--world：无法读取文件 {file}（{error.strerror}）。",
            )
        ) from error


def _make_folder(options: argparse.Namespace, stack: contextlib.ExitStack) -> Path | None:
    """The folder for files, a temporary one without --data. None if no file is needed."""
    if options.data is None:
        needs_one = bool(options.tls)
        made = stack.enter_context(tempfile.TemporaryDirectory(prefix="feishu-sandbox-")) if needs_one else ""
        return Path(made) if made else None
    folder: Path = options.data
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOptionError(
            localized(
                f"--data: {folder} cannot be created: {error.strerror}.",
                f"--data：无法创建 {folder}（{error.strerror}）。",
            )
        ) from error
    return folder.resolve()


async def _serve(settings: SandboxSettings, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    async with serving(settings) as (world, url):
        if stop.is_set():
            return
        started = describe_start(world, url)
        text = started.to_json() if options.json else started.to_shell() if options.env else started.to_text()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        await stop.wait()


def describe_start(world: World, url: str) -> StartedSandbox:
    """What a client needs to know."""
    apps = [
        StartedApp(one.settings.app_id, one.settings.app_secret, one.settings.app_name)
        for one in world.sandboxes.values()
    ]
    ca_file = world.settings.ca_file
    return StartedSandbox(url, apps, Path(ca_file) if ca_file else None)
