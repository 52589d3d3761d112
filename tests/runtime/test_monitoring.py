"""Monitoring: a scrape is answered whatever the database does, and never shows an old read as a new one."""

import asyncio
import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from notifier import metrics
from notifier.config.settings import Config
from notifier.runtime.telemetry import monitoring
from notifier.runtime.telemetry.monitoring import Monitor
from notifier.store.engine.database import Database
from notifier.store.processes import figures
from support.clock import FakeClock
from support.waiting import wait_until


class SlowStore:
    """Reads wait while `is_open` is not set."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_open = threading.Event()
        self.is_open.set()
        self._read = figures.read_figures

    def read_figures(self, *arguments: Any, **named: Any) -> Any:
        self.reads += 1
        assert self.is_open.wait(30)
        return self._read(*arguments, **named)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> SlowStore:
    store = SlowStore()
    monkeypatch.setattr(figures, "read_figures", store.read_figures)
    monkeypatch.setattr(monitoring, "CACHE_SECONDS", 0)
    return store


@pytest.fixture
async def monitor(database: Database, clock: FakeClock) -> Monitor:
    shared: Any = SimpleNamespace(
        config=Config(),
        database=database,
        clock=clock,
        api=SimpleNamespace(app_status=SimpleNamespace(refusal_reason=None)),
    )
    return Monitor(shared, seconds_since_frame=lambda: None)


def sample(name: str) -> float:
    value = metrics.REGISTRY.get_sample_value(f"notifier_{name}")
    assert value is not None
    return value


async def test_while_the_database_hangs_no_scrape_waits_behind_another(
    monitor: Monitor, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await monitor.read_metrics()
    assert (1, 1, 0) == (store.reads, sample("database_up"), sample("replicas"))

    store.is_open.clear()
    monkeypatch.setattr(monitoring, "READ_SECONDS", 0.05)
    texts = await asyncio.gather(*(monitor.read_metrics() for _ in range(20)))
    assert all(b"notifier_database_up 0.0" in text for text in texts)
    assert math.isnan(sample("replicas"))
    assert store.reads == 2, "the others do not start a read of their own"

    store.is_open.set()
    monkeypatch.setattr(monitoring, "READ_SECONDS", 30)
    wait_until(lambda: monitor._late_read is not None, "the read is known to be late")
    await asyncio.wait({monitor._late_read} if monitor._late_read else set())
    await monitor.read_metrics()
    assert (3, 1, 0) == (store.reads, sample("database_up"), sample("replicas")), "a new read"


async def test_a_database_that_fails_leaves_the_counters_of_the_process(
    monitor: Monitor, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(figures, "read_figures", fail)
    text = await monitor.read_metrics()

    assert b"notifier_database_up 0.0" in text
    assert b"process_cpu_seconds_total" in text
    assert store.reads == 0
