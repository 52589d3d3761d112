"""Leaks: whether one of the stand-in's secrets stands where it must not. Names the place, never the secret."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.sandbox.secret_marks import SECRET

HOLDERS = {".yaml", ".yml", ".env"}
"""Files of these kinds are where an operator keeps secrets; the tests write them."""


def search(text: str, place: str) -> None:
    """Fails the test when there is a secret in the text."""
    found = SECRET.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        pytest.fail(f"a secret stands in {place}, line {line}", pytrace=False)


def search_folder(folder: Path) -> None:
    """All that was written there: logs, pages, exports, the database and its journal."""
    for file in _files(folder):
        search(file.read_bytes().decode("utf-8", "replace"), str(file.relative_to(folder)))


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.suffix not in HOLDERS and file.is_file():
            yield file


class Watch(logging.Handler):
    """Notes the log records of this process that hold a secret, in their words, their fields or their traceback."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.places: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        if SECRET.search(f"{record.getMessage()} {vars(record)} {trace}"):
            self.places.append(f"{record.name} ({record.filename}:{record.lineno})")
