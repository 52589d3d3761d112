"""Quotas: exact sliding windows, driven by a clock that stands still."""

import pytest

from notifier.sandbox.api.quota import MESSAGES, PER_MINUTE_100, PER_SECOND_10, PER_TARGET, Limit, Quota
from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import RefusedError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, send

FROZEN_CLOCK = SandboxSettings(clock=lambda: 1_000_000.0)


def frozen_quota(*, enforced: bool = True) -> tuple[Quota, SandboxClock]:
    clock = SandboxClock(lambda: 0.0)
    return Quota(clock, enforced=enforced), clock


@pytest.mark.parametrize("limits", [MESSAGES[1:], PER_SECOND_10, PER_MINUTE_100])
def test_exactly_the_limit_fits_into_a_window(limits: tuple[Limit, ...]) -> None:
    quota, clock = frozen_quota()
    (limit,) = limits

    assert all(quota.consume("a", limits) is None for _ in range(limit.calls))
    assert (limit, int(limit.seconds)) == quota.consume("a", limits)
    clock.advance(limit.seconds)
    assert quota.consume("a", limits) is None


def test_the_window_slides_and_does_not_jump() -> None:
    quota, clock = frozen_quota()
    limit = (Limit(2, 1),)
    quota.consume("a", limit)
    clock.advance(0.75)
    quota.consume("a", limit)
    clock.advance(0.5)

    assert quota.consume("a", limit) is None
    assert quota.consume("a", limit) is not None


def test_of_two_limits_either_one_refuses_and_says_how_long() -> None:
    quota, clock = frozen_quota()
    taken = 0
    while quota.consume("a", MESSAGES) is None:
        taken += 1
        if taken % 50 == 0:
            clock.advance(1)

    assert 1000 == taken
    assert (Limit(1000, 60), 40) == quota.consume("a", MESSAGES)


def test_a_refused_call_does_not_count() -> None:
    quota, clock = frozen_quota()
    for _ in range(20):
        quota.consume("a", PER_SECOND_10)
    clock.advance(1)

    assert quota.consume("a", PER_SECOND_10) is None


def test_keys_do_not_disturb_each_other() -> None:
    quota, _ = frozen_quota()
    for _ in range(5):
        quota.consume_target("ou_a")

    quota.consume_target("ou_b")
    with pytest.raises(RefusedError, match="230020"):
        quota.consume_target("ou_a")


def test_quotas_can_be_switched_off() -> None:
    quota, _ = frozen_quota(enforced=False)

    assert all(quota.consume("a", (Limit(1, 60),)) is None for _ in range(5))


def test_the_eleventh_balance_call_of_a_second_gets_429_and_the_wait() -> None:
    with FeishuBox(FROZEN_CLOCK) as box:
        path = "/hire/v1/referral_account/get_account_assets?referral_account_id=7000000000000000001"
        replies = [api(box, "GET", path) for _ in range(11)]

        assert [0] * 10 + [99991400] == [reply.code for reply in replies]
        last = replies[-1]
        assert (429, "10", "1") == (
            last.status,
            last.headers["x-ogw-ratelimit-limit"],
            last.headers["x-ogw-ratelimit-reset"],
        )
        assert {99991400: 1} == box.refusals()


@pytest.mark.parametrize("to", ["ou_sandbox_lin", "oc_sandbox_hr"])
def test_the_sixth_message_of_a_second_to_one_target_gets_230020(to: str) -> None:
    with FeishuBox(FROZEN_CLOCK) as box:
        codes = [send(box, "hello", to=to).code for _ in range(6)]

        assert [0] * 5 + [230020] == codes
        assert send(box, "hello", to="ou_sandbox_chen").code == 0
        box.advance(1)
        assert send(box, "hello", to=to).code == 0


def test_a_person_has_one_quota_by_whatever_id_they_are_named() -> None:
    with FeishuBox(FROZEN_CLOCK) as box:
        for to in ("ou_sandbox_lin", "oc_sandbox_p2p_lin") * 2 + ("ou_sandbox_lin",):
            assert send(box, "hello", to=to).code == 0

        assert send(box, "hello", to="oc_sandbox_p2p_lin").code == 230020


def test_a_clock_jump_back_extends_no_wait() -> None:
    quota, clock = frozen_quota()
    limit = PER_TARGET[0]
    for _ in range(limit.calls):
        assert quota.consume("lin", PER_TARGET) is None

    clock.advance(-3600)
    assert quota.consume("lin", PER_TARGET) == (limit, 1)
    clock.advance(limit.seconds)
    assert quota.consume("lin", PER_TARGET) is None
