"""Errors of SQLite: recognizes them and gives the next step for operators."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from notifier.domain.card import Bilingual
from notifier.store.engine.backend import NO_ANSWER, get_reason, recovering, without_promise
from notifier.store.engine.sqlite import ownership

RESTORE_HINT = Bilingual(
    zh="用最新的备份替换它；也可以不用文件直接启动：飞书会重新推送最近 7 小时的事件，服务会读取所有余额。",
    en="put the newest backup in its place, or start without a file: Feishu repeats the events of the last 7 hours, "
    "and the notifier reads all balances.",
)
REPLACE_DATABASE_HINT = Bilingual(
    zh="请停止服务，把数据库文件连同 -wal 和 -shm 文件一起移走，否则遗留的 -wal 文件会被应用到新数据库。然后"
    f"{RESTORE_HINT.zh}",
    en="Stop the notifier and move the database file away together with its -wal and -shm files, because a remaining "
    f"-wal file would be applied to the new database. Then {RESTORE_HINT.en}",
)

_NO_SHM = recovering(
    "磁盘已满或有故障。请清理空间，或查看系统日志",
    "the disk is full or fails. Make room, or look at the system's log",
)
_DAMAGED = Bilingual(
    zh=f"数据库已损坏。{REPLACE_DATABASE_HINT.zh}", en=f"the database is damaged. {REPLACE_DATABASE_HINT.en}"
)

_NEXT_STEPS = {
    sqlite3.SQLITE_IOERR_SHMOPEN: _NO_SHM,
    sqlite3.SQLITE_IOERR_SHMSIZE: _NO_SHM,
    sqlite3.SQLITE_FULL: recovering("磁盘已满。请清理空间", "the disk is full. Make room"),
    sqlite3.SQLITE_BUSY: recovering(
        "数据库被其他程序锁定。请停止该程序", "another program keeps the database locked. Stop it"
    ),
    sqlite3.SQLITE_READONLY: recovering(
        "数据库不可写。请让服务对文件及其目录可写",
        "the database cannot be written to. Make the file and its folder writable for the notifier",
    ),
    sqlite3.SQLITE_IOERR: recovering(
        "磁盘有故障。请查看系统日志并修复磁盘",
        "the disk fails. Look at the system's log and repair the disk",
    ),
    sqlite3.SQLITE_CANTOPEN: Bilingual(
        zh="无法打开数据库。请检查目录存在且可写，以及进程打开的文件没有过多",
        en="the database cannot be opened. Check that its folder exists and is writable, and that the process does "
        "not have too many open files",
    ),
    sqlite3.SQLITE_PERM: Bilingual(
        zh="操作系统拒绝访问数据库。请让文件及其目录可写",
        en="the operating system denies access to the database. Make the file and its folder writable",
    ),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_NO_ACCESS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _sqlite_code(error: BaseException) -> int | None:
    """SQLite's extended result code. Its last byte is the primary code."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return code


def get_next_step(error: BaseException) -> Bilingual | None:
    """The problem and the next step for operators; None if it is not a storage error of SQLite."""
    code = _sqlite_code(error)
    return None if code is None else _NEXT_STEPS.get(code) or _NEXT_STEPS.get(code & 0xFF)


def is_outage(error: BaseException) -> bool:
    """Whether the database failed, and not the data of one row."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.OperationalError) or get_next_step(error) is not None


def is_damage(error: BaseException) -> bool:
    """Whether the error shows that the database file is damaged."""
    code = _sqlite_code(error)
    return code is not None and code & 0xFF in _DAMAGE


def find_foreign_file(error: BaseException, path: str) -> Bilingual | None:
    """A sentence on the file that belongs to somebody else, if this can be the reason of the error."""
    code = _sqlite_code(error)
    may_be = path and code is not None and code & 0xFF in _NO_ACCESS
    return ownership.find_foreign_file(Path(path).absolute()) if may_be else None


def explain(error: BaseException, path: str) -> Bilingual:
    """A sentence with the file, the problem, the next step and the reason, without a promise of recovery."""
    reason = get_reason(error)
    if foreign := find_foreign_file(error, path):
        return Bilingual(
            zh=f"{foreign.zh.removesuffix('。')}（“{reason}”）。",
            en=f"{foreign.en.removesuffix('.')} ({reason}).",
        )
    step = without_promise(get_next_step(error) or NO_ANSWER)
    return Bilingual(
        zh=f"{path}：{step.zh.removesuffix('。')}（“{reason}”）。", en=f"{path}: {step.en} ({reason})."
    )
