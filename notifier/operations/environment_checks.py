"""Checks of the machine: time zone, encoding, proxies, files and their owners, free space, temporary files."""

import locale
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from notifier.config.loader import LoadedConfig
from notifier.domain.card import Bilingual
from notifier.operations.check_result import NOTHING, CheckResult
from notifier.store.engine.backends import find_backend
from notifier.store.engine.sqlite.ownership import SIDE_FILES, name_of

LEAST_FREE_BYTES = 500 * 1024 * 1024
"""Below this the database may not be able to grow before somebody notices."""
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def check_environment(loaded: LoadedConfig, environ: Mapping[str, str] | None = None) -> list[CheckResult]:
    """Check what the machine sets. environ: None for the environment of the process."""
    environ = os.environ if environ is None else environ
    return [*check_machine(loaded, environ), *_proxies(environ), *check_space(loaded)]


def check_machine(loaded: LoadedConfig, environ: Mapping[str, str]) -> list[CheckResult]:
    """Check time zone, encoding, files with their owners, and temporary files."""
    return [_time_zone(environ), _encoding(), *_files(loaded), _temporary_files()]


def _time_zone(environ: Mapping[str, str]) -> CheckResult:
    """The notifier uses the zones of the configuration. Only the log and other programs use that of the machine."""
    zone = environ.get("TZ", "")
    try:
        is_known = not zone or bool(ZoneInfo(zone.strip(":")))
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        is_known = False
    note = "" if is_known else ", which is no IANA zone; the notifier does not use it"
    note_zh = "" if is_known else "，不是 IANA 时区；服务不使用它"
    subject = Bilingual(
        zh=f"本机时区：{zone or '默认'}{note_zh}", en=f"time zone of the machine: {zone or 'default'}{note}"
    )
    return CheckResult(is_ok=True, subject=subject)


def _encoding() -> CheckResult:
    encoding = locale.getpreferredencoding(do_setlocale=False)
    return CheckResult(
        is_ok=encoding.lower().replace("-", "") == "utf8",
        subject=Bilingual(zh=f"本机编码：{encoding}", en=f"encoding of the machine: {encoding}"),
        next_step=NOTHING
        if encoding.lower() == "utf-8"
        else Bilingual(
            zh="设置 LANG=C.UTF-8，以便导出文件和日志能显示所有姓名",
            en="set LANG=C.UTF-8, so that exports and logs show every name",
        ),
    )


def _proxies(environ: Mapping[str, str]) -> Iterable[CheckResult]:
    """Credentials of a proxy are never shown."""
    for name in PROXY_VARIABLES:
        if value := environ.get(name):
            host = urlsplit(value).hostname
            yield CheckResult(
                is_ok=host is not None,
                subject=Bilingual(
                    zh=f"已设置 {name}：调用飞书接口时经过 {host or '一个无效的地址'}",
                    en=f"{name} is set: calls to Feishu's API go through {host or 'an address that is not valid'}",
                ),
                next_step=NOTHING
                if host
                else Bilingual(
                    zh=f"改正 {name}，例如 http://proxy.example.com:3128",
                    en=f"correct {name}, such as http://proxy.example.com:3128",
                ),
            )


def _files(loaded: LoadedConfig) -> Iterable[CheckResult]:
    """Files that others can read, or that belong to somebody else."""
    database = _get_database_file(loaded)
    files = [] if database is None else [database, *(Path(f"{database}{ending}") for ending in SIDE_FILES)]
    if loaded.file is not None and _holds_secrets(loaded):
        files.append(loaded.file)
    found = [path for path in files if path.is_file()]
    wide = [path for path in found if path.stat().st_mode & 0o077]
    if wide:
        names = ", ".join(path.name for path in wide)
        command = f"chmod 600 {' '.join(str(path) for path in wide)}"
        yield CheckResult(
            is_ok=False,
            subject=Bilingual(
                zh=f"本机其他用户可以读取 {names}", en=f"others on this machine can read {names}"
            ),
            next_step=Bilingual(zh=command, en=command),
        )
    foreign = [path for path in found if path.stat().st_uid != os.geteuid() and not os.access(path, os.W_OK)]
    for path in foreign:
        if path != loaded.file:
            owner, user = name_of(path.stat().st_uid), name_of(os.geteuid())
            yield CheckResult(
                is_ok=False,
                subject=Bilingual(zh=f"{path} 属于 {owner}", en=f"{path} belongs to {owner}"),
                next_step=Bilingual(
                    zh=f"chown {user} {path}，或以 {owner} 运行", en=f"chown {user} {path}, or run as {owner}"
                ),
            )
    if not wide and not foreign:
        yield CheckResult(is_ok=True, subject=Bilingual(zh="文件的所有者和权限", en="files: owner and modes"))


def _holds_secrets(loaded: LoadedConfig) -> bool:
    """Whether a secret stands in the file, and not in the environment."""
    config = loaded.config
    secrets = {
        "feishu.app_secret": config.feishu.app_secret,
        "webhook.encrypt_key": config.webhook.encrypt_key,
        "webhook.verification_token": config.webhook.verification_token,
        "payouts.secret": config.payouts.secret,
        "store.url": SecretStr(make_url(config.store.url).password or ""),
    }
    return any(value.get_secret_value() and key not in loaded.origins for key, value in secrets.items())


def _get_database_file(loaded: LoadedConfig) -> Path | None:
    """None: a server keeps the data."""
    url = loaded.config.store.url
    return find_backend(url).get_file(url)


def measure_space(loaded: LoadedConfig) -> int | None:
    """The free bytes on the disk of the database; None: a server keeps the data."""
    database = _get_database_file(loaded)
    if database is None:
        return None
    return shutil.disk_usage(next(place for place in database.parents if place.is_dir())).free


def check_space(loaded: LoadedConfig) -> Iterable[CheckResult]:
    """Check the free space for a database in a file."""
    free = measure_space(loaded)
    if free is None:
        return
    yield CheckResult(
        is_ok=free >= LEAST_FREE_BYTES,
        subject=Bilingual(
            zh=f"数据库所在磁盘剩余 {free // 2**20} MB", en=f"free space for the database: {free // 2**20} MB"
        ),
        next_step=NOTHING
        if free >= LEAST_FREE_BYTES
        else Bilingual(
            zh=f"清理数据库所在的磁盘，至少留出 {LEAST_FREE_BYTES // 2**20} MB",
            en=f"make room on the disk of the database: at least {LEAST_FREE_BYTES // 2**20} MB",
        ),
    )


def _temporary_files() -> CheckResult:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
    except OSError as error:
        return CheckResult(
            is_ok=False,
            subject=Bilingual(zh=f"临时文件：{error.strerror}", en=f"temporary files: {error.strerror}"),
            next_step=Bilingual(
                zh="把 TMPDIR 设为服务可写的目录", en="set TMPDIR to a folder that the notifier may write"
            ),
        )
    folder = tempfile.gettempdir()
    return CheckResult(
        is_ok=True, subject=Bilingual(zh=f"临时文件：{folder}", en=f"temporary files: {folder}")
    )
