"""Clock jumps: corrects stored times after the system clock was set back."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.answers.question import QuestionState
from notifier.domain.delivery import UUID_WINDOW_MS
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState
from notifier.store import recipients
from notifier.store.deliveries import holding
from notifier.store.engine.sql import literal
from notifier.store.schema.tables import (
    accounts,
    card_updates,
    deliveries,
    is_open,
    payouts,
    questions,
    withdrawals,
    workers,
)

MIN_JUMP_MS = 2_000
"""Smaller differences are ignored: clock slewing causes them, and they delay nothing noticeably."""


def get_last_heartbeat(connection: Connection) -> Millis | None:
    """The newest heartbeat of any process, in ms; None if there is none."""
    return connection.execute(sa.select(sa.func.max(workers.c.heartbeat_at))).scalar()


def get_last_trusted(connection: Connection) -> Millis | None:
    """The newest heartbeat of any process whose clock was plausible, in ms; None if there is none."""
    return connection.execute(sa.select(sa.func.max(workers.c.trusted_at))).scalar()


def expire_unknown_outcomes(connection: Connection, *, now: Millis) -> None:
    """At start-up: expire unknown outcomes if the clock was set back while the process was down.

    The length of the downtime is then unknown. Feishu may have forgotten the uuid of a call, so that a repeat with
    the same uuid could arrive twice.
    """
    latest = get_last_heartbeat(connection)
    if latest is not None and latest - now >= MIN_JUMP_MS:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.unknown_since > now - UUID_WINDOW_MS, is_open)
            .values(unknown_since=now - UUID_WINDOW_MS)
        )


def shift_due_times(connection: Connection, *, now: Millis, jump_ms: Millis) -> None:
    """Move future due times back. jump_ms: upper bound of the distance that the clock was set back, in ms.

    unknown_since moves too, because a call may only be repeated while Feishu remembers its uuid.
    A confirmed_at in the future is cleared, because it cannot be compared with connection times of the new clock.
    Heartbeats move too, so that each jump is detected once.
    """
    for table, column, open_ in (
        (deliveries, deliveries.c.due_at, sa.and_(is_open, deliveries.c.state != literal("held"))),
        (withdrawals, withdrawals.c.due_at, withdrawals.c.state == WithdrawalState.REQUESTED),
        (payouts, payouts.c.due_at, payouts.c.state.in_((PayoutState.PENDING, PayoutState.SUBMITTING))),
        (
            card_updates,
            card_updates.c.due_at,
            card_updates.c.applied_version < card_updates.c.requested_version,
        ),
        (questions, questions.c.due_at, questions.c.state == QuestionState.NEW),
        (accounts, accounts.c.lookup_due_at, sa.true()),
        (accounts, accounts.c.recheck_at, sa.true()),
    ):
        connection.execute(sa.update(table).where(column > now, open_).values({column: column - jump_ms}))
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.unknown_since.is_not(None), is_open)
        .values(unknown_since=deliveries.c.unknown_since - jump_ms)
    )
    holding.reconsider_all(connection, now=now)
    recipients.plan_all(connection, now=now)
    connection.execute(sa.update(accounts).where(accounts.c.confirmed_at > now).values(confirmed_at=None))
    for column in (workers.c.heartbeat_at, workers.c.started_at):
        connection.execute(sa.update(workers).where(column > now).values({column: now}))
