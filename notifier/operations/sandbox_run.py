"""Sandbox command: runs the Feishu sandbox and, in a second process, a notifier connected to it."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from notifier.errors import ConfigError
from notifier.operations.language import localized
from notifier.runtime.lifecycle import stop_on_signals
from notifier.sandbox.control.server import serve
from notifier.sandbox.faults.running import BadFaultError, parse_fault
from notifier.sandbox.saved_state import BadStateFileError
from notifier.sandbox.settings import SandboxSettings

STOP_SECONDS = 12
CONFIG_FILE = "config.yaml"
CLOCK_FILE = "sandbox-clock"
STATE_FILE = "feishu-sandbox.json"
DATABASE_FILE = "notifier.db"
LOG_FILE = "notifier.log"
LOG_END_LINES = 20
GROUP, OPERATOR = "oc_sandbox_hr", "ou_sandbox_zhou"

CONFIG_TEMPLATE = """\
# Created by `notifier sandbox`: connects the notifier to the Feishu sandbox on this machine.
feishu:
  base_url: {url}
  app_id: {app_id}
  app_secret: {app_secret}
  environment: test
{webhook}{templates}store:
  url: sqlite:///{folder}/{database}
groups:
  hr:
    chat_id: {group}
    operators: [{operator}]
  fallback:
    chat_id: oc_sandbox_fallback
fallback_group: fallback
withdrawals:
  offer_to: [referrer, hr]
digests:
  - name: hr-daily
    to: [hr]
    file: always
  - name: my-week
    to: [referrer]
    period: week
payouts:
  url: {url}/payroll/payouts
  secret: {payout_secret}
  listen: 127.0.0.1:{report_port}
  alarm_group: hr
routes:
  - name: to the referrer
    to: [referrer]
    keep_going: true
  - name: to HR, when it is worth a look
    when:
      kind: cash
      least_amount: 500
    to: [hr]
"""

TEMPLATES_TEMPLATE = """\
cards:
  template_dir: {folder}
"""

WEBHOOK_TEMPLATE = """\
  transport: webhook
webhook:
  listen: {address}
  encrypt_key: {encrypt_key}
  verification_token: {verification_token}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """How the app of the sandbox starts. faults: as the page starts them. template_dir: own card templates."""

    is_fresh: bool = False
    faults: tuple[Mapping[str, object], ...] = ()
    template_dir: Path | None = None


def read_app_options(faults: Sequence[str], *, fresh: bool) -> AppOptions:
    """Read faults such as `setup:scope_missing,scope=im:resource`. Raises ConfigError."""
    parsed: list[Mapping[str, object]] = []
    for text in faults:
        name, *options = text.split(",")
        request: dict[str, object] = {"fault_type": name}
        for option in options:
            key, _, value = option.partition("=")
            request[key] = _read_value(value)
        try:
            parse_fault(request, fault_id="")
        except BadFaultError as error:
            raise ConfigError(f"--fault {text}: {error}.") from error
        parsed.append(request)
    return AppOptions(is_fresh=fresh, faults=tuple(parsed))


def _read_value(text: str) -> object:
    """A number or true/false as such, anything else as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


async def run_sandbox(
    *,
    port: int,
    only_feishu: bool,
    webhook: bool,
    data: Path | None,
    app: AppOptions,
    echo: Callable[[str], None],
) -> None:
    """Run until SIGTERM, Ctrl-C, or the notifier exits. Raises ConfigError if the port is in use."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    report_port = _free_port()
    ready: asyncio.Future[str] = loop.create_future()
    stopped = asyncio.ensure_future(stop.wait())
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_on_signals(stop))
        folder = None if only_feishu and data is None else stack.enter_context(_folder(data))
        state_file = str(folder / STATE_FILE) if folder and data else ""
        if only_feishu:
            folder = None
        if folder is not None:
            _match_both_sides(folder)
        settings = replace(
            _settings(port, folder, report_port, state_file, webhook=webhook),
            fresh=app.is_fresh,
            faults=app.faults,
        )
        serving = asyncio.ensure_future(serve(settings, ready.set_result))
        await _until_stopped(settings, folder, report_port, app.template_dir, serving, ready, stopped, echo)


def _match_both_sides(folder: Path) -> None:
    """The notifier's database and Feishu's side belong together: both are kept, or both are new.

    With one of them alone, the notifier would report balances that Feishu never had. Raises ConfigError.
    """
    (folder / CLOCK_FILE).unlink(missing_ok=True)  # the kept state has the clock, too
    state = folder / STATE_FILE
    if not (folder / DATABASE_FILE).exists():
        if state.exists():
            state.replace(state.with_suffix(".old.json"))
    elif not state.exists():
        raise ConfigError(
            localized(
                f"--data: {folder} has {DATABASE_FILE}, but not Feishu's side of that run ({STATE_FILE}). "
                "Choose another folder, or delete this one.",
                f"--data：{folder} 中有 {DATABASE_FILE}，但没有当次运行的飞书侧数据（{STATE_FILE}）。"
                "请换一个目录，或删除它。",
            )
        )


def _settings(
    port: int, folder: Path | None, report_port: int, state_file: str, *, webhook: bool
) -> SandboxSettings:
    """Build the settings. folder: the notifier's data folder; None to run the sandbox alone."""
    if folder is None:
        return SandboxSettings(port=port, state_file=state_file)
    config, clock = str(folder / CONFIG_FILE), str(folder / CLOCK_FILE)
    send_digest = ("digest", "send", "hr-daily", "--for", "today", "--again", "--config", config)
    return SandboxSettings(
        port=port,
        opening_events=True,
        operators={GROUP: (OPERATOR,)},
        state_file=state_file,
        payout_report_url=f"http://127.0.0.1:{report_port}/payouts/report",
        webhook_url=f"http://127.0.0.1:{_free_port()}/feishu/events" if webhook else "",
        clock_file=clock,
        digest_command=(sys.executable, "-m", "notifier", *send_digest, "--clock-file", clock),
    )


async def _until_stopped(
    settings: SandboxSettings,
    folder: Path | None,
    report_port: int,
    template_dir: Path | None,
    serving: "asyncio.Future[None]",
    ready: "asyncio.Future[str]",
    stopped: "asyncio.Future[Any]",
    echo: Callable[[str], None],
) -> None:
    try:
        await _first_of(serving, ready)
        if not ready.done() and isinstance(serving.exception(), BadStateFileError):
            raise ConfigError(f"--data: {serving.exception()}. Choose another folder, or delete this one.")
        if not ready.done():
            raise ConfigError(
                localized(
                    f"the sandbox cannot listen on port {settings.port}: {serving.exception()}. Try --port 0.",
                    f"沙盒无法监听端口 {settings.port}（{serving.exception()}）。可试 --port 0。",
                )
            )
        if folder is None:
            echo(_format_welcome(ready.result(), settings))
            await _first_of(serving, stopped)
        else:
            config = _write_config(folder, ready.result(), settings, report_port, template_dir)
            echo(_format_welcome(ready.result(), settings, config=config))
            await _run_notifier(config, stopped)
    finally:
        stopped.cancel()
        serving.cancel()
        await asyncio.gather(serving, stopped, return_exceptions=True)


async def _first_of(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--data: {data} cannot be created: {error.strerror}.") from error
        yield data.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="notifier-sandbox-") as made:
        yield Path(made)


def _free_port() -> int:
    """Find a free port. The sandbox needs the notifier's address before the notifier starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_config(
    folder: Path, url: str, settings: SandboxSettings, report_port: int, template_dir: Path | None
) -> Path:
    config = folder / CONFIG_FILE
    own = (
        ""
        if template_dir is None
        else TEMPLATES_TEMPLATE.format(folder=json.dumps(str(template_dir.resolve())))
    )
    config.write_text(
        CONFIG_TEMPLATE.format(
            url=url,
            app_id=settings.app_id,
            app_secret=settings.app_secret,
            payout_secret=settings.payout_secret,
            report_port=report_port,
            webhook=_webhook(settings),
            templates=own,
            folder=folder,
            group=GROUP,
            operator=OPERATOR,
            database=DATABASE_FILE,
        ),
        encoding="utf-8",
    )
    return config


def _webhook(settings: SandboxSettings) -> str:
    """Return the webhook settings for the notifier; empty for the long connection."""
    if not settings.webhook_url:
        return ""
    return WEBHOOK_TEMPLATE.format(
        address=urlsplit(settings.webhook_url).netloc,
        encrypt_key=settings.webhook_encrypt_key,
        verification_token=settings.webhook_verification_token,
    )


async def _run_notifier(config: Path, stopped: "asyncio.Future[Any]") -> None:
    """Run `notifier run` in a second process, without the settings of this shell."""
    hidden_prefixes = ("NOTIFIER_", "FEISHU_", "LARK_")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(hidden_prefixes) and name not in {"APP_ID", "APP_SECRET"}
    }
    environment |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    log = config.parent / LOG_FILE
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "notifier",
            "run",
            "--config",
            str(config),
            "--clock-file",
            str(config.parent / CLOCK_FILE),
            env=environment,
            start_new_session=True,
            stdout=output,
            stderr=output,
        )
    ended = asyncio.ensure_future(process.wait())
    await _first_of(ended, stopped)
    if not ended.done():
        process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(ended), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await ended
    elif process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_END_LINES:]
        raise ConfigError(
            "\n".join([f"the notifier ended with exit code {process.returncode}. Its log ends with:", *lines])
        )


def _program_command() -> str:
    """Return the command that started this process. `notifier` may not be on the path."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name.startswith("notifier") else f"{sys.executable} -m notifier"


def _format_welcome(url: str, settings: SandboxSettings, *, config: Path | None = None) -> str:
    title = localized("The Feishu sandbox:", "飞书沙盒：")
    lines = ["", f"  {title}  {url}", ""]
    if config is None:
        lines += [
            localized(
                "  Point a bot at it (both official SDKs work unchanged):",
                "  把机器人连接到它（两个官方 SDK 无需修改）：",
            ),
            f"    domain      {url}",
            f"    app id      {settings.app_id}",
            f"    app secret  {settings.app_secret}",
        ]
    else:
        log = config.parent / LOG_FILE
        lines += [
            localized(
                "  Open it, pick an account, add a reward, and watch the card arrive in the referrer's chat.",
                "  打开网址，选一个账户，加一笔奖励，卡片就会出现在内推人的聊天里。",
            ),
            localized(
                f"  The notifier is running; its log is {log}. In another terminal:",
                f"  服务正在运行，日志在 {log}。在另一个终端运行：",
            ),
            f"    {_program_command()} status --config {config}",
        ]
    return "\n".join([*lines, "", localized("  Press Ctrl-C to stop.", "  按 Ctrl-C 停止。"), ""])
