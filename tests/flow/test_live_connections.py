"""Presence: more connections than ours are told once, by whatever count Feishu gives."""

import logging
from collections.abc import Sequence

import pytest

from notifier.flow.upkeep.live_connections import ConnectionCountWatcher


async def told(counts: Sequence[int | None], caplog: pytest.LogCaptureFixture, *, ours: int = 1) -> list[int]:
    """What the log says of a row of answers."""
    rest = iter(counts)

    async def ask() -> int | None:
        return next(rest)

    presence = ConnectionCountWatcher(ask, is_connected=lambda: True, count_ours=lambda: ours)
    with caplog.at_level(logging.INFO, "notifier.flow.upkeep.live_connections"):
        for _ in counts:
            assert await presence.run_once() > 0
    return [int(apply_events.__dict__["not_ours"]) for apply_events in caplog.records]


@pytest.mark.parametrize(
    "counts, not_ours",
    [
        ([1, 1, 1], []),
        ([2, 1, 1], []),
        ([1, 2, 2, 2], [1]),
        ([3, 2, 3, 2], [1]),
        ([2, 2, 1], [1, 0]),
        ([2, None, 2], [1]),
        ([0, 0], []),
        ([None, None], []),
        ([2, 2, 3, 3], [1, 2]),
    ],
    ids=str,
)
async def test_others_are_told_once_they_were_seen_twice(
    counts: list[int | None], not_ours: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert not_ours == await told(counts, caplog)


async def test_while_we_are_not_connected_nothing_is_known() -> None:
    """Our own connection would otherwise be counted as a foreign one."""
    is_connected = True

    async def ask() -> int:
        return 3

    watcher = ConnectionCountWatcher(ask, is_connected=lambda: is_connected)
    for _ in range(2):
        await watcher.run_once()
    assert watcher.foreign == 2
    is_connected = False
    await watcher.run_once()
    assert watcher.foreign is None


@pytest.mark.parametrize(
    "counts, not_ours", [([3, 3], []), ([4, 4, 3], [1, 0]), ([2, 1], []), ([4, 3, 4], [])], ids=str
)
async def test_the_connections_of_all_our_processes_are_ours(
    counts: list[int], not_ours: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert not_ours == await told(counts, caplog, ours=3)
