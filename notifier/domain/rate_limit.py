"""How fast we may call: a paced gate (GCRA), as plain values so that the database can hold its state."""

from dataclasses import dataclass

from notifier.clock import Millis

LONGEST_CLOSURE_MS = 3_660_000
"""Feishu is never obeyed for more than an hour; see feishu/api.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """per_second: calls in the long run. burst: how many may go at once after a rest, at least 1."""

    per_second: float
    burst: int = 1

    @property
    def interval_ms(self) -> float:
        return 1000 / self.per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPace:
    """app: over all recipients. chat: to one. per_minute: calls in any 60 seconds."""

    app: Pace
    chat: Pace
    per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When the next call may pass.

    due_at_ms: GCRA's theoretical arrival time, fractional milliseconds since the epoch.
    closed_until: set when the platform asked us to wait.
    """

    name: str
    due_at_ms: float = 0.0
    closed_until: Millis = 0

    def sane(self, pace: Pace, *, now: Millis) -> "Gate":
        """Without what only a clock that was set back can explain: it would keep the gate shut for as long."""
        latest = now + (pace.burst + 1) * pace.interval_ms
        closed_until = self.closed_until if self.closed_until <= now + LONGEST_CLOSURE_MS else 0
        due_at_ms = self.due_at_ms if self.due_at_ms <= latest else now
        return Gate(name=self.name, due_at_ms=due_at_ms, closed_until=closed_until)

    def opens_at(self, pace: Pace) -> float:
        return max(self.due_at_ms - (pace.burst - 1) * pace.interval_ms, self.closed_until)

    def passes(self, pace: Pace, *, now: Millis, wanted: int) -> int:
        """How many of the wanted calls may go now."""
        allowed, gate = 0, self
        while allowed < wanted and gate.opens_at(pace) <= now:
            gate = gate.after_one(pace, now=now)
            allowed += 1
        return allowed

    def after_one(self, pace: Pace, *, now: Millis) -> "Gate":
        due_at_ms = max(self.due_at_ms, now) + pace.interval_ms
        return Gate(name=self.name, due_at_ms=due_at_ms, closed_until=self.closed_until)

    def after(self, calls: int, pace: Pace, *, now: Millis) -> "Gate":
        due_at_ms = max(self.due_at_ms, now) + calls * pace.interval_ms if calls else self.due_at_ms
        return Gate(name=self.name, due_at_ms=due_at_ms, closed_until=self.closed_until)
