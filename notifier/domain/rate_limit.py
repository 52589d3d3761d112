"""How fast we may call: a paced gate (GCRA), as plain values so that the database can hold its state."""

from dataclasses import dataclass

from notifier.clock import Millis

MAX_BLOCK_MS = 3_660_000
"""Feishu is never obeyed for more than an hour; see feishu/api.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """per_second: calls in the long run. burst: how many may go at once after a rest, at least 1."""

    per_second: float
    burst: int = 1

    @property
    def interval_ms(self) -> float:
        return 1000 / self.per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingLimits:
    """app: over all recipients. chat: to one. per_minute: calls in any 60 seconds."""

    app: RateLimit
    chat: RateLimit
    per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterState:
    """When the next call may pass.

    due_at_ms: GCRA's theoretical arrival time, fractional milliseconds since the epoch.
    blocked_until: set when the platform asked us to wait.
    """

    name: str
    due_at_ms: float = 0.0
    blocked_until: Millis = 0

    def plausible(self, limit: RateLimit, *, now: Millis) -> "LimiterState":
        """Without what only a clock that was set back can explain: it would keep the gate shut for as long."""
        latest = now + (limit.burst + 1) * limit.interval_ms
        blocked_until = self.blocked_until if self.blocked_until <= now + MAX_BLOCK_MS else 0
        due_at_ms = self.due_at_ms if self.due_at_ms <= latest else now
        return LimiterState(name=self.name, due_at_ms=due_at_ms, blocked_until=blocked_until)

    def allowed_at(self, limit: RateLimit) -> float:
        return max(self.due_at_ms - (limit.burst - 1) * limit.interval_ms, self.blocked_until)

    def allowed_calls(self, limit: RateLimit, *, now: Millis, wanted: int) -> int:
        """How many of the wanted calls may go now."""
        allowed, limiter = 0, self
        while allowed < wanted and limiter.allowed_at(limit) <= now:
            limiter = limiter.after_one(limit, now=now)
            allowed += 1
        return allowed

    def after_one(self, limit: RateLimit, *, now: Millis) -> "LimiterState":
        due_at_ms = max(self.due_at_ms, now) + limit.interval_ms
        return LimiterState(name=self.name, due_at_ms=due_at_ms, blocked_until=self.blocked_until)

    def after(self, calls: int, limit: RateLimit, *, now: Millis) -> "LimiterState":
        due_at_ms = max(self.due_at_ms, now) + calls * limit.interval_ms if calls else self.due_at_ms
        return LimiterState(name=self.name, due_at_ms=due_at_ms, blocked_until=self.blocked_until)
