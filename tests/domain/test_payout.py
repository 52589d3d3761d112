"""Payout: what a report means, what follows a failed call, and what is handed over."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from notifier.domain.account import Referrer
from notifier.domain.money import POINTS, Kind
from notifier.domain.payout import (
    Payout,
    PayoutReport,
    PayoutReportOutcome,
    PayoutState,
    after_failure,
    body_of,
    judge_report,
)
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.errors import CallError, NotAuthorised, OutcomeUnknown, Refused, TemporaryFailure
from support.builders import ACCOUNT, ACCOUNT_ID, CNY, MODIFIED_AT

NOW = MODIFIED_AT
DAY_MS = 86_400_000
PAYOUT = Payout(
    id=1,
    order_id="rn-1",
    account_ref=1,
    account=ACCOUNT,
    state=PayoutState.SENT,
    body="{}",
    created_at=NOW,
    due_at=NOW,
)
PAID = replace(PAYOUT, state=PayoutState.PAID, reference="W-1", reported_at=NOW)
FAILED = replace(PAYOUT, state=PayoutState.FAILED, reason="closed", reported_at=NOW)


def report(status: str = "paid", reference: str = "W-1", reason: str = "", at: int = NOW) -> PayoutReport:
    return PayoutReport(
        order_id="rn-1", status=PayoutState(status), reference=reference, reason=reason, at=at
    )


@pytest.mark.parametrize(
    "payout, said, withdrawn",
    [
        *(
            (replace(PAYOUT, state=PayoutState(state)), report(), PayoutReportOutcome.NEW)
            for state in ("pending", "sent", "dead")
        ),
        (PAID, report(), PayoutReportOutcome.SAME),
        (PAID, report(at=NOW - 5), PayoutReportOutcome.SAME),
        (PAID, report(reference="W-2", at=NOW + 5), PayoutReportOutcome.CONFLICT),
        (PAID, report(reference="W-2", at=NOW - 5), PayoutReportOutcome.CONFLICT),
        (PAID, report(reference="", at=NOW + 5), PayoutReportOutcome.SAME),
        (replace(PAID, reference=""), report(reference="W-2", at=NOW + 5), PayoutReportOutcome.SAME),
        (PAID, report("failed", "", "returned", at=NOW + 5), PayoutReportOutcome.NEW),
        (PAID, report("failed", "", "returned", at=NOW - 5), PayoutReportOutcome.OLDER),
        (FAILED, report("failed", "", "closed"), PayoutReportOutcome.SAME),
        (FAILED, report("failed", "", "blocked", at=NOW + 5), PayoutReportOutcome.NEW),
        (FAILED, report(at=NOW + 5), PayoutReportOutcome.NEW),
        (FAILED, report(at=NOW - 5), PayoutReportOutcome.NEW),  # the first paid, by a clock that is behind
        (replace(FAILED, paid_reports=(("W-1", NOW - 5),)), report(at=NOW - 5), PayoutReportOutcome.OLDER),
        # paid again under the same reference after a failure, by a clock that is behind
        (replace(FAILED, paid_reports=(("W-1", NOW - 9),)), report(at=NOW - 5), PayoutReportOutcome.NEW),
        (
            replace(FAILED, paid_reports=(("W-1", NOW - 9),)),
            report(reference="W-2", at=NOW - 5),
            PayoutReportOutcome.NEW,
        ),
        (PAID, report("failed", "", "returned", at=NOW), PayoutReportOutcome.OLDER),
    ],
)
def test_what_a_report_comes_to(payout: Payout, said: PayoutReport, withdrawn: PayoutReportOutcome) -> None:
    assert withdrawn is judge_report(payout, said)


@pytest.mark.parametrize(
    "error, state",
    [
        (TemporaryFailure("busy"), PayoutState.PENDING),
        (OutcomeUnknown("no answer"), PayoutState.PENDING),
        (Refused("422"), PayoutState.DEAD),
        (NotAuthorised("?"), PayoutState.DEAD),
    ],
)
def test_only_what_repeating_can_help_is_repeated(error: CallError, state: PayoutState) -> None:
    step = after_failure(PAYOUT, error, now=NOW, jitter=1, give_up_after_ms=DAY_MS)

    assert (state, error.reason) == (step.state, step.reason)


@pytest.mark.parametrize("tries, pause", [(0, 1_000), (1, 2_000), (5, 32_000), (50, 600_000)])
def test_pauses_grow_to_ten_minutes(tries: int, pause: int) -> None:
    payout = replace(PAYOUT, attempts=tries)
    step = after_failure(payout, TemporaryFailure("busy"), now=NOW, jitter=1, give_up_after_ms=DAY_MS)

    assert NOW + pause == step.due_at


def test_the_other_system_may_ask_for_a_longer_pause() -> None:
    busy = TemporaryFailure("busy", retry_after_seconds=90)

    assert NOW + 90_000 == after_failure(PAYOUT, busy, now=NOW, jitter=0, give_up_after_ms=DAY_MS).due_at


@pytest.mark.parametrize(
    "since, error, unknown_since, state",
    [
        (DAY_MS - 2_001, TemporaryFailure("busy"), None, "pending"),
        (DAY_MS - 1_000, TemporaryFailure("busy"), None, "dead"),
        (DAY_MS - 2_001, OutcomeUnknown("?"), None, "pending"),
        (DAY_MS - 1_000, OutcomeUnknown("?"), None, "unknown"),
        (
            DAY_MS - 1_000,
            TemporaryFailure("busy"),
            NOW - 5,
            "unknown",
        ),  # an earlier call may have been carried out
    ],
)
def test_patience_runs_out_counted_from_the_first_try(
    since: int, error: CallError, unknown_since: int | None, state: str
) -> None:
    payout = replace(PAYOUT, first_tried_at=NOW - since, unknown_since=unknown_since)
    step = after_failure(payout, error, now=NOW, jitter=1, give_up_after_ms=DAY_MS)

    assert state == step.state


@pytest.mark.parametrize("asked", [0, 1, 1.9])
def test_a_pause_shorter_than_ours_is_not_taken(asked: float) -> None:
    payout = replace(PAYOUT, attempts=1)
    busy = TemporaryFailure("busy", retry_after_seconds=asked)

    assert NOW + 2_000 == after_failure(payout, busy, now=NOW, jitter=1, give_up_after_ms=DAY_MS).due_at


def test_a_pause_past_our_patience_is_not_waited_for() -> None:
    busy = TemporaryFailure("busy", retry_after_seconds=DAY_MS / 1000)

    assert PayoutState.DEAD is after_failure(PAYOUT, busy, now=NOW, jitter=0, give_up_after_ms=DAY_MS).state


WITHDRAWAL = Withdrawal(
    id=1,
    order_id="rn-1",
    account_ref=1,
    account=ACCOUNT,
    kinds=tuple(Kind),
    state=WithdrawalState.WITHDRAWN,
    withdrawal_count=0,
    requested_by="ou_hr",
    delivery_id=1,
    agreed={CNY: Decimal("0.01")},
    role=Role.OPERATOR,
    requested_at=NOW,
)


def test_the_very_text_that_is_handed_over() -> None:
    """Signed and stored as it is; amounts are never in powers of ten, and nobody known is an empty id."""
    withdrawn = {POINTS: Decimal("1E+3"), CNY: Decimal("0.0100")}

    assert (
        f'{{"order_id":"rn-1","account_id":"{ACCOUNT_ID}","tenant_key":"tk","referrer_open_id":"",'
        '"amounts":[{"kind":"cash","currency":"CNY","amount":"0.0100"},'
        '{"kind":"points","currency":"","amount":"1000"}],"withdrawn_at":"2023-11-14T22:13:20.007Z"}'
    ) == body_of(WITHDRAWAL, withdrawn=withdrawn, at=NOW + 7, referrer=None)


def test_what_is_handed_over() -> None:
    withdrawn = {POINTS: Decimal(120), CNY: Decimal("350.5000")}
    lin = Referrer(open_id="ou_lin", name_zh="林小满")
    body = body_of(WITHDRAWAL, withdrawn=withdrawn, at=NOW, referrer=lin)

    assert {
        "order_id": "rn-1",
        "account_id": ACCOUNT_ID,
        "tenant_key": "tk",
        "referrer_open_id": "ou_lin",
        "amounts": [
            {"kind": "cash", "currency": "CNY", "amount": "350.5000"},
            {"kind": "points", "currency": "", "amount": "120"},
        ],
        "withdrawn_at": "2023-11-14T22:13:20.000Z",
    } == json.loads(body)
    assert "林小满" not in body
    assert body == body_of(WITHDRAWAL, withdrawn=dict(reversed(withdrawn.items())), at=NOW, referrer=lin)
