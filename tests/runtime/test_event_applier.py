"""Event applier: waits during a burst, wakes the next workers, and says when to run again."""

from typing import cast

import pytest

from notifier.flow.events.apply_events import BATCH, ApplyDeps
from notifier.runtime import event_applier
from notifier.runtime.event_applier import BURST_PAUSE_SECONDS, IDLE_SECONDS, EventApplier
from notifier.store.engine.database import Database


@pytest.mark.parametrize(
    "is_burst, applied_count, expected_pause, expected_calls",
    [
        (True, BATCH, BURST_PAUSE_SECONDS, []),
        (False, 0, IDLE_SECONDS, ["apply"]),
        (False, 1, IDLE_SECONDS, ["apply", "wake"]),
        (False, BATCH, 0, ["apply", "wake"]),
    ],
)
async def test_a_run_applies_one_batch(
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
    applied_count: int,
    expected_pause: float,
    expected_calls: list[str],
    *,
    is_burst: bool,
) -> None:
    calls: list[str] = []

    async def apply(*_: object) -> int:
        calls.append("apply")
        return applied_count

    monkeypatch.setattr(event_applier, "apply_events", apply)
    applier = EventApplier(
        database,
        cast("ApplyDeps", None),
        is_burst=lambda: is_burst,
        wake=lambda: calls.append("wake"),
    )

    assert expected_pause == await applier.run_once()
    assert expected_calls == calls
