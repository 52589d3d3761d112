"""Progress of digests: a digest is late from its due time until it is made or missed."""

from datetime import timedelta

import pytest

from notifier.clock import HOUR_MS
from notifier.flow.digests.progress import DigestProgress, DigestWatch
from notifier.store.digests import digest_runs
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.digests import make_clock, make_digester, run_until_idle, weekly


def read(database: Database, clock: FakeClock) -> DigestProgress:
    with database.read() as connection:
        (progress,) = DigestWatch([weekly()]).read_progress(connection, clock.millis)
    return progress


@pytest.mark.parametrize("hours", [0.1, 12, 30, 71])
def test_a_digest_is_late_until_it_would_be_missed(database: Database, hours: float) -> None:
    clock = make_clock()
    assert read(database, clock).late_since is None, "it is not registered yet"
    database.write(lambda c: digest_runs.register_digest(c, weekly().name, now=clock.millis)).result()
    due_at = read(database, clock).next_at
    assert due_at is not None
    clock.advance(seconds=(due_at - clock.millis) / 1000 + timedelta(hours=hours).total_seconds())

    assert due_at == read(database, clock).late_since
    clock.advance(seconds=timedelta(hours=73 - hours).total_seconds())
    assert read(database, clock).late_since is None


async def test_a_digest_that_was_made_is_not_late(database: Database) -> None:
    clock = make_clock()
    digester = make_digester(database, clock, weekly())
    await run_until_idle(digester)
    due_at = read(database, clock).next_at
    assert due_at is not None
    clock.advance(seconds=(due_at - clock.millis) / 1000 + 60)
    assert due_at == read(database, clock).late_since
    await run_until_idle(digester)

    progress = read(database, clock)
    assert (None, clock.millis) == (progress.late_since, progress.last_at)
    assert progress.next_at is not None
    assert progress.next_at >= due_at + 6 * 24 * HOUR_MS
