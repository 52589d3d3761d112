"""Workers: which process started last, and which of its times can be trusted."""

from notifier.clock import CONFIRM_SECONDS, DAY_MS, JumpGuard
from notifier.store.engine.database import Database
from notifier.store.processes import clock_jumps, workers
from notifier.store.processes.workers import NewWorker, WorkerRow
from support.clock import FakeClock

NOW = 1_700_000_000_000


def register(database: Database, worker_id: str, *, now: int, submits_payouts: bool = False) -> None:
    database.write(
        lambda c: workers.register_worker(
            c, NewWorker(worker_id=worker_id, submits_payouts=submits_payouts), now=now
        )
    ).result()


def beat(database: Database, worker_id: str, *, at: int, trusted: bool) -> None:
    row = WorkerRow(
        worker_id=worker_id,
        started_at=at,
        heartbeat_at=at,
        trusted_at=at if trusted else None,
        stopped_at=None,
        connection_state="connected",
        connection_since=at,
        connection_detail=None,
        last_event_at=None,
    )
    database.write(lambda c: workers.write_heartbeat(c, row)).result()


def test_the_process_that_started_last_counts_whatever_its_clock_said(database: Database) -> None:
    register(database, "with a clock ahead", now=NOW + 300 * DAY_MS)
    register(database, "the running one", now=NOW, submits_payouts=True)
    with database.read() as connection:
        newest = workers.get_last_worker(connection)

    assert newest is not None
    assert ("the running one", True) == (newest.worker_id, newest.submits_payouts)


def test_heartbeats_of_a_doubtful_clock_do_not_make_the_next_start_believe_it(database: Database) -> None:
    clock = FakeClock()
    register(database, "w", now=clock.millis)
    beat(database, "w", at=clock.millis, trusted=True)
    clock.advance(seconds=200 * DAY_MS / 1000)
    beat(database, "w", at=clock.millis, trusted=False)
    with database.read() as connection:
        last_seen = clock_jumps.get_last_trusted(connection)
    after = 0.0
    guard = JumpGuard(clock, last_seen=last_seen, elapsed_seconds=lambda: after)

    assert guard.is_doubtful()
    after = CONFIRM_SECONDS + 1
    clock.advance(seconds=after)
    assert not guard.is_doubtful(), "a machine that was off so long"
