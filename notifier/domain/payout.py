"""Payout: a booked withdrawal is submitted to the company's payroll system, which pays it and reports the result.

pending -> submitting -> sent       the payroll system accepted it, or it was exported
   ^           |           |-> paid    reported, with a reference
   |           |           '-> failed  reported, with a reason; may later be reported as paid after another attempt
   |           |-> pending             no clear answer: submitted again with the same key
   |           |-> dead                refused; an operator decides (retry, export, mark)
   |           '-> unknown             given up after a call without an answer: it may have been paid
unconfirmed                            Feishu named no amounts; an operator confirms the expected ones
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis, from_millis
from notifier.domain.account import Referrer
from notifier.domain.delivery import pause_ms
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts
from notifier.domain.withdrawal import Withdrawal
from notifier.errors import CallError, OutcomeUnknown, TemporaryFailure


class PayoutState(StrEnum):
    """State of a payout; the module docstring shows the transitions."""

    UNCONFIRMED = "unconfirmed"
    PENDING = "pending"
    SUBMITTING = "submitting"
    SENT = "sent"
    PAID = "paid"
    FAILED = "failed"
    DEAD = "dead"
    UNKNOWN = "unknown"


SETTLED: Collection[PayoutState] = (PayoutState.PAID, PayoutState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """The payment of one withdrawal by the company's payroll system."""

    id: int
    """Row id."""
    order_id: str
    """Order id of the withdrawal; the idempotency key of every call."""
    account_ref: int
    """Row id of the account."""
    account: AccountKey
    """The account at Feishu."""
    state: PayoutState
    """Its current state."""
    body: str
    """The JSON that is submitted. It is set when the payout is created and never changes."""
    created_at: Millis
    """Unix milliseconds."""
    due_at: Millis
    """When to submit it next, Unix milliseconds."""
    attempts: int = 0
    """Number of calls."""
    first_tried_at: Millis | None = None
    """Start of the time that the retry policy counts, Unix milliseconds; None: not tried yet."""
    sent_at: Millis | None = None
    """When the payroll system accepted it, Unix milliseconds."""
    exported_at: Millis | None = None
    """When it was first exported, Unix milliseconds."""
    settled_at: Millis | None = None
    """When it was reported as paid or failed, Unix milliseconds."""
    unknown_since: Millis | None = None
    """Start of the first call without a clear answer, Unix milliseconds; None: no such call."""
    reported_at: Millis | None = None
    """The newest time at which a report was signed, Unix milliseconds."""
    paid_reports: tuple[tuple[str, Millis], ...] = ()
    """Reference and signing time (Unix milliseconds) of each `paid` report that counted, oldest first. Empty: it was
    never reported paid.
    """
    reference: str = ""
    """Reference of the payroll system."""
    reason: str | None = None
    """Why the payment failed, or why the newest call failed."""
    late_notified_at: Millis | None = None
    """When a notice of its delay was created, Unix milliseconds; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutReport:
    """The result of a payout, as reported by the payroll system or entered by an operator."""

    order_id: str
    """Order id of the withdrawal."""
    status: PayoutState
    """PAID or FAILED."""
    reference: str
    """At most 128 characters."""
    reason: str
    """At most 500 characters."""
    at: Millis
    """When it was signed, Unix milliseconds."""


class PayoutReportOutcome(StrEnum):
    """What a report changes."""

    NEW = "new"
    """It changes the payout."""
    SAME = "same"
    """Already known: nothing changes and nobody is notified again."""
    OLDER = "older"
    """Signed before the newest known report: it arrived late or is a replay. The first `paid` is never older."""
    CONFLICT = "conflict"
    """Already paid under another reference, possibly paid twice. Needs attention."""
    UNKNOWN = "unknown"
    """No payout has this order id."""


def judge_report(payout: Payout, report: PayoutReport) -> PayoutReportOutcome:
    """Return what a report changes. A payout in any state accepts reports, because it may have been paid without a
    submission.

    The clocks of senders and operators may differ, so a `paid` counts whenever it was signed, unless it repeats one
    that counted before: a payout that is taken for unpaid would be paid again. A `failed` must be newer than a `paid`.
    """
    same = (payout.state, payout.reference) == (report.status, report.reference)
    if same and (report.status is PayoutState.PAID or payout.reason == (report.reason or None)):
        return PayoutReportOutcome.SAME
    both_paid = payout.state is PayoutState.PAID and report.status is PayoutState.PAID
    if both_paid and "" in {payout.reference, report.reference}:
        return PayoutReportOutcome.SAME  # a missing reference does not contradict the known one
    if both_paid:
        return PayoutReportOutcome.CONFLICT
    if report.status is PayoutState.PAID:
        is_repeated = (report.reference, report.at) in payout.paid_reports
        return PayoutReportOutcome.OLDER if is_repeated else PayoutReportOutcome.NEW
    newest = payout.reported_at
    is_older = newest is not None and (
        report.at < newest or (report.at == newest and payout.state is PayoutState.PAID)
    )
    return PayoutReportOutcome.OLDER if is_older else PayoutReportOutcome.NEW


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRetry:
    """What happens to a payout after a failed submission.

    state: the next state. due_at: when to submit again, Unix milliseconds; only for PENDING. reason: text of the
    failure. unknown_since: as on a Payout.
    """

    state: PayoutState
    due_at: Millis
    reason: str
    unknown_since: Millis | None = None


def after_failure(
    payout: Payout, error: CallError, *, now: Millis, jitter: float, give_up_after_ms: int
) -> PayoutRetry:
    """Return what happens to a payout after a failed submission.

    It is submitted again with the same key and body as long as that can help. After that it needs attention: as DEAD,
    or as UNKNOWN if a call had no clear answer, because the payroll system may have paid it. now:
    Unix milliseconds. jitter: 0 to 1. give_up_after_ms: milliseconds from the first try.
    """
    asked = round(1000 * (error.retry_after_seconds or 0))
    due_at = now + max(asked, pause_ms(attempts=payout.attempts + 1, jitter=jitter))
    helps = isinstance(error, TemporaryFailure | OutcomeUnknown)
    patient = due_at - (payout.first_tried_at or now) < give_up_after_ms
    unknown_since = payout.unknown_since
    if isinstance(error, OutcomeUnknown) and unknown_since is None:
        unknown_since = now
    given_up = PayoutState.DEAD if unknown_since is None else PayoutState.UNKNOWN
    return PayoutRetry(
        state=PayoutState.PENDING if helps and patient else given_up,
        due_at=due_at,
        reason=error.reason,
        unknown_since=unknown_since,
    )


def body_of(withdrawal: Withdrawal, *, withdrawn: Amounts, at: Millis, referrer: Referrer | None) -> str:
    """Return the JSON that is submitted. It contains no name and no contact data. at: when Feishu booked it, Unix
    milliseconds.
    """
    return json.dumps(
        {
            "order_id": withdrawal.order_id,
            "account_id": withdrawal.account.account_id,
            "tenant_key": withdrawal.account.tenant_key,
            "referrer_open_id": referrer.open_id if referrer else "",
            "amounts": [
                {"kind": asset.kind, "currency": asset.currency, "amount": f"{amount:f}"}
                for asset, amount in sorted(withdrawn.items())
            ],
            "withdrawn_at": from_millis(at).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
        separators=(",", ":"),
    )
