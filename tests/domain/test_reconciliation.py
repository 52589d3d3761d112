"""Reconciliation: since when every change should have reached us, and which failed reads are an outage."""

import pytest

from notifier.domain.reconciliation import (
    MAX_OUTAGE_PAUSE_MS,
    MAX_UNRELATED_FAILURES,
    RECONNECT_WITHIN_MS,
    ReadFailures,
    ReceivingPeriod,
)
from notifier.errors import AccountUnknown, AppSuspended, CallError, OutcomeUnknown

FIRST, PROVED, RECONNECTED, LATER = 1_000, 50_000, 52_000, 500_000


def not_receiving() -> ReceivingPeriod:
    period = ReceivingPeriod()
    period.mark_not_receiving(FIRST, now=PROVED)
    return period


@pytest.mark.parametrize("since", [None, 7])
def test_a_connection_that_receives_counts_from_its_own_start(since: int | None) -> None:
    assert since == ReceivingPeriod().since(since, now=LATER)


def test_a_connection_that_received_nothing_counts_until_its_successor_breaks() -> None:
    period = not_receiving()
    moments = (
        (FIRST, PROVED + 10),
        (None, PROVED + 20),
        (RECONNECTED, RECONNECTED + 1),
        (RECONNECTED, LATER),
    )

    assert [FIRST] * 4 == [period.since(since, now=now) for since, now in moments]


@pytest.mark.parametrize("since", [None, LATER + 5])
def test_it_no_longer_counts_after_its_successor_breaks(since: int | None) -> None:
    period = not_receiving()
    period.since(RECONNECTED, now=RECONNECTED)

    assert since == period.since(since, now=LATER + 10)
    assert RECONNECTED == period.since(RECONNECTED, now=LATER + 20)


@pytest.mark.parametrize("since", [None, PROVED + RECONNECT_WITHIN_MS + 1])
def test_it_does_not_count_after_a_long_break(since: int | None) -> None:
    assert since == not_receiving().since(since, now=PROVED + RECONNECT_WITHIN_MS + 2)


def test_a_second_proof_is_known_for_a_minute() -> None:
    period = not_receiving()

    assert period.is_known_not_receiving(FIRST, now=PROVED + 1)
    assert not period.is_known_not_receiving(RECONNECTED, now=PROVED + 1)
    assert not period.is_known_not_receiving(FIRST, now=PROVED + RECONNECT_WITHIN_MS + 1)
    assert not ReceivingPeriod().is_known_not_receiving(None, now=0)


NO_ANSWER = OutcomeUnknown("HTTP 500 without a Feishu answer")
ACCOUNT, NOW = 1, 10_000_000


def fail(failures: ReadFailures, account_ref: int, *, now: int = NOW, error: CallError = NO_ANSWER) -> int:
    return failures.note_failure(account_ref, error, now=now, jitter=1)


def in_outage() -> ReadFailures:
    """The outage has just been noticed, and reads are paused for a second."""
    failures = ReadFailures()
    assert [0, 0, 1_000] == [fail(failures, ref) for ref in range(MAX_UNRELATED_FAILURES)]
    return failures


def test_one_account_that_fails_again_and_again_is_no_outage() -> None:
    failures = ReadFailures()

    assert [0] * 5 == [fail(failures, ACCOUNT) for _ in range(5)]
    assert (5, False) == (failures.tries(ACCOUNT), failures.is_outage_suspected)


def test_different_accounts_that_fail_in_a_row_are_an_outage_until_a_read_succeeds() -> None:
    failures = in_outage()
    before = failures.is_outage_suspected
    failures.note_success(ACCOUNT)

    assert (True, False) == (before, failures.is_outage_suspected)
    assert (0, 1) == (failures.tries(ACCOUNT), failures.tries(ACCOUNT + 1))
    assert 0 == fail(failures, ACCOUNT), "the count starts again"


def test_a_success_between_failures_is_no_outage() -> None:
    failures = ReadFailures()
    for ref in range(2 * MAX_UNRELATED_FAILURES):
        assert 0 == fail(failures, ref)
        failures.note_success(100)


def test_the_pauses_of_an_outage_grow_to_a_limit() -> None:
    failures, now, pauses = in_outage(), NOW, []
    for _ in range(8):
        now += MAX_OUTAGE_PAUSE_MS
        pauses.append(fail(failures, ACCOUNT, now=now))

    assert [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000] == pauses


def test_reads_that_were_in_flight_when_the_pause_began_do_not_extend_it() -> None:
    failures = in_outage()

    assert [0, 0, 0] == [fail(failures, ref, now=NOW + 500) for ref in (5, 6, 7)]
    assert 2_000 == fail(failures, 8, now=NOW + 1_000)


def test_a_clock_that_was_set_back_does_not_end_the_pauses() -> None:
    assert 2_000 == fail(in_outage(), 5, now=NOW - MAX_OUTAGE_PAUSE_MS)


def test_a_failure_of_the_whole_app_pauses_at_once_and_is_no_try_of_the_account() -> None:
    failures = ReadFailures()

    assert 1_000 == fail(failures, ACCOUNT, error=AppSuspended("disabled"))
    assert (0, True) == (failures.tries(ACCOUNT), failures.is_outage_suspected)


def test_that_feishu_does_not_know_an_account_is_an_answer() -> None:
    failures = in_outage()

    assert 0 == fail(failures, ACCOUNT, error=AccountUnknown("no such account", code=1002553))
    assert (0, False) == (failures.tries(ACCOUNT), failures.is_outage_suspected)
