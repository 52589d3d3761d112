"""Owners of the database's files. After one run as root the user of the service must still be able to use them."""

import contextlib
import os
import pwd
from pathlib import Path

from notifier.domain.card import Bilingual

SIDE_FILES = (".lock", ".new", ".export-lock", "-wal", "-shm", "-journal")
"""Endings of the files that belong to a database file."""


def give_to_database_owner(path: Path) -> None:
    """Give the side files of this database to its owner. Only root can, and only root has to."""
    if os.geteuid() != 0 or not path.exists():
        return
    owner = path.stat()
    for ending in SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            # a link in a folder of the service's user must not give that user a file of root's
            os.chown(f"{path}{ending}", owner.st_uid, owner.st_gid, follow_symlinks=False)


def explain(path: Path, error: OSError) -> Bilingual:
    """Return why this file cannot be used, with its owner if it belongs to somebody else."""
    return find_foreign(path, path.parent) or Bilingual(
        zh=f"无法创建 {path}（{error.strerror}）。请让服务对该目录可写。",
        en=f"{path} cannot be created: {error.strerror}. Make the folder writable for the notifier.",
    )


def find_foreign_file(path: Path) -> Bilingual | None:
    """Return the same about the first file of this database that belongs to somebody else. None: there is none."""
    return find_foreign(path, *(Path(f"{path}{ending}") for ending in SIDE_FILES), path.parent)


def find_foreign(*paths: Path) -> Bilingual | None:
    """Return a sentence on the first of these that belongs to somebody else and cannot be written. None: all can."""
    for each in paths:
        with contextlib.suppress(OSError):
            uid = each.stat().st_uid
            if uid != os.geteuid() and not os.access(each, os.W_OK):
                user, owner = name_of(os.geteuid()), name_of(uid)
                return Bilingual(
                    zh=f"{each} 属于 {owner}，当前用户 {user} 不能写入。请用 chown 把目录及其文件交给 {user}，"
                    f"或以 {owner} 运行。",
                    en=f"{each} belongs to {owner}, and this is {user}, who may not write it. Give the folder and its "
                    f"files to {user} with chown, or run as {owner}.",
                )
    return None


def name_of(uid: int) -> str:
    """Return the name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
