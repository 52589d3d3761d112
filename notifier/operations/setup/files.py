"""Writes config.yaml and .env: both or none, readable for their owner alone, with a copy of what they replace."""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from notifier.clock import Clock
from notifier.config.env_file import ENV_FILE
from notifier.errors import ConfigError
from notifier.operations.language import localized

PRIVATE = stat.S_IRUSR | stat.S_IWUSR
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./+=:@%-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupFiles:
    """The two files of `notifier init`."""

    config: Path
    """The configuration."""
    env: Path
    """The file with the secret, beside the configuration."""

    def existing(self) -> list[Path]:
        """Those of the two that exist."""
        return [path for path in (self.config, self.env) if path.exists()]


def find_files(config: Path) -> SetupFiles:
    """Return the files for a configuration at this path. Raises ConfigError if they cannot be written there."""
    if config.name == ENV_FILE:
        raise ConfigError(
            localized(
                f"{config}: holds the secret. Name the file of the configuration with --config, such as config.yaml.",
                f"{config}：该文件用于存放密钥。请用 --config 指定配置文件，例如 config.yaml。",
            )
        )
    files = SetupFiles(config=config, env=config.parent / ENV_FILE)
    folder = config.parent
    if not folder.is_dir():
        raise ConfigError(
            localized(f"{folder}: no such folder. Create it first.", f"{folder}：没有这个目录，请先创建。")
        )
    for path in (files.config, files.env):
        _require_replaceable(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _not_writable(folder, None)
    return files


def _require_replaceable(path: Path) -> None:
    if path.is_symlink():
        target = path.readlink()
        raise ConfigError(
            localized(
                f"{path}: is a symbolic link to {target}. Name the file itself with --config, or remove the link.",
                f"{path}：是指向 {target} 的符号链接。请用 --config 指定文件本身，或删除该链接。",
            )
        )
    if path.exists() and not path.is_file():
        raise ConfigError(
            localized(
                f"{path}: is not a file. Rename it, or name another file with --config.",
                f"{path}：不是普通文件。请将其改名，或用 --config 指定其他文件。",
            )
        )


def _not_writable(folder: Path, error: OSError | None) -> ConfigError:
    reason = f" ({error.strerror})" if error is not None and error.strerror else ""
    return ConfigError(
        localized(
            f"{folder}: files cannot be written there{reason}. Choose another folder with --config.",
            f"{folder}：无法在此目录写文件{reason}。请用 --config 指定其他目录。",
        )
    )


def merge_env(path: Path, values: dict[str, str], replaced: Sequence[str]) -> str:
    """Return the text of the .env file with these values. Lines with other variables and comments are kept.

    replaced: variables whose old lines are removed. Raises ConfigError if the existing file cannot be read.
    """
    try:
        before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            localized(f"{path}: cannot be read as UTF-8 text.", f"{path}：无法按 UTF-8 文本读取。")
        ) from None
    names = re.compile(rf"\s*(?:export\s+)?(?:{'|'.join(map(re.escape, replaced))})\s*=")
    kept = [line for line in before.splitlines() if not names.match(line)]
    return "\n".join([*kept, *(f"{name}={_quote(value)}" for name, value in values.items()), ""])


def _quote(value: str) -> str:
    if _PLAIN_VALUE.fullmatch(value):
        return value
    if "'" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_files(files: SetupFiles, config_text: str, env_text: str, clock: Clock) -> list[Path]:
    """Write both files for their owner alone. Returns the copies of the files that were replaced.

    Both are complete on the disk before the first one gets its name, so that an interruption leaves no half of a
    file. Raises ConfigError.
    """
    folder = files.config.parent
    suffix = f"{clock.now():%Y%m%d-%H%M%S}.bak"
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".notifier-init-") as staging:
            env, config = Path(staging, "env"), Path(staging, "config")
            _write(env, env_text.encode())
            _write(config, config_text.encode())
            copies = [_copy(path, suffix) for path in files.existing()]
            env.replace(files.env)
            config.replace(files.config)
            _sync_folder(folder)
    except OSError as error:
        raise _not_writable(folder, error) from None
    return copies


def _copy(path: Path, suffix: str) -> Path:
    """Copy a file beside itself. A copy of the same second is kept, too."""
    content = path.read_bytes()
    for number in range(100):
        copy = path.with_name(f"{path.name}.{suffix}" if not number else f"{path.name}.{number}-{suffix}")
        with contextlib.suppress(FileExistsError):
            _write(copy, content)
            return copy
    raise FileExistsError(17, "too many copies", str(path))


def _write(path: Path, content: bytes) -> None:
    """Create a file and wait until it is on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
