"""Payouts on disk: one per withdrawal, whatever is said about it and however often."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import sqlalchemy as sa

from notifier.domain.payout import PayoutReport, PayoutReportOutcome, PayoutRetry, PayoutState
from notifier.store import payouts
from notifier.store.engine.database import Database
from notifier.store.payouts import ExportFilter
from notifier.store.schema.tables import card_updates
from notifier.store.schema.tables import payouts as payouts_table
from support.delivery_rows import NOW
from support.withdrawal_rows import create_payout, read_payout, read_withdrawal

R = TypeVar("R")


def run(database: Database, work: Callable[[sa.Connection], R]) -> R:
    return database.write(work).result()


def report(
    status: str = "paid", reference: str = "W-1", *, order: str = "rn-1", at: int = NOW
) -> PayoutReport:
    return PayoutReport(order_id=order, status=PayoutState(status), reference=reference, reason="", at=at)


def settle(database: Database, said: PayoutReport) -> PayoutReportOutcome:
    return run(database, lambda c: payouts.apply_report(c, said, now=NOW + 9))


def claimed(
    database: Database, *, now: int = NOW, limit: int = 8, in_flight_ids: tuple[int, ...] = ()
) -> list[str]:
    return [
        each.order_id
        for each in run(
            database, lambda c: payouts.claim_due(c, now=now, limit=limit, in_flight_ids=in_flight_ids)
        )
    ]


def wishes(database: Database) -> int:
    """How often cards were asked to show something newer."""
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.sum(card_updates.c.requested_version))).scalar() or 0


def dead(database: Database, order_id: str = "rn-1") -> None:
    step = PayoutRetry(state=PayoutState.DEAD, due_at=NOW, reason="422")
    run(database, lambda c: payouts.mark_submission_failed(c, read_payout(database, order_id), step))


def test_a_withdrawal_has_one_payout_for_ever(database: Database) -> None:
    first = create_payout(database)
    run(
        database,
        lambda c: payouts.create_payout(c, read_withdrawal(database, "rn-1"), body="other", now=NOW + 1),
    )

    assert first == read_payout(database, "rn-1")


def test_the_oldest_due_ones_are_claimed_and_none_that_is_under_way(database: Database) -> None:
    first = create_payout(database, "rn-1", at=NOW)
    create_payout(database, "rn-2", at=NOW + 1)
    create_payout(database, "rn-3", at=NOW + 2)

    assert ["rn-1"] == claimed(database, now=NOW)
    assert ["rn-1", "rn-2"] == claimed(database, now=NOW + 5, limit=2)
    assert ["rn-2", "rn-3"] == claimed(database, now=NOW + 5, in_flight_ids=(first.id,))
    assert [] == claimed(database, now=NOW + 5, limit=0)
    with database.read() as connection:
        assert NOW + 1 == payouts.get_next_due_at(connection, in_flight_ids=[first.id])


def test_patience_begins_with_the_first_try(database: Database) -> None:
    create_payout(database)
    claimed(database, now=NOW + 7)
    claimed(database, now=NOW + 70)

    assert NOW + 7 == read_payout(database, "rn-1").first_tried_at


def test_what_was_handed_over_waits_no_more_and_its_cards_change(database: Database) -> None:
    one = create_payout(database)
    before = wishes(database)

    assert run(database, lambda c: payouts.mark_submitted(c, one, now=NOW + 3))
    assert before < wishes(database)
    assert [] == claimed(database, now=NOW + 10**9)
    kept = read_payout(database, "rn-1")
    assert (PayoutState.SENT, NOW + 3, 1) == (kept.state, kept.sent_at, kept.attempts)


def test_a_report_that_comes_before_the_answer_to_the_call_stands(database: Database) -> None:
    one = create_payout(database)
    settle(database, report())
    step = PayoutRetry(state=PayoutState.PENDING, due_at=NOW, reason="late")

    assert not run(database, lambda c: payouts.mark_submitted(c, one, now=NOW))
    assert not run(database, lambda c: payouts.mark_submission_failed(c, one, step))
    assert PayoutState.PAID is read_payout(database, "rn-1").state


def test_a_slow_second_call_cannot_give_up_what_was_accepted(database: Database) -> None:
    one = create_payout(database)
    run(database, lambda c: payouts.mark_submitted(c, one, now=NOW))
    dead = PayoutRetry(state=PayoutState.DEAD, due_at=NOW, reason="refused")

    assert not run(database, lambda c: payouts.mark_submission_failed(c, one, dead))
    assert PayoutState.SENT is read_payout(database, "rn-1").state


def test_a_failure_does_not_overwrite_the_result_of_another_call(database: Database) -> None:
    one = create_payout(database)
    first = PayoutRetry(state=PayoutState.PENDING, due_at=NOW + 50, reason="busy")
    slow = PayoutRetry(state=PayoutState.DEAD, due_at=NOW, reason="refused")

    assert run(database, lambda c: payouts.mark_submission_failed(c, one, first))
    assert not run(database, lambda c: payouts.mark_submission_failed(c, one, slow))
    assert ("busy", 1) == (read_payout(database, "rn-1").reason, read_payout(database, "rn-1").attempts)


def test_an_accepted_payout_is_not_dead_although_another_call_gave_up(database: Database) -> None:
    one = create_payout(database)
    dead = PayoutRetry(state=PayoutState.DEAD, due_at=NOW, reason="refused")
    run(database, lambda c: payouts.mark_submission_failed(c, one, dead))

    assert run(database, lambda c: payouts.mark_submitted(c, one, now=NOW))
    assert PayoutState.SENT is read_payout(database, "rn-1").state


def test_a_failed_call_is_due_again_with_its_reason(database: Database) -> None:
    one = create_payout(database)
    step = PayoutRetry(state=PayoutState.PENDING, due_at=NOW + 50, reason="busy")
    run(database, lambda c: payouts.mark_submission_failed(c, one, step))

    assert [] == claimed(database, now=NOW + 49)
    assert ["rn-1"] == claimed(database, now=NOW + 50)
    assert ("busy", 1) == (read_payout(database, "rn-1").reason, read_payout(database, "rn-1").attempts)


def test_a_report_counts_once_and_changes_the_cards_once(database: Database) -> None:
    create_payout(database)
    before = wishes(database)

    assert PayoutReportOutcome.NEW is settle(database, report())
    after = wishes(database)
    assert before < after
    assert [
        PayoutReportOutcome.SAME,
        PayoutReportOutcome.CONFLICT,
        PayoutReportOutcome.OLDER,
        PayoutReportOutcome.UNKNOWN,
    ] == [
        settle(database, report()),
        settle(database, report(reference="W-2", at=NOW + 1)),
        settle(database, report("failed", at=NOW - 1)),
        settle(database, report(order="rn-9")),
    ]
    assert after == wishes(database)
    kept = read_payout(database, "rn-1")
    assert (PayoutState.PAID, "W-1", NOW + 9) == (kept.state, kept.reference, kept.settled_at)


def test_only_what_was_given_up_is_handed_over_again(database: Database) -> None:
    create_payout(database)

    assert not run(database, lambda c: payouts.retry(c, "rn-1", now=NOW))
    claimed(database)
    dead(database)
    assert read_payout(database, "rn-1").first_tried_at is not None
    assert run(database, lambda c: payouts.retry(c, "rn-1", now=NOW + 5))
    assert not run(database, lambda c: payouts.retry(c, "rn-9", now=NOW))
    kept = read_payout(database, "rn-1")
    assert (PayoutState.PENDING, 0, None) == (kept.state, kept.attempts, kept.first_tried_at)


def wanted(since: int = 0, until: int = NOW * 2, **more: bool) -> ExportFilter:
    return ExportFilter(since=since, until=until, **{"submits_payouts": False, **more})


def exportable(database: Database, chosen: ExportFilter) -> list[str]:
    with database.read() as connection:
        return [each.order_id for each in payouts.list_exportable(connection, chosen, after_id=0, limit=100)]


def export(database: Database, order_id: str, *, now: int = NOW, chosen: ExportFilter | None = None) -> bool:
    one = read_payout(database, order_id)
    return bool(run(database, lambda c: payouts.mark_exported(c, chosen or wanted(), [one.id], now=now)))


def test_an_export_takes_the_period_half_open_and_each_row_once(database: Database) -> None:
    for number in range(3):
        create_payout(database, f"rn-{number}", at=NOW + number)
    dead(database, "rn-1")
    period = wanted(NOW, NOW + 2)

    assert ["rn-0", "rn-1"] == exportable(database, period)
    assert export(database, "rn-1", now=NOW + 7)
    assert not export(database, "rn-1", now=NOW + 8)
    assert ["rn-0"] == exportable(database, period)
    assert ["rn-0", "rn-1"] == exportable(database, wanted(NOW, NOW + 2, again=True))
    kept = read_payout(database, "rn-1")
    assert (PayoutState.SENT, NOW + 7, NOW + 7, None) == (
        kept.state,
        kept.exported_at,
        kept.sent_at,
        kept.reason,
    )


def put(database: Database, order_id: str, state: PayoutState, *, unknown_since: int | None = None) -> None:
    create_payout(database, order_id)
    values = {"state": state, "unknown_since": unknown_since}
    statement = sa.update(payouts_table).where(payouts_table.c.order_id == order_id).values(values)
    run(database, lambda c: c.execute(statement).rowcount)


def test_what_may_have_been_paid_leaves_only_when_asked_for_by_name(database: Database) -> None:
    put(database, "rn-pending", PayoutState.PENDING)
    put(database, "rn-unclear", PayoutState.PENDING, unknown_since=NOW)
    put(database, "rn-submitting", PayoutState.SUBMITTING)
    put(database, "rn-unknown", PayoutState.UNKNOWN, unknown_since=NOW)
    put(database, "rn-unconfirmed", PayoutState.UNCONFIRMED)
    put(database, "rn-dead", PayoutState.DEAD)

    assert ["rn-pending", "rn-dead"] == exportable(database, wanted())
    assert ["rn-dead"] == exportable(database, wanted(submits_payouts=True))
    assert ["rn-pending", "rn-unclear", "rn-unknown", "rn-dead"] == exportable(
        database, wanted(include_unknown=True)
    )
    assert ["rn-unknown", "rn-dead"] == exportable(
        database, wanted(include_unknown=True, submits_payouts=True)
    )
    assert not export(database, "rn-submitting")
    with database.read() as connection:
        left_out = payouts.count_left_out(connection, wanted())
    assert {"pending": 1, "submitting": 1, "unknown": 1, "unconfirmed": 1} == left_out


def test_a_payout_is_marked_as_being_submitted_and_a_crash_leaves_it_unclear(database: Database) -> None:
    create_payout(database)
    assert ["rn-1"] == claimed(database)
    assert PayoutState.SUBMITTING is read_payout(database, "rn-1").state
    assert ["rn-1"] == claimed(database, now=NOW + 5), "nobody calls for it any more"

    kept = read_payout(database, "rn-1")
    assert (PayoutState.SUBMITTING, NOW + 5) == (kept.state, kept.unknown_since)
    assert run(database, lambda c: payouts.mark_submitted(c, kept, now=NOW + 6))
    assert read_payout(database, "rn-1").unknown_since is None


def test_only_an_unconfirmed_payout_is_confirmed(database: Database) -> None:
    put(database, "rn-1", PayoutState.UNCONFIRMED)

    assert [] == claimed(database)
    assert run(database, lambda c: payouts.confirm(c, "rn-1", now=NOW))
    assert not run(database, lambda c: payouts.confirm(c, "rn-1", now=NOW))
    assert ["rn-1"] == claimed(database)


def late(database: Database, before: int) -> list[str]:
    with database.read() as connection:
        return [each.order_id for each in payouts.list_late(connection, before=before, limit=10)]


@pytest.mark.parametrize("state", ["pending", "sent", "failed", "dead"])
def test_whatever_is_not_paid_is_late_one_day_and_told_once(database: Database, state: str) -> None:
    one = create_payout(database)
    run(database, lambda c: c.execute(sa.text("UPDATE payouts SET state = :s"), {"s": state}))

    assert [] == late(database, NOW)
    assert ["rn-1"] == late(database, NOW + 1)
    run(database, lambda c: payouts.mark_late_notified(c, one, now=NOW))
    assert [] == late(database, NOW + 1)


def test_what_is_paid_is_never_late(database: Database) -> None:
    create_payout(database)
    settle(database, report())

    assert [] == late(database, NOW + 10**9)


def test_only_so_many_are_told_late_at_a_time_the_oldest_first(database: Database) -> None:
    for number in range(3):
        create_payout(database, f"rn-{number}", at=NOW + number)

    with database.read() as connection:
        found = payouts.list_late(connection, before=NOW + 9, limit=2)
    assert ["rn-0", "rn-1"] == [each.order_id for each in found]


def test_what_leaves_in_a_file_changes_its_cards(database: Database) -> None:
    create_payout(database)
    before = wishes(database)
    export(database, "rn-1")

    assert before < wishes(database)
    assert [] == claimed(database, now=NOW + 10**9), "and no call hands it over too"


def test_the_first_paid_counts_whenever_it_was_signed(database: Database) -> None:
    """Marked failed by hand, then paid, signed by a clock that is behind: dropped, it would be paid again."""
    create_payout(database)
    settle(database, report("failed", "", at=NOW + 50_000))

    assert PayoutReportOutcome.NEW is settle(database, report(at=NOW))
    assert PayoutState.PAID is read_payout(database, "rn-1").state
    for at in (NOW - 1, NOW + 1, NOW + 50_000):  # the last one is the report by hand, once more
        assert PayoutReportOutcome.OLDER is settle(database, report("failed", "", at=at))
    assert PayoutState.PAID is read_payout(database, "rn-1").state

    assert PayoutReportOutcome.NEW is settle(database, report("failed", "", at=NOW + 50_001))
    assert PayoutReportOutcome.OLDER is settle(database, report(at=NOW)), "a replay of the first paid"
    assert PayoutReportOutcome.NEW is settle(database, report(at=NOW + 50_002))


def test_a_second_payment_counts_whenever_it_was_signed(database: Database) -> None:
    """Paid, returned, and paid again by a second machine of the payroll, whose clock is behind."""
    create_payout(database)
    settle(database, report(at=NOW - 100))
    settle(database, report("failed", "", at=NOW))

    assert PayoutReportOutcome.OLDER is settle(database, report(at=NOW - 100)), "the first report, once more"
    assert PayoutReportOutcome.NEW is settle(database, report(reference="W-2", at=NOW - 50))
    assert ("W-2", PayoutState.PAID) == ((kept := read_payout(database, "rn-1")).reference, kept.state)
    assert PayoutReportOutcome.OLDER is settle(database, report("failed", "", at=NOW))


def test_a_report_without_our_hand_over_counts_as_one(database: Database) -> None:
    """They have it, however they got it."""
    create_payout(database)
    settle(database, report("failed", ""))
    kept = read_payout(database, "rn-1")

    assert (NOW + 9, NOW, None) == (kept.sent_at, kept.reported_at, kept.reason)


def test_a_failure_that_is_paid_after_all_loses_its_reason(database: Database) -> None:
    create_payout(database)
    said = PayoutReport(
        order_id="rn-1", status=PayoutState.FAILED, reference="", reason="account closed", at=NOW
    )
    settle(database, said)
    assert "account closed" == read_payout(database, "rn-1").reason

    assert PayoutReportOutcome.NEW is settle(database, report(at=NOW + 1))
    kept = read_payout(database, "rn-1")
    assert (PayoutState.PAID, "W-1", None, NOW + 1) == (
        kept.state,
        kept.reference,
        kept.reason,
        kept.reported_at,
    )


def test_a_very_long_reason_of_a_failed_call_is_cut(database: Database) -> None:
    one = create_payout(database)
    step = PayoutRetry(state=PayoutState.DEAD, due_at=NOW, reason="x" * 2000)
    run(database, lambda c: payouts.mark_submission_failed(c, one, step))

    assert "x" * 500 == read_payout(database, "rn-1").reason


def test_lists_and_counts(database: Database) -> None:
    for number in range(3):
        create_payout(database, f"rn-{number}")
    dead(database, "rn-1")

    with database.read() as connection:
        assert {"pending": 2, "dead": 1} == payouts.count_by_state(connection)
        assert ["rn-2", "rn-1"] == [
            each.order_id for each in payouts.list_payouts(connection, states=(), limit=2)
        ]
        named = payouts.list_payouts(connection, states=("dead",), limit=9)
    assert ["rn-1"] == [each.order_id for each in named]


def test_a_reference_that_comes_later_is_kept_and_shown_and_told_to_nobody(database: Database) -> None:
    create_payout(database)
    settle(database, report(reference=""))
    before = wishes(database)

    assert PayoutReportOutcome.SAME is settle(database, report(reference="W-7", at=NOW + 5))
    assert "W-7" == read_payout(database, "rn-1").reference
    assert before < wishes(database)
    assert PayoutReportOutcome.CONFLICT is settle(database, report(reference="W-8", at=NOW + 6))
