"""Soundness: a look at the database's file before a start. Nothing is written to it."""

import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from notifier.errors import ConfigError
from notifier.store.engine import init_marker
from notifier.store.engine.outage import BACKUP_OR_NOTHING, BEGIN_ANEW

LONGEST_LOOK_SECONDS = 3.0
"""A large file is looked over as far as one gets by then."""
LOOKS = 3
"""At a -wal that seems damaged. Where somebody runs on the file it changes while it is read; damage stays."""
BETWEEN_LOOKS_SECONDS = 0.2
HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""How the checksums of a -wal file read its words."""


def check(url: str) -> None:
    """Raises ConfigError for a file that is damaged, as far as can be told. One that is not there is well."""
    refuse_lost(url)
    path = init_marker.file_of(url)
    if path is None or not path.is_file() or init_marker.is_under_way(path):
        return
    refuse_damaged_log(url)
    found = _quick_check(path)
    if found is not None:
        raise ConfigError(_sentence(path, f"is not a usable database: {found}"))


def refuse_damaged_log(url: str) -> None:
    """Raises ConfigError where the -wal has lost what was committed: SQLite would drop the rest of it in silence."""
    path = init_marker.file_of(url)
    if path is None:
        return
    for look in range(LOOKS):
        if look:
            time.sleep(BETWEEN_LOOKS_SECONDS)
        if not _is_filled(path) or not _is_filled(_log_of(path)):
            return
        if not _has_lost_commits(_log_of(path), page_size=_page_size(path)):
            return
    raise ConfigError(
        _sentence(_log_of(path), "is damaged in the middle: what was stored last could not be read")
    )


def refuse_lost(url: str) -> None:
    """SQLite makes a new database where the file is empty or missing, and deletes in silence the -wal beside it."""
    path = init_marker.file_of(url)
    if path is None:
        return
    has_log = _is_filled(_log_of(path))
    if has_log and not path.exists():
        raise ConfigError(
            f"store.url: {path} is missing, but {_log_of(path)} is there with what was stored last. Nothing was "
            "changed. Put the file back beside it. Where it is lost, move its -wal and -shm files away too, and "
            f"{BACKUP_OR_NOTHING}"
        )
    if path.is_file() and not _is_filled(path) and (has_log or not init_marker.is_under_way(path)):
        raise ConfigError(_sentence(path, "is not a usable database: it is empty"))


def _log_of(path: Path) -> Path:
    return Path(f"{path}-wal")


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _sentence(path: Path, complaint: str) -> str:
    return f"store.url: {path} {complaint}. Nothing in it was changed. {BEGIN_ANEW}"


def _quick_check(path: Path) -> str | None:
    """What is wrong; None for nothing, or where time ran out, or where the file cannot be opened at all."""
    ends_at = time.monotonic() + LONGEST_LOOK_SECONDS
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    except sqlite3.Error:
        return None
    try:
        connection.set_progress_handler(lambda: time.monotonic() > ends_at, 10_000)
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        damaged = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        return str(error) if damaged else None
    finally:
        connection.close()
    return None if found == "ok" else " ".join(str(found).split())


def _page_size(path: Path) -> int:
    with path.open("rb") as file:
        head = file.read(18)
    size = int.from_bytes(head[16:18], "big")
    return 65536 if size == 1 else size


@dataclass(frozen=True, slots=True)
class _Frame:
    salts: bytes
    commits: bool
    follows: bool
    """Its checksum continues that of the frame before it."""


def _has_lost_commits(log_file: Path, *, page_size: int) -> bool:
    """Whether SQLite would stop reading before commits that were complete.

    A crash may leave the frames of the last transaction half written, as nobody was promised it. It cannot leave two
    commits in one chain behind a frame that does not add up: the first was synced before the second began.
    """
    with log_file.open("rb") as log:
        head = log.read(HEADER_BYTES)
        if len(head) < HEADER_BYTES or page_size < 512:
            return False
        order = MAGIC.get(int.from_bytes(head[:4], "big"))
        sound = order is not None and _checksum(head[:24], (0, 0), order) == struct.unpack(">2I", head[24:32])
        order = order or ("<" if sys.byteorder == "little" else ">")
        broken, chained = not sound, 0
        for frame in _frames(log, struct.unpack(">2I", head[24:32]), page_size, order):
            broken = broken or not frame.follows or frame.salts != head[16:24]
            chained = chained if frame.follows else 0
            if broken and frame.follows and frame.commits:
                chained += 1
            if chained > 1 and (not sound or frame.salts == head[16:24]):
                return True
    return False


def _frames(log: BinaryIO, before: tuple[int, ...], page_size: int, order: str) -> Iterator[_Frame]:
    while len(frame := log.read(FRAME_HEADER_BYTES + page_size)) == FRAME_HEADER_BYTES + page_size:
        found = struct.unpack(">2I", frame[16:FRAME_HEADER_BYTES])
        summed = _checksum(frame[:8], before, order)
        summed = _checksum(frame[FRAME_HEADER_BYTES:], summed, order)
        commits = frame[4:8] != b"\0\0\0\0"
        yield _Frame(salts=frame[8:16], commits=commits, follows=summed == found)
        before = found


def _checksum(data: bytes, seed: tuple[int, ...], order: str) -> tuple[int, int]:
    first, second = seed
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
