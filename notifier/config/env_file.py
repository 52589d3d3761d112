"""The `.env` file beside the configuration: secrets that belong neither into the YAML file nor into a shell."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from notifier.domain.card import Bilingual
from notifier.errors import ConfigError

ENV_FILE = ".env"
MAX_BYTES = 1_000_000
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_QUOTED = re.compile(r"""'([^']*)'\s*(?:#.*)?|"((?:[^"\\]|\\.)*)"\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variables of a `.env` file that are settings of the notifier."""

    path: Path | None = None
    """None: there is no such file."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Value by name."""


def read_env_file(folder: Path, is_setting: Callable[[str], bool]) -> EnvFile:
    """Read the `.env` file of a folder. Variables of other programs are left out.

    is_setting: whether a name is a variable of the notifier. Raises ConfigError if the file cannot be read, or if it
    holds a setting and others than its owner can read or change it.
    """
    path = folder / ENV_FILE
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return EnvFile()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}. Correct it or remove it.",
            zh=f"{path}：无法读取（{error.strerror}）。请修正或删除它。",
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path}: is not UTF-8 text. Save it as UTF-8.",
            zh=f"{path}：不是 UTF-8 文本。请保存为 UTF-8。",
        ) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            f"{path}: is larger than 1 MB. It must hold NAME=value lines.",
            zh=f"{path}：超过 1 MB。每行应为 NAME=value。",
        )
    values = {name: value for name, value in parse_env(text, path).items() if is_setting(name)}
    if values:
        _require_private(path, status)
    return EnvFile(path=path, values=values)


def parse_env(text: str, path: Path) -> dict[str, str]:
    """Parse NAME=value lines with comments and quotes; no variable is replaced. Errors never show a value.

    path: named in the error. Raises ConfigError.
    """
    values: dict[str, str] = {}
    for number, each in enumerate(text.splitlines(), 1):
        line = each.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ConfigError(
                f"{path}: line {number} is not NAME=value. Correct it, or begin it with #.",
                zh=f"{path}：第 {number} 行不是 NAME=value。请改正，或在行首加 #。",
            )
        name, value = found.groups()
        if name in values:
            raise ConfigError(
                f"{path}: line {number}: {name} is set twice. Keep one of the two.",
                zh=f"{path}：第 {number} 行：{name} 设置了两次。请只保留一处。",
            )
        values[name] = _unquote(
            value,
            Bilingual(zh=f"{path}：第 {number} 行：{name}", en=f"{path}: line {number}: {name}"),
        )
    return values


def _unquote(value: str, place: Bilingual) -> str:
    if value[:1] not in {'"', "'"}:
        return _COMMENT.sub("", value, count=1).strip()
    found = _QUOTED.fullmatch(value)
    if found is None:
        raise ConfigError(
            f"{place.en} has a quotation mark without its second one. Add it, or remove both.",
            zh=f"{place.zh} 的引号没有成对。请补上，或都删除。",
        )
    plain, escaped = found.groups()
    return plain if plain is not None else re.sub(r"\\(.)", r"\1", escaped)


def _require_private(path: Path, status: os.stat_result) -> None:
    """A file of root may be readable for the group of the service, as systemd units use it."""
    allowed = stat.S_IRUSR | stat.S_IWUSR | stat.S_IXUSR
    if status.st_uid == 0 and os.geteuid() != 0:
        allowed |= stat.S_IRGRP
    if stat.S_IMODE(status.st_mode) & ~allowed:
        raise ConfigError(
            f"{path}: holds settings, and others can read or change it. Run chmod 600 {path}. If others may have "
            "read the secret, reset it in the developer console.",
            zh=f"{path}：含有配置，而其他用户可以读取或修改它。请运行 chmod 600 {path}。如果密钥可能已被他人读取，"
            "请在开发者后台重置。",
        )
