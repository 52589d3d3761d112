"""Receiving: events are stored in batches, and a burst is noticed."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Event as Gate

import pytest

from notifier.clock import SystemClock
from notifier.domain.event import Event
from notifier.flow.events.receive import IngestBurst, Receiver
from notifier.store.engine.database import Database


class FakeTime:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/receive.db")
    yield opened
    opened.close()


def event(number: int) -> Event:
    return Event(key=f"e-{number}", event_type="x", tenant_key="t", app_id="a", created_at=0, payload=b"{}")


def _arrive(burst: IngestBurst, time: FakeTime, count: int, *, every: float) -> None:
    for _ in range(count):
        time.seconds += every
        burst.arrived()


def test_events_at_the_rate_that_feishu_allows_are_no_burst(time: FakeTime) -> None:
    burst = IngestBurst(time)

    _arrive(burst, time, 500, every=0.02)

    assert not burst.is_on()


def test_a_burst_lasts_until_its_events_are_stored(time: FakeTime) -> None:
    burst = IngestBurst(time)
    _arrive(burst, time, IngestBurst.MANY, every=0.001)
    assert burst.is_on()

    time.seconds += 1
    assert burst.is_on()  # they wait for their commit

    for _ in range(IngestBurst.MANY):
        burst.stored()
    assert not burst.is_on()


def test_a_short_gap_does_not_end_a_burst(time: FakeTime) -> None:
    burst = IngestBurst(time)
    _arrive(burst, time, IngestBurst.MANY, every=0.001)
    for _ in range(IngestBurst.MANY):
        burst.stored()

    time.seconds += IngestBurst.QUIET_SECONDS / 2
    assert burst.is_on()

    time.seconds += IngestBurst.QUIET_SECONDS
    assert not burst.is_on()


def test_a_steady_stream_after_a_burst_is_not_paused(time: FakeTime) -> None:
    burst = IngestBurst(time)
    _arrive(burst, time, IngestBurst.MANY, every=0.001)
    assert burst.is_on()

    _arrive(burst, time, IngestBurst.MANY, every=0.02)
    for _ in range(2 * IngestBurst.MANY):
        burst.stored()

    assert not burst.is_on()


def test_a_burst_without_end_stops_other_work_for_two_seconds_only(time: FakeTime) -> None:
    burst = IngestBurst(time)

    _arrive(burst, time, 1_900, every=0.001)
    assert burst.is_on()

    _arrive(burst, time, 1_000, every=0.001)
    assert not burst.is_on()


def _hold_writer(database: Database) -> Callable[[], None]:
    """Keeps the writer busy, so that the next events share one commit. Returns what ends it."""
    began, gate = Gate(), Gate()

    def wait(_connection: object) -> None:
        began.set()
        gate.wait(10)

    database.write(wait)
    assert began.wait(10)
    return gate.set


def test_one_commit_wakes_once(database: Database) -> None:
    woken: list[None] = []
    receiver = Receiver(database, SystemClock(), wake=lambda: woken.append(None))
    go_on = _hold_writer(database)
    stored = [receiver.accept(event(number)) for number in range(50)]
    go_on()
    for each in stored:
        each.result(10)
    database.write(lambda _connection: None).result(10)  # the callbacks of the commit before have run

    assert [None] == woken


def test_events_beside_a_faulty_one_are_stored_and_wake(database: Database) -> None:
    woken: list[None] = []
    receiver = Receiver(database, SystemClock(), wake=lambda: woken.append(None))
    faulty = Event(key=[], event_type="x", tenant_key="t", app_id="a", created_at=0, payload=b"{}")  # type: ignore[arg-type]
    go_on = _hold_writer(database)
    stored: list[Future[None]] = [receiver.accept(each) for each in (event(1), event(2), faulty)]
    go_on()

    assert [None, None] == [each.result(10) for each in stored[:2]]
    assert stored[2].exception(10) is not None
    database.write(lambda _connection: None).result(10)
    assert [None] == woken
    assert receiver.refused_at is not None
