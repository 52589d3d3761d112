"""Rate limits of calls: exact sliding windows, and the errors for calls above the limit."""

import math
from collections import deque
from dataclasses import dataclass

from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import RefusedError


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` calls in `seconds`."""

    calls: int
    seconds: float


MESSAGES = (Limit(1000, 60), Limit(50, 1))  # tier 4
PER_SECOND_10 = (Limit(10, 1),)  # tier 7
PER_MINUTE_100 = (Limit(100, 60),)  # tier 3
PER_TARGET = (Limit(5, 1),)  # for one person, one group, or one message that is updated


class Quota:
    """Sliding windows by key. A refused call does not count. Each of several limits can refuse a call."""

    def __init__(self, clock: SandboxClock, *, enforced: bool) -> None:
        self._clock = clock
        self._enforced = enforced
        self._used: dict[str, deque[float]] = {}
        self._limits: dict[str, tuple[Limit, ...]] = {}  # as of the last call, by key

    def consume(self, key: str, limits: tuple[Limit, ...]) -> tuple[Limit, int] | None:
        """Counts one call and returns None.

        When a limit is reached, returns that limit and the whole seconds until the next call is possible.
        """
        if not self._enforced:
            return None
        now = self._clock.elapsed()
        used = self._used.setdefault(key, deque())
        self._limits[key] = limits
        longest = max(limit.seconds for limit in limits)
        while used and used[0] <= now - longest:
            used.popleft()
        for limit in limits:
            if len(used) >= limit.calls and used[-limit.calls] > now - limit.seconds:
                reset = used[-limit.calls] + limit.seconds - now
                return limit, max(1, math.ceil(reset))
        used.append(now)
        return None

    def consume_call(self, key: str, limits: tuple[Limit, ...]) -> None:
        """Counts a call of an API. Raises 99991400 with two headers that give the limit and the seconds to wait."""
        full = self.consume(key, limits)
        if full:
            limit, reset = full
            headers = {"x-ogw-ratelimit-limit": str(limit.calls), "x-ogw-ratelimit-reset": str(reset)}
            raise RefusedError(99991400, headers=headers)

    def consume_target(self, key: str) -> None:
        """Counts a call for one person, group or message. Raises 230020, which has no time to wait."""
        if self.consume(key, PER_TARGET):
            raise RefusedError(230020, f"ext=more than {PER_TARGET[0].calls} in a second for {key}")

    def keys_in_use(self) -> list[str]:
        """The keys with a call inside the longest of their windows."""
        now = self._clock.elapsed()
        return [
            key
            for key, used in self._used.items()
            if used and used[-1] > now - max(limit.seconds for limit in self._limits[key])
        ]

    def read_usage(self, key: str, limits: tuple[Limit, ...] | None = None) -> list[dict[str, object]]:
        """calls, seconds, used, remaining and reset_seconds of each limit of a key. limits: None for those in use."""
        now = self._clock.elapsed()
        found: list[dict[str, object]] = []
        for limit in self._limits.get(key, ()) if limits is None else limits:
            used = [at for at in self._used.get(key, ()) if at > now - limit.seconds]
            reset = round(used[0] + limit.seconds - now, 3) if used else 0
            found.append(
                {
                    "calls": limit.calls,
                    "seconds": limit.seconds,
                    "used": len(used),
                    "remaining": max(0, limit.calls - len(used)),
                    "reset_seconds": reset,
                }
            )
        return found

    def clear(self) -> None:
        """Forgets all calls."""
        self._used.clear()
        self._limits.clear()
