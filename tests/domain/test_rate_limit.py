"""Pace: a gate lets through what was agreed, never more, and not much less."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.rate_limit import LimiterState, RateLimit

NOW = 1_700_000_000_000
FLOAT_GRAIN = 0.001
"""Milliseconds since the epoch leave a float this much room, with much to spare."""

paces = st.builds(
    RateLimit,
    per_second=st.one_of(st.integers(1, 60), st.floats(0.05, 60)),
    burst=st.integers(1, 6),
)
visits = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 8)), min_size=1, max_size=40)
"""(milliseconds since the visit before, calls wanted)"""


def passages(limit: RateLimit, steps: list[tuple[int, int]]) -> list[int]:
    """When each call passed, if all who want to go now ask the gate and take what they get."""
    limiter, now, passed = LimiterState(name="g"), NOW, []
    for pause, wanted in steps:
        now += pause
        allowed = limiter.allowed_calls(limit, now=now, wanted=wanted)
        limiter = limiter.after(allowed, limit, now=now)
        passed += [now] * allowed
    return passed


@given(paces, visits)
def test_no_window_holds_more_than_the_burst_and_what_its_length_earns(
    limit: RateLimit, steps: list[tuple[int, int]]
) -> None:
    passed = passages(limit, steps)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            seconds = (passed[last] - passed[first] + FLOAT_GRAIN) / 1000

            assert last - first + 1 <= limit.burst + limit.per_second * seconds + 1e-6


@given(paces, visits)
def test_calls_taken_together_leave_the_gate_as_calls_taken_one_by_one(
    limit: RateLimit, steps: list[tuple[int, int]]
) -> None:
    together = single = LimiterState(name="g")
    now = NOW
    for pause, calls in steps:
        now += pause
        together = together.after(calls, limit, now=now)
        for _ in range(calls):
            single = single.after_one(limit, now=now)

        assert single.due_at_ms == pytest.approx(together.due_at_ms, abs=1, rel=0)


@pytest.mark.parametrize("burst", [1, 4])
def test_after_a_rest_the_whole_burst_passes_at_once_and_no_more(burst: int) -> None:
    assert burst == LimiterState(name="g").allowed_calls(
        RateLimit(per_second=5, burst=burst), now=NOW, wanted=100
    )


def test_only_the_wanted_calls_pass() -> None:
    assert 2 == LimiterState(name="g").allowed_calls(RateLimit(per_second=5, burst=4), now=NOW, wanted=2)


def test_after_a_call_the_next_one_waits_its_interval() -> None:
    limit = RateLimit(per_second=5)
    limiter = LimiterState(name="g").after(1, limit, now=NOW)

    assert NOW + 200 == limiter.allowed_at(limit)
    assert 0 == limiter.allowed_calls(limit, now=NOW + 199, wanted=1)
    assert 1 == limiter.allowed_calls(limit, now=NOW + 200, wanted=1)


def test_in_the_long_run_the_full_rate_passes() -> None:
    passed = passages(RateLimit(per_second=5, burst=1), [(1, 1)] * 10_000)

    assert 50 == len(passed)


def test_a_gate_that_let_nothing_through_is_as_it_was() -> None:
    limiter = LimiterState(name="g", due_at_ms=NOW + 500.0, blocked_until=NOW + 900)

    assert limiter == limiter.after(0, RateLimit(per_second=5), now=NOW)


def test_a_shut_gate_opens_when_the_platform_said() -> None:
    limit = RateLimit(per_second=5, burst=4)
    limiter = LimiterState(name="g", blocked_until=NOW + 3000)

    assert NOW + 3000 == limiter.allowed_at(limit)
    assert 0 == limiter.allowed_calls(limit, now=NOW + 2999, wanted=1)
    assert 1 == limiter.allowed_calls(limit, now=NOW + 3000, wanted=1)


def test_a_call_does_not_open_a_shut_gate() -> None:
    limiter = LimiterState(name="g", blocked_until=NOW + 3000)
    limit = RateLimit(per_second=5)

    assert NOW + 3000 == limiter.after(1, limit, now=NOW).blocked_until
    assert NOW + 3000 == limiter.after_one(limit, now=NOW).blocked_until


def test_a_clock_that_goes_back_earns_no_calls() -> None:
    limit = RateLimit(per_second=5)
    limiter = LimiterState(name="g").after(1, limit, now=NOW)

    assert 0 == limiter.allowed_calls(limit, now=NOW - 60_000, wanted=1)
    assert NOW + 400 == limiter.after(1, limit, now=NOW - 60_000).allowed_at(limit)
    assert replace(limiter, due_at_ms=NOW + 400) == limiter.after_one(limit, now=NOW - 60_000)
