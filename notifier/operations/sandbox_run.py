"""Sandbox command: runs the Feishu sandbox and, in a second process, a notifier connected to it."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from notifier.errors import ConfigError
from notifier.operations.language import localized
from notifier.operations.sandbox_config import (
    CONFIG_FILE,
    DATABASE_FILE,
    GROUP,
    OPERATOR,
    write_sandbox_config,
)
from notifier.runtime.lifecycle import stop_on_signals
from notifier.sandbox.control.server import serve
from notifier.sandbox.faults.catalogue import SETUP_FAULTS
from notifier.sandbox.faults.fault_text import parse_fault_text
from notifier.sandbox.faults.running import BadFaultError
from notifier.sandbox.sample_tenant import build_sample_tenant
from notifier.sandbox.saved_state import BadStateFileError
from notifier.sandbox.settings import SandboxSettings

STOP_SECONDS = 12
CLOCK_FILE = "sandbox-clock"
STATE_FILE = "feishu-sandbox.json"
LOG_FILE = "notifier.log"
LOG_END_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """How the app of the sandbox starts. faults: as the page starts them. template_dir: own card templates."""

    is_fresh: bool = False
    faults: tuple[Mapping[str, object], ...] = ()
    template_dir: Path | None = None


def read_app_options(faults: Sequence[str], *, fresh: bool) -> AppOptions:
    """Read faults such as `setup:scope_missing,scope=im:resource`. Raises ConfigError."""
    tenant = build_sample_tenant(SandboxSettings(fresh=fresh))
    parsed: list[Mapping[str, object]] = []
    for text in faults:
        try:
            parsed.append(parse_fault_text(text, tenant))
        except BadFaultError as error:
            raise ConfigError(
                f"--fault {text}: {error}.", zh=f"--fault {text}：故障无效（“{error}”）。"
            ) from error
    return AppOptions(is_fresh=fresh, faults=tuple(parsed))


async def run_sandbox(
    *,
    port: int,
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
    faults_started = asyncio.Event()
    stopped = asyncio.ensure_future(stop.wait())
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_on_signals(stop))
        folder = stack.enter_context(_folder(data))
        state_file = str(folder / STATE_FILE) if data else ""
        _match_both_sides(folder)
        settings = replace(
            _settings(port, folder, report_port, state_file, webhook=webhook),
            fresh=app.is_fresh,
            faults=app.faults,
        )
        serving = asyncio.ensure_future(serve(settings, ready.set_result, faults_started.set))
        write_config = partial(write_sandbox_config, report_port=report_port, template_dir=app.template_dir)
        await _until_stopped(settings, folder, write_config, serving, ready, faults_started, stopped, echo)


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
    port: int, folder: Path, report_port: int, state_file: str, *, webhook: bool
) -> SandboxSettings:
    """Build the settings. folder: the notifier's data folder."""
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
    folder: Path,
    write_config: Callable[[Path, str, SandboxSettings], Path],
    serving: "asyncio.Future[None]",
    ready: "asyncio.Future[str]",
    faults_started: asyncio.Event,
    stopped: "asyncio.Future[Any]",
    echo: Callable[[str], None],
) -> None:
    announcing: asyncio.Future[None] | None = None
    try:
        await _first_of(serving, ready)
        if not ready.done() and isinstance(serving.exception(), BadStateFileError):
            raise ConfigError(
                f"--data: {serving.exception()}. Choose another folder, or delete this one.",
                zh=f"--data：数据无法使用（“{serving.exception()}”）。请换一个目录，或删除它。",
            )
        if not ready.done():
            raise ConfigError(
                localized(
                    f"the sandbox cannot listen on port {settings.port}: {serving.exception()}. Try --port 0.",
                    f"沙盒无法监听端口 {settings.port}（{serving.exception()}）。可试 --port 0。",
                )
            )
        config = write_config(folder, ready.result(), settings)
        echo(_format_welcome(ready.result(), settings, config))
        if settings.faults:
            announcing = asyncio.ensure_future(_announce_faults(settings, config, faults_started, echo))
        await _run_notifier(config, stopped)
    finally:
        ending = [each for each in (stopped, serving, announcing) if each is not None]
        for each in ending:
            each.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


async def _announce_faults(
    settings: SandboxSettings, config: Path, faults_started: asyncio.Event, echo: Callable[[str], None]
) -> None:
    """Print the faults once all of them run, and how to find the cause of a set-up error."""
    await faults_started.wait()
    names = [str(fault["fault_type"]) for fault in settings.faults]
    lines = [localized(f"  Running faults: {', '.join(names)}", f"  运行中的故障：{'、'.join(names)}")]
    if any(name in SETUP_FAULTS for name in names):
        lines += [
            localized(
                "  In another terminal, let doctor name the cause. End the fault on the page (Simulate faults) "
                "and run it again:",
                "  在另一个终端让 doctor 指出原因；在网页的“模拟故障”中结束故障，然后再次运行：",
            ),
            _format_command("doctor", config),
        ]
    echo("\n".join([*lines, ""]))


async def _first_of(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"--data: {data} cannot be created: {error.strerror}.",
                zh=f"--data：无法创建 {data}（{error.strerror}）。",
            ) from error
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
            "\n".join(
                [f"the notifier ended with exit code {process.returncode}. Its log ends with:", *lines]
            ),
            zh="\n".join([f"服务已退出，退出码 {process.returncode}。日志末尾：", *lines]),
        )


def _program_command() -> str:
    """Return the command that started this process. `notifier` may not be on the path."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name.startswith("notifier") else f"{sys.executable} -m notifier"


def _format_command(name: str, config: Path) -> str:
    return f"    {_program_command()} {name} --config {config}"


def _has_setup_fault(settings: SandboxSettings) -> bool:
    return any(fault["fault_type"] in SETUP_FAULTS for fault in settings.faults)


def _format_first_step(settings: SandboxSettings) -> str:
    """Return what the reader of the welcome does first."""
    if settings.fresh:
        return localized(
            "  The app is new: it has no scopes, no published version and no accounts.\n"
            "  Run doctor, do the next step on the page (Developer console), and run doctor again.",
            "  这是一个新应用：没有权限，没有发布版本，也没有账户。\n  运行 doctor，"
            "在网页的“开发者后台”完成它指出的步骤，然后再次运行。",
        )
    if _has_setup_fault(settings):
        return localized(
            "  The set-up error starts once the notifier has sent a card, in a few seconds.",
            "  服务发出一张卡片后（几秒钟），接入错误开始生效。",
        )
    return localized(
        "  Open it, pick an account, add a reward, and watch the card arrive in the referrer's chat.",
        "  打开网址，选一个账户，加一笔奖励，卡片就会出现在内推人的聊天里。",
    )


def _format_welcome(url: str, settings: SandboxSettings, config: Path) -> str:
    title = localized("The Feishu sandbox:", "飞书沙盒：")
    log = config.parent / LOG_FILE
    lines = [
        "",
        f"  {title}  {url}",
        "",
        _format_first_step(settings),
        localized(f"  The notifier is running; its log is {log}.", f"  服务正在运行，日志在 {log}。"),
    ]
    if settings.fresh or not _has_setup_fault(settings):
        lines += [
            localized("  In another terminal:", "  在另一个终端运行："),
            _format_command("doctor" if settings.fresh else "status", config),
        ]
    return "\n".join([*lines, "", localized("  Press Ctrl-C to stop.", "  按 Ctrl-C 停止。"), ""])
