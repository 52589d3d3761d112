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
            os.chown(f"{path}{ending}", owner.st_uid, owner.st_gid)


def explain(path: Path, error: OSError) -> str:
    """Return why this file cannot be used, with its owner if it belongs to somebody else."""
    folder = path.parent
    for each in (path, folder):
        with contextlib.suppress(OSError):
            uid = each.stat().st_uid
            if uid != os.geteuid() and not os.access(each, os.W_OK):
                user = name_of(os.geteuid())
                return (
                    f"{each} belongs to {name_of(uid)}, and this is {user}: {error.strerror}. Give the folder and its "
                    f"files to {user} with chown."
                )
    return f"{path} cannot be created: {error.strerror}. Make the folder writable for the notifier."


def name_of(uid: int) -> str:
    """Return the name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
