"""Rate limit: the GCRA algorithm on plain values, so that the database can store its state."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifier.clock import Millis

MAX_BLOCK_MS = 3_660_000
"""The longest wait that is accepted from Feishu; see feishu/api.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A limit for calls.

    per_second: calls per second on average. burst: how many calls may start at once after a pause; at least 1.
    """

    per_second: float
    burst: int = 1

    @property
    def interval_ms(self) -> float:
        """Milliseconds between two calls."""
        return 1000 / self.per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingLimits:
    """The limits for sending messages.

    app: for all recipients together. chat: for one recipient. per_minute: calls in any 60 seconds. ahead_ms: how far
    ahead of its start a call may be claimed, so that one claim serves several paced calls.
    """

    app: RateLimit
    chat: RateLimit
    per_minute: int
    ahead_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterState:
    """When the next call is allowed.

    due_at_ms: the theoretical arrival time of GCRA, Unix milliseconds with fractions. blocked_until: end of a wait
    that Feishu asked for, Unix milliseconds.
    """

    name: str
    due_at_ms: float = 0.0
    blocked_until: Millis = 0

    def plausible(self, limit: RateLimit, *, now: Millis, ahead_ms: int = 0) -> "LimiterState":
        """Return the state without times that are too far in the future. Only a clock that was set back explains such
        times, and they would block calls for too long. ahead_ms: how far ahead calls are planned.
        """
        latest = now + ahead_ms + (limit.burst + 1) * limit.interval_ms
        blocked_until = self.blocked_until if self.blocked_until <= now + MAX_BLOCK_MS else 0
        due_at_ms = self.due_at_ms if self.due_at_ms <= latest else now
        return LimiterState(name=self.name, due_at_ms=due_at_ms, blocked_until=blocked_until)

    def allowed_at(self, limit: RateLimit) -> float:
        """Return when the next call is allowed, Unix milliseconds."""
        return max(self.due_at_ms - (limit.burst - 1) * limit.interval_ms, self.blocked_until)

    def allowed_calls(self, limit: RateLimit, *, now: Millis, wanted: int) -> int:
        """Return how many of the wanted calls are allowed now."""
        allowed, limiter = 0, self
        while allowed < wanted and limiter.allowed_at(limit) <= now:
            limiter = limiter.after_one(limit, now=now)
            allowed += 1
        return allowed

    def start_times(self, limit: RateLimit, *, now: Millis, wanted: int, ahead_ms: int) -> list[float]:
        """Return when the wanted calls may start, Unix milliseconds; only starts up to `ahead_ms` from now."""
        times: list[float] = []
        limiter = self
        while len(times) < wanted and (at := max(limiter.allowed_at(limit), now)) <= now + ahead_ms:
            times.append(at)
            limiter = limiter.after_one(limit, now=at)
        return times

    def after_starts(self, times: Sequence[float], limit: RateLimit) -> "LimiterState":
        """Return the state after calls that start at these times."""
        limiter = self
        for at in times:
            limiter = limiter.after_one(limit, now=at)
        return limiter

    def after_one(self, limit: RateLimit, *, now: float) -> "LimiterState":
        """Return the state after one call."""
        due_at_ms = max(self.due_at_ms, now) + limit.interval_ms
        return LimiterState(name=self.name, due_at_ms=due_at_ms, blocked_until=self.blocked_until)

    def after(self, calls: int, limit: RateLimit, *, now: Millis) -> "LimiterState":
        """Return the state after this number of calls."""
        due_at_ms = max(self.due_at_ms, now) + calls * limit.interval_ms if calls else self.due_at_ms
        return LimiterState(name=self.name, due_at_ms=due_at_ms, blocked_until=self.blocked_until)
