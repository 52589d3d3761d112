"""Quota: how many calls fit into a window, exactly, and what is said when no more do."""

import math
from collections import deque
from dataclasses import dataclass

from notifier.sandbox.api.error_codes import RefusedError
from notifier.sandbox.clock import SandboxClock


@dataclass(frozen=True, slots=True)
class Limit:
    calls: int
    seconds: float


MESSAGES = (Limit(1000, 60), Limit(50, 1))  # tier 4
PER_SECOND_10 = (Limit(10, 1),)  # tier 7
PER_MINUTE_100 = (Limit(100, 60),)  # tier 3
PER_TARGET = (Limit(5, 1),)  # one person, one group, or one message being updated


class Quota:
    """Sliding windows by key. A refused call does not count; of several limits either one refuses."""

    def __init__(self, clock: SandboxClock, *, enforced: bool) -> None:
        self._clock = clock
        self._enforced = enforced
        self._used: dict[str, deque[float]] = {}

    def consume(self, key: str, limits: tuple[Limit, ...]) -> tuple[Limit, int] | None:
        """Counts one call; or, if that is one too many, names the limit and the whole seconds until room."""
        if not self._enforced:
            return None
        now = self._clock.elapsed()
        taken = self._used.setdefault(key, deque())
        longest = max(limit.seconds for limit in limits)
        while taken and taken[0] <= now - longest:
            taken.popleft()
        for limit in limits:
            if len(taken) >= limit.calls and taken[-limit.calls] > now - limit.seconds:
                reset = taken[-limit.calls] + limit.seconds - now
                return limit, max(1, math.ceil(reset))
        taken.append(now)
        return None

    def consume_call(self, key: str, limits: tuple[Limit, ...]) -> None:
        """For an API as a whole. Raises 99991400 with the two headers that say how long to wait."""
        full = self.consume(key, limits)
        if full:
            limit, reset = full
            headers = {"x-ogw-ratelimit-limit": str(limit.calls), "x-ogw-ratelimit-reset": str(reset)}
            raise RefusedError(99991400, headers=headers)

    def consume_target(self, key: str) -> None:
        """For one person, group or message. Raises 230020, which carries no wait."""
        if self.consume(key, PER_TARGET):
            raise RefusedError(230020, f"ext=more than {PER_TARGET[0].calls} in a second for {key}")
