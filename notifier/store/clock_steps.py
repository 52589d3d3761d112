"""Clock steps: what was due by a clock that has been set back since is due by the new one."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import OPEN_STATES
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import WithdrawalState
from notifier.store.tables import accounts, card_updates, deliveries, payouts, withdrawals, workers


def last_beat(connection: Connection) -> Millis | None:
    return connection.execute(sa.select(sa.func.max(workers.c.beat_at))).scalar()


def set_back(connection: Connection, *, now: Millis, by: Millis) -> None:
    """by: how far the clock was set back, in ms, at most.

    Since when an outcome is unknown moves along: that a call may be repeated must not last longer than Feishu
    remembers it. Beats move too, so that a step is met once.
    """
    for table, column, open_ in (
        (deliveries, deliveries.c.due_at, deliveries.c.state.in_(OPEN_STATES)),
        (withdrawals, withdrawals.c.due_at, withdrawals.c.state == WithdrawalState.REQUESTED),
        (payouts, payouts.c.due_at, payouts.c.state == PayoutState.PENDING),
        (card_updates, card_updates.c.due_at, card_updates.c.shown < card_updates.c.wanted),
        (accounts, accounts.c.lookup_due_at, sa.true()),
    ):
        connection.execute(sa.update(table).where(column > now, open_).values({column: column - by}))
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.unknown_since.is_not(None), deliveries.c.state.in_(OPEN_STATES))
        .values(unknown_since=deliveries.c.unknown_since - by)
    )
    for column in (workers.c.beat_at, workers.c.started_at):
        connection.execute(sa.update(workers).where(column > now).values({column: now}))
