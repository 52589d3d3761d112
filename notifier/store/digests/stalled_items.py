"""Stalled items for digests: deliveries and payouts that need attention."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import NEEDS_ATTENTION
from notifier.domain.digest import StalledItems, StalledPayout
from notifier.domain.payout import PayoutState
from notifier.store.schema.tables import accounts, deliveries, is_ended, payouts

MAX_EXAMPLES = 3
"""Maximum number of examples of each type."""


def summarize_stalled(connection: Connection, *, late_before: Millis | None) -> StalledItems:
    """Count dead and unknown deliveries and failed or late payouts, with examples.

    late_before: an unpaid payout created before this time (ms) is late; None: none is late.
    """
    needs_attention = is_ended & deliveries.c.state.in_(NEEDS_ATTENTION)
    undelivered = connection.execute(
        sa.select(sa.func.count()).select_from(deliveries).where(needs_attention)
    ).scalar_one()
    names = connection.execute(
        sa.select(accounts.c.account_id)
        .join(deliveries, deliveries.c.account_ref == accounts.c.id)
        .where(needs_attention)
        .group_by(accounts.c.account_id)
        .order_by(sa.func.max(deliveries.c.id).desc())
        .limit(MAX_EXAMPLES)
    ).scalars()
    problems = (PayoutState.DEAD, PayoutState.FAILED, PayoutState.UNKNOWN, PayoutState.UNCONFIRMED)
    failed = payouts.c.state.in_(problems)
    late = sa.and_(
        payouts.c.state.in_((PayoutState.PENDING, PayoutState.SUBMITTING, PayoutState.SENT)),
        payouts.c.created_at < (late_before or 0),
    )
    where = sa.or_(failed, late)
    rows = connection.execute(
        sa.select(payouts.c.order_id, payouts.c.state, payouts.c.created_at, accounts.c.account_id)
        .join(accounts, accounts.c.id == payouts.c.account_ref)
        .where(where)
        .order_by(payouts.c.id)
        .limit(MAX_EXAMPLES)
    ).all()
    return StalledItems(
        undelivered=undelivered,
        undelivered_accounts=tuple(names),
        payouts=connection.execute(sa.select(sa.func.count()).select_from(payouts).where(where)).scalar_one(),
        payout_examples=tuple(
            StalledPayout(
                account_id=row.account_id,
                order_id=row.order_id,
                state=row.state if row.state in problems else "late",
                since=row.created_at,
            )
            for row in rows
        ),
    )
