"""Owners of the database's files. After one run as root the user of the service must still be able to use them."""

import contextlib
import os
import pwd
from pathlib import Path

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


def explain(path: Path, error: OSError) -> str:
    """Return why this file cannot be used, with its owner if it belongs to somebody else."""
    return find_foreign(path, path.parent) or (
        f"{path} cannot be created: {error.strerror}. Make the folder writable for the notifier."
    )


def find_foreign_file(path: Path) -> str | None:
    """Return the same about the first file of this database that belongs to somebody else. None: there is none."""
    return find_foreign(path, *(Path(f"{path}{ending}") for ending in SIDE_FILES), path.parent)


def find_foreign(*paths: Path) -> str | None:
    """Return a sentence on the first of these that belongs to somebody else and cannot be written. None: all can."""
    for each in paths:
        with contextlib.suppress(OSError):
            uid = each.stat().st_uid
            if uid != os.geteuid() and not os.access(each, os.W_OK):
                user = name_of(os.geteuid())
                return (
                    f"{each} belongs to {name_of(uid)}, and this is {user}, who may not write it. Give the folder and "
                    f"its files to {user} with chown, or run as {name_of(uid)}."
                )
    return None


def name_of(uid: int) -> str:
    """Return the name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
