"""Clock steps: what was due by a clock that has been set back since is due by the new one."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import OPEN_STATES, UUID_WINDOW_MS
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState
from notifier.store.schema.tables import accounts, card_updates, deliveries, payouts, withdrawals, workers

MIN_JUMP_MS = 2_000
"""What is less is slewing, and no wait is much longer for it."""


def get_last_heartbeat(connection: Connection) -> Millis | None:
    return connection.execute(sa.select(sa.func.max(workers.c.heartbeat_at))).scalar()


def expire_unknown_outcomes(connection: Connection, *, now: Millis) -> None:
    """To be called at a start. Where the clock was set back while we were off, nobody knows for how long that was: a
    call whose outcome is unknown may be older than Feishu's memory of it.
    """
    latest = get_last_heartbeat(connection)
    if latest is not None and latest - now >= MIN_JUMP_MS:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.unknown_since > now - UUID_WINDOW_MS, deliveries.c.state.in_(OPEN_STATES))
            .values(unknown_since=now - UUID_WINDOW_MS)
        )


def shift_due_times(connection: Connection, *, now: Millis, jump_ms: Millis) -> None:
    """by: how far the clock was set back, in ms, at most.

    Since when an outcome is unknown moves along: that a call may be repeated must not last longer than Feishu
    remembers it. A read that agreed after now, by the old clock, is no proof against a connection made by the new one.
    Beats move too, so that a step is met once.
    """
    for table, column, open_ in (
        (deliveries, deliveries.c.due_at, deliveries.c.state.in_(OPEN_STATES)),
        (withdrawals, withdrawals.c.due_at, withdrawals.c.state == WithdrawalState.REQUESTED),
        (payouts, payouts.c.due_at, payouts.c.state == PayoutState.PENDING),
        (
            card_updates,
            card_updates.c.due_at,
            card_updates.c.applied_version < card_updates.c.requested_version,
        ),
        (accounts, accounts.c.lookup_due_at, sa.true()),
        (accounts, accounts.c.recheck_at, sa.true()),
    ):
        connection.execute(sa.update(table).where(column > now, open_).values({column: column - jump_ms}))
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.unknown_since.is_not(None), deliveries.c.state.in_(OPEN_STATES))
        .values(unknown_since=deliveries.c.unknown_since - jump_ms)
    )
    connection.execute(sa.update(accounts).where(accounts.c.confirmed_at > now).values(confirmed_at=None))
    for column in (workers.c.heartbeat_at, workers.c.started_at):
        connection.execute(sa.update(workers).where(column > now).values({column: now}))
