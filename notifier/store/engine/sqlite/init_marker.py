"""Init marker: distinguishes a database file of an unfinished first start from one that lost its content."""

import os
from pathlib import Path

from sqlalchemy.engine import make_url

from notifier.errors import ConfigError


def get_database_path(url: str) -> Path | None:
    """The resolved path of the database file; None for a database in memory.

    SQLite resolves links too, so the -wal file is next to the target and not next to the link.
    """
    path = make_url(url).database
    return Path(os.path.realpath(path)) if path and path != ":memory:" else None


def create_marker(path: Path) -> None:
    """Create the marker before SQLite creates the file. Raises ConfigError if the folder is not writable.

    A first start can crash, or find the disk full, after it creates the file and before it writes the schema. The
    remaining marker then shows that the empty file never had content.
    """
    if not path.exists():
        try:
            _marker_path(path).touch()
        except OSError as error:
            raise ConfigError(
                f"store.url: {path} cannot be created: {error.strerror}. Make room on the disk, or make the folder "
                "writable for the notifier.",
                zh=f"store.url：无法创建 {path}（{error.strerror}）。请清理磁盘空间，或让服务对该目录可写。",
            ) from error


def remove_marker(path: Path) -> None:
    """Remove the marker after the schema is written."""
    if _marker_path(path).exists():
        _marker_path(path).unlink(missing_ok=True)


def is_initializing(path: Path) -> bool:
    """Whether the marker exists and the file is missing or empty."""
    return _marker_path(path).exists() and (not path.exists() or path.stat().st_size == 0)


def _marker_path(path: Path) -> Path:
    return Path(f"{path}.new")
