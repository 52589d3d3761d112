"""Birth: the database's file, and how one that is only being made is told from one that lost what was in it."""

import os
from pathlib import Path

from sqlalchemy.engine import make_url

from notifier.errors import ConfigError


def get_database_path(url: str) -> Path | None:
    """Where it lies in truth, as SQLite sees it too: what belongs to it lies beside that, not beside a link."""
    path = make_url(url).database
    return Path(os.path.realpath(path)) if path and path != ":memory:" else None


def create_marker(path: Path) -> None:
    """To be called before SQLite makes the file. Raises ConfigError where nothing can be made.

    A first start may die, or find the disk full, between making the file and filling it. Then the mark is still there,
    and says that nothing was ever in it.
    """
    if not path.exists():
        try:
            _marker_path(path).touch()
        except OSError as error:
            raise ConfigError(
                f"store.url: {path} cannot be made: {error.strerror}. Make room on the disk, or make the folder "
                "writable for the notifier."
            ) from error


def remove_marker(path: Path) -> None:
    """There is something in it now."""
    if _marker_path(path).exists():
        _marker_path(path).unlink(missing_ok=True)


def is_initializing(path: Path) -> bool:
    return _marker_path(path).exists() and (not path.exists() or path.stat().st_size == 0)


def _marker_path(path: Path) -> Path:
    return Path(f"{path}.new")
