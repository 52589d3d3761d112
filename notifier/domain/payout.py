"""Payout: what Feishu only booked is handed to the company's own system, which pays it and says so.

pending -> sent             the other system took it, or it left in an export
   |        |-> paid        reported, with a reference
   |        '-> failed      reported, with a reason; may be reported paid later, when it was tried again
   '-> dead                 the other system will not take it: a person decides (retry, export, mark)
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
    PENDING = "pending"
    SENT = "sent"
    PAID = "paid"
    FAILED = "failed"
    DEAD = "dead"


SETTLED: Collection[PayoutState] = (PayoutState.PAID, PayoutState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One withdrawal's way to the person's bank account.

    order_id: the withdrawal's; the idempotency key of every call. body: the JSON that is handed over, fixed at
    birth. first_tried_at: when patience began to run out. sent_at: when the other system took it. reference: the
    other system's. reason: why it failed, or why the last call did. reported_at: when the other system signed its
    newest report. exported_at: first export.
    """

    id: int
    order_id: str
    account_ref: int
    account: AccountKey
    state: PayoutState
    body: str
    created_at: Millis
    due_at: Millis
    attempts: int = 0
    first_tried_at: Millis | None = None
    sent_at: Millis | None = None
    exported_at: Millis | None = None
    settled_at: Millis | None = None
    reported_at: Millis | None = None
    reference: str = ""
    reason: str | None = None
    late_notified_at: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutReport:
    """What the other system, or a person in its stead, says became of a payout.

    status: PAID or FAILED. reference: at most 128 characters. reason: at most 500. at: when it was signed.
    """

    order_id: str
    status: PayoutState
    reference: str
    reason: str
    at: Millis


class PayoutReportOutcome(StrEnum):
    """What a report came to."""

    NEW = "new"
    SAME = "same"
    """Known already: nothing changes, nobody is told again."""
    OLDER = "older"
    """Signed before the newest one that we know: it came late, or somebody replays it."""
    CONFLICT = "conflict"
    """Paid already, under another reference: perhaps paid twice. A person must look."""
    UNKNOWN = "unknown"
    """No payout has this order id."""


def judge_report(payout: Payout, report: PayoutReport) -> PayoutReportOutcome:
    """What a report means for a payout, in whatever state it is: money may have been paid without our hand-over."""
    same = (payout.state, payout.reference) == (report.status, report.reference)
    if same and (report.status is PayoutState.PAID or payout.reason == (report.reason or None)):
        return PayoutReportOutcome.SAME
    both_paid = payout.state is PayoutState.PAID and report.status is PayoutState.PAID
    if both_paid and "" in {payout.reference, report.reference}:
        return PayoutReportOutcome.SAME  # one of the two says no reference, which is no other one
    if payout.reported_at is not None and report.at < payout.reported_at:
        return PayoutReportOutcome.OLDER
    if both_paid:
        return PayoutReportOutcome.CONFLICT
    return PayoutReportOutcome.NEW


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRetry:
    """Where a payout goes after a hand-over that failed. due_at: for PENDING."""

    state: PayoutState
    due_at: Millis
    reason: str


def after_failure(
    payout: Payout, error: CallError, *, now: Millis, jitter: float, give_up_after_ms: int
) -> PayoutRetry:
    """Again with the same key and body while that can help, then a person's to decide. jitter: 0..1."""
    asked = round(1000 * (error.retry_after_seconds or 0))
    due_at = now + max(asked, pause_ms(attempts=payout.attempts + 1, jitter=jitter))
    helps = isinstance(error, TemporaryFailure | OutcomeUnknown)
    patient = due_at - (payout.first_tried_at or now) < give_up_after_ms
    state = PayoutState.PENDING if helps and patient else PayoutState.DEAD
    return PayoutRetry(state=state, due_at=due_at, reason=error.reason)


def body_of(withdrawal: Withdrawal, *, withdrawn: Amounts, at: Millis, referrer: Referrer | None) -> str:
    """The JSON that is handed over. at: when Feishu booked it. No name and no contact data are in it."""
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
