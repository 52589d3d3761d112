"""Heartbeat: the row of the process in the database, and whether the process is ready."""

import asyncio
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from notifier.clock import Millis
from notifier.domain.event import Event
from notifier.errors import NotAuthorised
from notifier.feishu.api import AppStatus
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus
from notifier.runtime.connection_watch import ConnectionWatch
from notifier.runtime.heartbeat import HEARTBEAT_SECONDS, Heartbeat
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker
from support.clock import FakeClock

CONNECTED = ConnectionStatus(state=ConnectionState.CONNECTED)
LOST = ConnectionStatus(state=ConnectionState.LOST, detail="gone")
WORKER_ID = "0" * 32


class Receiver:
    """Stands for the receiver of events and for the count of live connections."""

    def __init__(self) -> None:
        self.refused_at: Millis | None = None
        self.last_event_at: Millis | None = None
        self.foreign: int | None = None

    def clock_set_back(self, now: Millis) -> None:
        raise NotImplementedError


class Scene:
    def __init__(self, database: Database, clock: FakeClock, notify: Callable[[], None]) -> None:
        self.database = database
        self.clock = clock
        self.is_clock_doubtful = False
        self.reconnects: list[int] = []
        self.receiver = Receiver()
        self.app_status = AppStatus()
        self.watch = ConnectionWatch(
            clock=clock,
            intake=self.receiver,
            app_status=self.app_status,
            when_refused="retry",
            stop=asyncio.Event(),
            wake_heartbeat=lambda: None,
        )
        self.watch.subscribe(notify)
        self.heartbeat = Heartbeat(
            database,
            clock,
            connection=self.watch,
            app_status=self.app_status,
            arrivals=self.receiver,
            connection_count=self.receiver,
            worker_id=WORKER_ID,
            started_at=clock.millis,
            is_clock_doubtful=lambda: self.is_clock_doubtful,
            reconnect=lambda: self.reconnects.append(clock.millis),
        )

    def row(self) -> dict[str, object]:
        with self.database.read() as connection:
            return dict(connection.execute(sa.text("SELECT * FROM workers")).mappings().one())


@pytest.fixture
def notified() -> list[str]:
    return []


@pytest.fixture
async def scene(database: Database, clock: FakeClock, notified: list[str]) -> Scene:
    await asyncio.wrap_future(
        database.write(lambda c: workers.register_worker(c, NewWorker(worker_id=WORKER_ID), now=clock.millis))
    )
    return Scene(database, clock, lambda: notified.append("missed?"))


async def test_a_heartbeat_writes_the_state_of_the_process(scene: Scene) -> None:
    scene.clock.advance(seconds=5)
    scene.watch.on_change(LOST)
    scene.receiver.last_event_at, scene.receiver.foreign = scene.clock.millis, 2

    assert HEARTBEAT_SECONDS == await scene.heartbeat.run_once()
    row = scene.row()
    assert (scene.clock.millis, None) == (row["heartbeat_at"], row["stopped_at"])
    assert ("lost", "gone") == (row["connection_state"], row["connection_detail"])
    assert (scene.clock.millis, scene.clock.millis, 2) == (
        row["connection_since"],
        row["last_event_at"],
        row["foreign_connections"],
    )


async def test_the_last_heartbeat_marks_the_process_as_stopped(scene: Scene) -> None:
    await scene.heartbeat.write_last()

    assert scene.clock.millis == scene.row()["stopped_at"]


async def test_the_row_says_why_feishu_rejects_the_app(scene: Scene) -> None:
    scene.watch.on_change(LOST)
    scene.app_status.record_failure(NotAuthorised("wrong secret"))
    await scene.heartbeat.run_once()

    assert (
        f"gone; Feishu rejects this app: {scene.app_status.refusal_reason}"
        == scene.row()["connection_detail"]
    )


async def test_a_refused_event_is_reported_once_after_the_next_write(
    scene: Scene, notified: list[str]
) -> None:
    counts = []
    for refused_at in (None, 5, 5):
        scene.receiver.refused_at = refused_at
        await scene.heartbeat.run_once()
        counts.append(len(notified))

    assert [0, 1, 1] == counts


async def test_a_process_is_ready_when_events_reach_it_and_its_credentials_hold(scene: Scene) -> None:
    scene.watch.on_change(CONNECTED)
    ready = scene.heartbeat.readiness()
    scene.app_status.record_failure(NotAuthorised("wrong secret"))
    rejected = scene.heartbeat.readiness()
    scene.app_status.record_success()
    scene.watch.on_change(LOST)
    lost = scene.heartbeat.readiness()

    assert ready.is_ready
    assert {"connection": "connected", "connection_since": scene.watch.since} == ready.facts
    assert ["credentials"] == list(rejected.problems)
    assert "wrong secret" in rejected.problems["credentials"]
    assert {"connection": "lost: gone"} == lost.problems


async def test_a_process_without_a_recent_write_is_not_ready(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([100.0, 121.0, 121.0, 121.0])  # a write, a check, a write, a check
    monkeypatch.setattr("notifier.runtime.heartbeat.monotonic", lambda: next(seconds))
    scene.watch.on_change(CONNECTED)
    await scene.heartbeat.run_once()
    stale = scene.heartbeat.readiness()
    await scene.heartbeat.run_once()

    assert ["store"] == list(stale.problems)
    assert "21 s ago" in stale.problems["store"]
    assert scene.heartbeat.readiness().is_ready


@pytest.mark.parametrize("seconds, is_ready", [(59, True), (61, False)])
async def test_an_event_that_is_not_applied_for_a_minute_shows_in_readyz(
    scene: Scene,
    seconds: int,
    is_ready: bool,  # noqa: FBT001 - one column of the table
) -> None:
    scene.watch.on_change(CONNECTED)
    event = Event(
        key="ev",
        event_type="t",
        tenant_key="tk",
        app_id="cli_x",
        created_at=scene.clock.millis,
        payload=b"{}",
    )
    insert = EventInserter(scene.clock)
    await asyncio.wrap_future(scene.database.write(lambda c: insert(c, [event])))
    scene.clock.advance(seconds=seconds)
    await scene.heartbeat.run_once()

    found = scene.heartbeat.readiness()
    assert is_ready is found.is_ready
    assert is_ready or f"the oldest has been ready for {seconds} s" == found.problems["events"]


async def test_a_heartbeat_in_doubt_of_the_clock_leaves_the_trusted_time_as_it_was(scene: Scene) -> None:
    await scene.heartbeat.run_once()
    trusted_at = scene.clock.millis
    scene.clock.advance(seconds=5)
    scene.is_clock_doubtful = True
    await scene.heartbeat.run_once()

    assert (scene.clock.millis, trusted_at) == (scene.row()["heartbeat_at"], scene.row()["trusted_at"])


async def test_a_request_to_reconnect_is_followed_once_whatever_its_time(scene: Scene) -> None:
    """The clock of the one who asked may be ahead, so that the new connection seems to be older than the request."""
    scene.watch.on_change(CONNECTED)
    scene.clock.advance(seconds=5)
    for ahead, expected in ((0, 1), (3_600_000, 2)):
        requested_at = scene.clock.millis + ahead
        await asyncio.wrap_future(
            scene.database.write(lambda c, at=requested_at: workers.request_reconnect(c, now=at))  # type: ignore[misc]
        )
        for _ in range(3):
            await scene.heartbeat.run_once()
            scene.watch.on_change(LOST)
            scene.watch.on_change(CONNECTED)
        assert expected == len(scene.reconnects)
