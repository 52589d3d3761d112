"""Checks without network access: the program, the configuration, the database and the machine."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from notifier import __version__
from notifier.clock import Clock
from notifier.config.loader import LoadedConfig
from notifier.domain.card import Bilingual
from notifier.errors import ConfigError
from notifier.operations import checks, environment_checks
from notifier.operations.check_result import CheckResult
from notifier.operations.doctor.findings import Finding, blocked, ok, problem, unknown
from notifier.store import probe
from notifier.store.engine.backends import find_backend
from notifier.store.schema.upgrade import LATEST_REVISION

LOCAL_IDS = ("version", "configuration", "machine", "database", "schema", "disk")


def examine_version() -> Finding:
    """Name the version of the program."""
    return ok("version", f"版本 {__version__}", f"version {__version__}")


def explain_bad_configuration(error: ConfigError) -> Finding:
    """Return the finding for a configuration that cannot be loaded. error: has all its errors."""
    return problem(
        "configuration",
        f"配置无法加载：{error.zh}",
        f"the configuration cannot be loaded: {error}",
        Bilingual(
            zh="按上面的提示修改配置（各项说明见 docs/configuration.zh-CN.md）",
            en="correct the configuration as the text says (docs/configuration.md explains every setting)",
        ),
    )


def block_others() -> list[Finding]:
    """Return the findings that a configuration that cannot be loaded prevents."""
    return [blocked(each, "configuration") for each in ("database", "network.connection", "token")]


def examine_configuration(loaded: LoadedConfig, clock: Clock) -> Iterable[Finding]:
    """Return every finding about the settings and the templates; one line if there is none."""
    results = checks.check_configuration(loaded, clock)
    found = [_convert("configuration", each) for each in results if each.is_problem or not each.is_checkable]
    if loaded.file is None and not loaded.config.feishu.app_id:
        step = Bilingual(zh="运行 `notifier init` 生成配置", en="run `notifier init`, which writes one")
        return [problem("configuration", "没有配置文件", "there is no configuration file", step), *found]
    file = loaded.file or "-"
    return found or [ok("configuration", f"配置：{file}", f"configuration: {file}")]


def examine_machine(loaded: LoadedConfig, environ: Mapping[str, str]) -> Iterable[Finding]:
    """Return every finding about files, encoding and time zone."""
    results = environment_checks.check_machine(loaded, environ)
    found = [_convert("machine", each) for each in results if each.is_problem]
    return found or [ok("machine", "文件权限、编码、临时目录", "files, encoding, temporary folder")]


def examine_disk(loaded: LoadedConfig) -> Iterable[Finding]:
    """Return the free space of the database's disk; nothing for a database on a server."""
    free, least = environment_checks.measure_space(loaded), environment_checks.LEAST_FREE_BYTES
    if free is None:
        return [ok("disk", "数据库在服务器上", "the database is on a server")]
    zh, en = f"数据库所在磁盘剩余 {free // 2**20} MB", f"free space for the database: {free // 2**20} MB"
    if free >= least:
        return [ok("disk", zh, en)]
    step = Bilingual(
        zh=f"清理磁盘，至少留出 {least // 2**20} MB", en=f"make room: at least {least // 2**20} MB"
    )
    return [problem("disk", zh, en, step)]


def examine_database(url: str) -> Iterable[Finding]:
    """Whether the database can be opened and written, and which schema it has. It is neither created nor migrated."""
    backend = find_backend(url)
    place = backend.describe(backend.parse_url(url))
    file = backend.get_file(url)
    if file is not None and not file.exists():
        return [
            _examine_folder(file, place),
            ok("schema", "数据库结构在首次启动时创建", "the schema is created at the first start"),
        ]
    found = probe.find_problem(url)
    if found is not None:
        remedy = Bilingual(zh="按上面的提示处理", en="do what the text says")
        return [
            problem("database", f"数据库 {place}：{found.zh}", f"database {place}: {found.en}", remedy),
            blocked("schema", "database"),
        ]
    version = probe.read_schema(url)
    state = "" if version == LATEST_REVISION else f" → {LATEST_REVISION}"
    return [
        ok("database", f"数据库可读写：{place}", f"database opens and accepts writes: {place}"),
        ok("schema", f"数据库结构 {version or '-'}{state}", f"schema {version or 'none yet'}{state}"),
    ]


def _examine_folder(file: Path, place: str) -> Finding:
    """Whether a database that does not exist yet can be created."""
    existing = next(folder for folder in file.parents if folder.exists())
    if checks.is_writable_folder(existing):
        return ok("database", f"数据库将创建于 {place}", f"the database will be created at {place}")
    return problem(
        "database",
        f"数据库无法创建：{existing} 不可写",
        f"the database cannot be created: {existing} cannot be written",
        Bilingual(zh="把 store.url 改为可写的目录", en="name a folder that you may write to in store.url"),
    )


def _convert(finding_id: str, result: CheckResult) -> Finding:
    """Convert the result of a check."""
    zh, en = result.subject.zh, result.subject.en
    if result.is_problem:
        return problem(finding_id, zh, en, result.next_step)
    return ok(finding_id, zh, en) if result.is_checkable else unknown(finding_id, zh, en, result.next_step)
