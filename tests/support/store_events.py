"""Storing: a program that stores events without end and names each on stdout once it is committed.

    python store_events.py DATABASE_URL FIRST_NUMBER [synchronous]

synchronous: another value than the notifier's own, to see what becomes of events then.
"""

import itertools
import os
import sys
import threading
from concurrent.futures import Future

import sqlalchemy as sa

from notifier.clock import SystemClock
from notifier.domain.event import Event
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter

AT_ONCE = 8


def main(url: str, first: int, synchronous: str | None) -> None:
    database = Database.open(url)
    if synchronous is not None:
        sa.event.listen(
            database.engine, "connect", lambda c, _: c.execute(f"PRAGMA synchronous={synchronous}").close()
        )
        database.engine.dispose()
    accept, places = EventInserter(SystemClock()), threading.Semaphore(AT_ONCE)
    for number in itertools.count(first):
        places.acquire()
        event = Event(
            key=f"ev-{number}",
            event_type="t",
            tenant_key="tk",
            app_id="cli_x",
            created_at=number,
            payload=os.urandom(1500),
        )

        def stored(done: "Future[None]", key: str = event.key) -> None:
            done.result()
            os.write(1, f"{key}\n".encode())
            places.release()

        database.write_many(accept, event).add_done_callback(stored)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
