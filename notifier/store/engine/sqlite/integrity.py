"""Integrity checks of the database files before a start. They write nothing.

Why the -wal file is parsed here: SQLite stops reading a -wal file at the first invalid frame and silently ignores the
frames after it. `PRAGMA quick_check` then finds no error, and the next checkpoint deletes the ignored commits. The
parser finds complete commits after an invalid frame, so that the start is refused and the file stays unchanged.
tests/store/test_integrity.py shows both damage cases; tests/store/test_power_cuts.py shows that a crash is no damage.
Format: https://www.sqlite.org/fileformat.html#the_write_ahead_log
"""

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
from notifier.store.engine.sqlite import init_marker
from notifier.store.engine.sqlite.errors import REPLACE_DATABASE_HINT, RESTORE_HINT

MAX_CHECK_SECONDS = 3.0
"""Time limit of quick_check. The rest of a large file is not checked."""
WAL_CHECKS = 3
"""Number of reads of a -wal file that seems damaged. A running process can change it during a read."""
WAL_CHECK_PAUSE_SECONDS = 0.2
HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
WAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""Byte order of the words in the checksums of a -wal file, by its magic number."""


def check_integrity(url: str) -> None:
    """Raises ConfigError if the file is damaged, as far as the checks show. A missing file is valid."""
    check_not_lost(url)
    path = init_marker.get_database_path(url)
    if path is None or not path.is_file() or init_marker.is_initializing(path):
        return
    check_wal(url)
    found = _quick_check(path)
    if found is not None:
        raise _error(path, f"is not a usable database: {found}", f"不是可用的数据库（“{found}”）")


def check_wal(url: str) -> None:
    """Raises ConfigError if the -wal file has complete commits after an invalid frame. SQLite would drop them."""
    path = init_marker.get_database_path(url)
    if path is None:
        return
    for attempt in range(WAL_CHECKS):
        if attempt:
            time.sleep(WAL_CHECK_PAUSE_SECONDS)
        if not _has_content(path) or not _has_content(_wal_path(path)):
            return
        if not _has_lost_commits(_wal_path(path), page_size=_page_size(path)):
            return
    raise _error(
        _wal_path(path),
        "is damaged in the middle: the newest data cannot be read",
        "中间已损坏：无法读取最新的数据",
    )


def check_not_lost(url: str) -> None:
    """Raises ConfigError if the file is empty, or missing next to its -wal file.

    SQLite would create a new database there and silently delete the -wal file.
    """
    path = init_marker.get_database_path(url)
    if path is None:
        return
    has_log = _has_content(_wal_path(path))
    if has_log and not path.exists():
        raise ConfigError(
            f"store.url: {path} is missing, but {_wal_path(path)} exists with the newest data. Nothing was "
            "changed. Put the file back next to it. If the file is lost, move its -wal and -shm files away too, and "
            f"{RESTORE_HINT.en}",
            zh=f"store.url：缺少 {path}，但保存最新数据的 {_wal_path(path)} 存在。没有做任何修改。请把文件放回原处。"
            f"如果文件已丢失，请把它的 -wal 和 -shm 文件也移走，并{RESTORE_HINT.zh}",
        )
    if path.is_file() and not _has_content(path) and (has_log or not init_marker.is_initializing(path)):
        raise _error(path, "is not a usable database: it is empty", "不是可用的数据库：文件为空")


def _wal_path(path: Path) -> Path:
    return Path(f"{path}-wal")


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _error(path: Path, problem: str, problem_zh: str) -> ConfigError:
    return ConfigError(
        f"store.url: {path} {problem}. Nothing in it was changed. {REPLACE_DATABASE_HINT.en}",
        zh=f"store.url：{path} {problem_zh}。没有做任何修改。{REPLACE_DATABASE_HINT.zh}",
    )


def _quick_check(path: Path) -> str | None:
    """The first error. None if there is none, the time limit is reached, or the file cannot be opened."""
    ends_at = time.monotonic() + MAX_CHECK_SECONDS
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
    is_commit: bool
    is_chained: bool
    """Its checksum continues the checksum of the previous frame."""


def _has_lost_commits(wal_file: Path, *, page_size: int) -> bool:
    """Whether SQLite would stop reading before complete commits.

    A crash can leave incomplete frames of the last transaction, which was not confirmed to any caller. It cannot leave
    two commits with continuous checksums after an invalid frame: the first was synced before the second started.
    """
    with wal_file.open("rb") as log:
        head = log.read(HEADER_BYTES)
        if len(head) < HEADER_BYTES or page_size < 512:
            return False
        order = WAL_MAGIC.get(int.from_bytes(head[:4], "big"))
        is_valid = order is not None and _checksum(head[:24], (0, 0), order) == struct.unpack(
            ">2I", head[24:32]
        )
        order = order or ("<" if sys.byteorder == "little" else ">")
        broken, chained = not is_valid, 0
        for frame in _frames(log, struct.unpack(">2I", head[24:32]), page_size, order):
            broken = broken or not frame.is_chained or frame.salts != head[16:24]
            chained = chained if frame.is_chained else 0
            if broken and frame.is_chained and frame.is_commit:
                chained += 1
            if chained > 1 and (not is_valid or frame.salts == head[16:24]):
                return True
    return False


def _frames(log: BinaryIO, before: tuple[int, ...], page_size: int, order: str) -> Iterator[_Frame]:
    while len(frame := log.read(FRAME_HEADER_BYTES + page_size)) == FRAME_HEADER_BYTES + page_size:
        found = struct.unpack(">2I", frame[16:FRAME_HEADER_BYTES])
        summed = _checksum(frame[:8], before, order)
        summed = _checksum(frame[FRAME_HEADER_BYTES:], summed, order)
        is_commit = frame[4:8] != b"\0\0\0\0"
        yield _Frame(salts=frame[8:16], is_commit=is_commit, is_chained=summed == found)
        before = found


def _checksum(data: bytes, seed: tuple[int, ...], order: str) -> tuple[int, int]:
    first, second = seed
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
