"""Stored files: the list that a digest sends beside its card, until Feishu has it."""

import zlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.store.schema.tables import digest_files


def create_file(connection: Connection, *, name: str, rows: int, compressed: bytes) -> int:
    """Store a file and return its id. rows: number of data rows. compressed: content, compressed with zlib."""
    return connection.execute(
        sa.insert(digest_files)
        .values(name=name, rows=rows, compressed=compressed)
        .returning(digest_files.c.id)
    ).scalar_one()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFile:
    """A file of a digest. file_key: Feishu's key after the upload. content: None after the upload."""

    id: int
    name: str
    file_key: str | None
    content: bytes | None


def get_file(connection: Connection, file_id: int) -> DigestFile:
    """The file with this id, decompressed."""
    row = connection.execute(sa.select(digest_files).where(digest_files.c.id == file_id)).one()
    return DigestFile(
        id=row.id,
        name=row.name,
        file_key=row.file_key,
        content=zlib.decompress(row.compressed) if row.compressed is not None else None,
    )


def mark_uploaded(connection: Connection, file_id: int, *, file_key: str) -> None:
    """Store Feishu's file key and delete the content: a repeated message uses the same key."""
    connection.execute(
        sa.update(digest_files).where(digest_files.c.id == file_id).values(file_key=file_key, compressed=None)
    )
