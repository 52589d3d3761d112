"""The JSON of `notifier status --json`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from notifier.clock import Millis
from notifier.flow.digests.progress import DigestProgress
from notifier.operations.formatting import format_iso
from notifier.operations.language import Language
from notifier.operations.status.report import Status
from notifier.operations.status.text_form import list_attention
from notifier.store.processes.figures import StoreFigures


def status_as_json(status: Status) -> dict[str, Any]:
    """Return the report as JSON. It does not depend on the locale."""
    return {
        "process": status.process,
        "store": status.store_problem or "ok",
        "replicas": status.replicas.as_json(),
        "connection": status.connection,
        "connection_detail": status.worker.connection_detail if status.worker else None,
        "connection_since": format_iso(status.worker.connection_since) if status.worker else None,
        "foreign_connections": status.worker.foreign_connections if status.worker else None,
        "last_reconciliation": dataclasses.asdict(status.reconciliation) if status.reconciliation else None,
        "last_event_at": format_iso(status.last_event_at),
        "inbox": status.inbox,
        "questions": status.questions,
        "unanswered_questions": status.unanswered,
        "deliveries": status.deliveries,
        "waiting": status.waiting,
        "oldest_waiting_seconds": None
        if status.oldest_waiting_ms is None
        else status.oldest_waiting_ms / 1000,
        "held": status.deliveries.get("held", 0),
        "dead": status.deliveries.get("dead", 0),
        "unknown": status.deliveries.get("unknown", 0),
        "seconds_to_drain": status.seconds_to_drain,
        "stalled": [
            {"state": state, "code": code, "reason": reason, "count": count}
            for state, code, reason, count in status.stalled
        ],
        "quarantined": [dataclasses.asdict(entry) for entry in status.quarantined],
        "failing_lookups": [
            {"account_id": account, "tries": tries, "reason": reason}
            for account, tries, reason in status.failing_lookups
        ],
        "degraded_cards": [
            {"variant": variant, "reason": reason, "count": count}
            for variant, reason, count in status.degraded
        ],
        "payouts": status.payouts,
        "payout_problems": [
            {"order_id": order_id, "state": state, "reason": reason}
            for order_id, state, reason in status.payout_problems
        ],
        "rerouted": [{"reason": reason, "count": count} for reason, count in status.rerouted],
        "attention": list_attention(status, Language.EN),
        "missed_digests": [
            {"digest": run.digest, "period": run.period, "to": run.recipient} for run in status.missed_digests
        ],
        "rate_limited": [
            {"limit": name, "until": format_iso(until), "reason": reason}
            for name, until, reason in status.rate_limited
        ],
        **_figures_as_json(status.figures, status.digests, now=status.now),
    }


def _figures_as_json(
    figures: StoreFigures, digests: Sequence[DigestProgress], *, now: Millis
) -> dict[str, Any]:
    """The figures that are not elsewhere in the report. Amounts are decimal text by currency."""
    reconciliation = figures.reconciliation

    def to_seconds(since: Millis | None) -> float | None:
        return None if since is None else (now - since) / 1000

    return {
        "withdrawals": dict(figures.withdrawals),
        "oldest_withdrawal_seconds": to_seconds(figures.oldest_withdrawal_at),
        "unpaid": {code or "points": str(amount) for code, amount in figures.payouts.unpaid.items()},
        "stuck": {code or "points": str(amount) for code, amount in figures.payouts.stuck.items()},
        "late_payouts": figures.payouts.late,
        "batches": figures.batches.count,
        "oldest_batch_seconds": to_seconds(figures.batches.oldest_at),
        "digests": [
            {
                "digest": each.name,
                "last_at": format_iso(each.last_at),
                "next_at": format_iso(each.next_at),
                "late_seconds": to_seconds(each.late_since),
            }
            for each in digests
        ],
        "mismatches": reconciliation.mismatches,
        "missed_in_24_hours": reconciliation.missed_in_day,
        "sent_in_last_second": figures.sent_in_second,
        "sent_in_last_minute": figures.sent_in_minute,
        "calls_in_5_minutes": {"all": figures.recent_calls, "failed": figures.failed_calls},
        "starts_in_15_minutes": figures.recent_starts,
        "term": figures.term,
    }
