"""Leaks: secrets of the stand-in where they must not be, and connections that outlive their event loop.

Names the place, never the secret.
"""

import logging
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.sandbox.settings import SECRET_PATTERN

CONFIG_SUFFIXES = {".yaml", ".yml", ".env"}
"""Files of these kinds are where an operator keeps secrets; the tests write them."""


def fail_on_secret(text: str, place: str) -> None:
    """Fails the test when there is a secret in the text."""
    found = SECRET_PATTERN.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        pytest.fail(f"a secret stands in {place}, line {line}", pytrace=False)


def fail_on_secret_in_folder(folder: Path) -> None:
    """All that was written there: logs, pages, exports, the database and its journal."""
    for file in _files(folder):
        fail_on_secret(file.read_bytes().decode("utf-8", "replace"), str(file.relative_to(folder)))


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        is_config = file.suffix in CONFIG_SUFFIXES or file.name.startswith(".env")  # and its copies
        if not is_config and file.is_file():
            yield file


class SecretLogHandler(logging.Handler):
    """Notes the log records of this process that hold a secret, in their words, their fields or their traceback."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.places: list[str] = []

    def emit(self, apply_events: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(apply_events.exc_info) if apply_events.exc_info else ""
        if SECRET_PATTERN.search(f"{apply_events.getMessage()} {vars(apply_events)} {trace}"):
            self.places.append(f"{apply_events.name} ({apply_events.filename}:{apply_events.lineno})")


@contextmanager
def connections_left_open() -> Iterator[list[str]]:
    """Collects the connections that are open while their event loop is closed.

    The garbage collector would report them at any later time, in another test.
    """
    found: list[str] = []
    close = BaseSelectorEventLoop.close

    def checked_close(loop: BaseSelectorEventLoop) -> None:
        if not loop.is_closed():
            transports = list(vars(loop)["_transports"].values())
            found.extend(f"{each} of {each.get_protocol()}" for each in transports if each._sock is not None)
        close(loop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseSelectorEventLoop, "close", checked_close)
        yield found
