"""Connection watch: logs changes, reports possibly missed events, and stops the process where that is required."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from notifier.clock import Millis, to_millis
from notifier.errors import NotAuthorised
from notifier.feishu.api import AppStatus
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus
from notifier.runtime.connection_watch import ConnectionWatch, ListenerCheck, WhenRefused

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
START_MS = to_millis(START)

CONNECTED = ConnectionStatus(state=ConnectionState.CONNECTED)
LISTENING = ConnectionStatus(state=ConnectionState.LISTENING, detail="127.0.0.1:80/events")
LOST = ConnectionStatus(state=ConnectionState.LOST, detail="gone")
REFUSED = ConnectionStatus(state=ConnectionState.REFUSED, detail="no scope")


class Intake:
    def __init__(self) -> None:
        self.refused_at: Millis | None = None
        self.set_back_to: Millis | None = None

    def clock_set_back(self, now: Millis) -> None:
        self.set_back_to = now


class Scene:
    """A connection watch with everything around it."""

    def __init__(self, when_refused: WhenRefused = "exit_at_start") -> None:
        self.moment = START
        self.intake = Intake()
        self.app_status = AppStatus()
        self.stop = asyncio.Event()
        self.heartbeats = 0
        self.notified = 0
        self.watch = ConnectionWatch(
            clock=self,
            intake=self.intake,
            app_status=self.app_status,
            when_refused=when_refused,
            stop=self.stop,
            wake_heartbeat=self._wake_heartbeat,
        )
        self.watch.subscribe(self._notify)

    def now(self) -> datetime:
        return self.moment

    def _wake_heartbeat(self) -> None:
        self.heartbeats += 1

    def _notify(self) -> None:
        self.notified += 1

    async def is_stopping(self) -> bool:
        """The stop is requested through the event loop, so the loop must run once."""
        await asyncio.sleep(0)
        return self.stop.is_set()


async def test_a_change_sets_the_time_and_a_repeat_does_not() -> None:
    scene = Scene()
    scene.moment = START.replace(hour=9)
    scene.watch.on_change(LOST)
    scene.moment = START.replace(hour=10)
    scene.watch.on_change(ConnectionStatus(state=ConnectionState.LOST, detail="gone again"))

    assert to_millis(START.replace(hour=9)) == scene.watch.since
    assert "gone again" == scene.watch.status.detail
    assert 2 == scene.heartbeats


async def test_each_change_is_logged_once_at_its_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "notifier")
    scene = Scene("retry")
    for status in (CONNECTED, CONNECTED, LOST, REFUSED):
        scene.watch.on_change(status)

    assert [
        ("connection.connected", logging.INFO),
        ("connection.lost", logging.WARNING),
        ("connection.refused", logging.ERROR),
    ] == [(record.getMessage(), record.levelno) for record in caplog.records]


@pytest.mark.parametrize("status", [CONNECTED, LISTENING])
async def test_events_can_arrive_only_while_feishu_reaches_us(status: ConnectionStatus) -> None:
    scene = Scene()

    seen = [(scene.watch.connected_since, scene.watch.is_connected())]
    for each in (status, LOST):
        scene.watch.on_change(each)
        seen.append((scene.watch.connected_since, scene.watch.is_connected()))

    assert [(None, False), (START_MS, status is CONNECTED), (None, False)] == seen


@pytest.mark.parametrize(
    "status, refused_ms, expected_ms",
    [(LOST, None, None), (LOST, 5, None), (CONNECTED, None, 0), (CONNECTED, -5, 0), (CONNECTED, 10, 10)],
)
async def test_an_event_that_we_refused_proves_no_missed_event(
    status: ConnectionStatus, refused_ms: int | None, expected_ms: int | None
) -> None:
    """All times from the start of the connection."""
    scene = Scene()
    scene.watch.on_change(status)
    scene.intake.refused_at = None if refused_ms is None else START_MS + refused_ms

    assert (None if expected_ms is None else START_MS + expected_ms) == scene.watch.receiving_since()


async def test_subscribers_are_called_at_each_connect_only() -> None:
    scene = Scene()
    counts = []
    for status in (LOST, CONNECTED, LOST, LISTENING):
        scene.watch.on_change(status)
        counts.append(scene.notified)

    assert [0, 1, 1, 2] == counts


async def test_subscribers_are_called_once_for_each_refused_event() -> None:
    scene = Scene()
    counts = []
    for refused_at in (None, 5, 5, 7):
        scene.intake.refused_at = refused_at
        scene.watch.check_refused_events()
        counts.append(scene.notified)

    assert [0, 1, 1, 2] == counts


@pytest.mark.parametrize(
    "when_refused, before, stops",
    [
        ("exit_at_start", [], True),
        ("exit_at_start", [LOST], True),
        ("exit_at_start", [CONNECTED], False),
        ("exit_at_start", [LISTENING], False),
        ("exit", [CONNECTED], True),
        ("retry", [], False),
    ],
)
@pytest.mark.parametrize("refused_by", ["connection", "call"])
async def test_a_refusal_stops_the_process_as_configured(
    when_refused: WhenRefused, before: list[ConnectionStatus], refused_by: str, *, stops: bool
) -> None:
    scene = Scene(when_refused)
    for status in before:
        scene.watch.on_change(status)
    if refused_by == "connection":
        scene.watch.on_change(REFUSED)
    else:
        scene.app_status.record_failure(NotAuthorised("no scope"))
        scene.watch.check_app_status()

    assert stops == await scene.is_stopping()
    assert (scene.watch.exit_reason is not None) == stops
    assert "no scope" in (scene.watch.exit_reason or "no scope")


async def test_a_refusal_in_the_listeners_thread_stops_the_process() -> None:
    scene = Scene()
    await asyncio.to_thread(scene.watch.on_change, REFUSED)

    assert await scene.is_stopping()


async def test_a_clock_that_was_set_back_leaves_no_time_in_the_future() -> None:
    scene = Scene()
    scene.watch.on_clock_jump(START_MS + 5)
    assert START_MS == scene.watch.since
    scene.watch.on_clock_jump(START_MS - 5)
    assert START_MS - 5 == scene.watch.since
    assert START_MS - 5 == scene.intake.set_back_to


class FakeListener:
    def __init__(self, watch: Callable[[], None]) -> None:
        self.watch = watch


async def test_the_listener_check_watches_the_thread_and_the_app() -> None:
    scene = Scene("exit")
    watched: list[str] = []
    check = ListenerCheck(FakeListener(lambda: watched.append("watched")), scene.watch)

    assert 5.0 == await check.run_once()
    assert not await scene.is_stopping()
    scene.app_status.record_failure(NotAuthorised("wrong secret"))
    await check.run_once()

    assert ["watched", "watched"] == watched
    assert await scene.is_stopping()
