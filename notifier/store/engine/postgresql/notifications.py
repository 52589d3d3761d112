"""LISTEN and NOTIFY: processes on one database inform each other that there is work.

The connection that listens also holds the lock that shows that a notifier runs. Both are made again when it breaks.

The topic is the payload of one channel, whose name is made of the schema. A NOTIFY is sent at the commit and takes a
lock of the whole database for that moment, so that there is one for each transaction, and none for each event.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from notifier.store.engine.postgresql.connection import LIBPQ_DEFAULTS, SESSION_SETTINGS
from notifier.store.engine.postgresql.locks import SHARE_PROCESS_LOCK

log = logging.getLogger(__name__)

_CHANNEL = "'notifier_' || md5(current_schema())"
_NOTIFY = sa.text(f"SELECT pg_notify({_CHANNEL}, topic) FROM unnest(CAST(:topics AS text[])) AS topic")  # noqa: S608
_RECONNECT_SECONDS = 1.0


def notify(connection: Connection, topics: Sequence[str]) -> None:
    """Send these topics with the commit of the transaction."""
    connection.execute(_NOTIFY, {"topics": list(topics)})


@contextlib.asynccontextmanager
async def listen(engine: Engine, on_topic: Callable[[str], None]) -> AsyncIterator[None]:
    """Call `on_topic` with each topic while the context lasts. The first connection is made before it begins."""
    listening = asyncio.ensure_future(_listen_forever(engine, on_topic, started := asyncio.Event()))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(started.wait(), _RECONNECT_SECONDS)
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.wait({listening})


async def _listen_forever(engine: Engine, on_topic: Callable[[str], None], started: asyncio.Event) -> None:
    while True:
        try:
            await _listen_once(engine, on_topic, started)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end
            log.info("store.notifications_lost", extra={"reason": type(error).__name__})
        await asyncio.sleep(_RECONNECT_SECONDS)


async def _listen_once(engine: Engine, on_topic: Callable[[str], None], started: asyncio.Event) -> None:
    import psycopg  # noqa: PLC0415 - not needed with SQLite

    _, options = engine.dialect.create_connect_args(engine.url)
    connection = await psycopg.AsyncConnection.connect(**{**LIBPQ_DEFAULTS, **options}, autocommit=True)
    async with connection:
        cursor = await connection.execute(f"SELECT {_CHANNEL}")
        row = await cursor.fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        await connection.execute(f'LISTEN "{row[0]}"')
        await connection.execute(SESSION_SETTINGS)
        await connection.execute(SHARE_PROCESS_LOCK)
        started.set()
        async for each in connection.notifies():
            on_topic(each.payload)
