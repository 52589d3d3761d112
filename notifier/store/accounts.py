"""Referrers of accounts: the last answer from Feishu, and when to look it up again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import DeliveryState
from notifier.domain.event import AccountKey
from notifier.store.schema.tables import accounts, deliveries

LEASE_MS = MINUTE_MS
"""Lease of a look-up. After it, the look-up is due again, because its process has probably died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLookup:
    """A claimed referrer look-up. attempts: number of failed look-ups before this one."""

    account_ref: int
    account: AccountKey
    attempts: int


def get_ownership(connection: Connection, account_ref: int) -> Ownership | None:
    """The last known referrer of an account; None before the first look-up."""
    row = connection.execute(
        sa.select(
            accounts.c.referrer_open_id,
            accounts.c.referrer_name_zh,
            accounts.c.referrer_name_en,
            accounts.c.looked_up_at,
        ).where(accounts.c.id == account_ref)
    ).one()
    return parse_ownership(row)


def parse_ownership(row: sa.Row[*tuple[Any, ...]]) -> Ownership | None:
    """The referrer in a row with the columns of `accounts`; None before the first look-up."""
    if row.looked_up_at is None:
        return None
    referrer = None
    if row.referrer_open_id is not None:
        referrer = Referrer(
            open_id=row.referrer_open_id, name_zh=row.referrer_name_zh, name_en=row.referrer_name_en
        )
    return Ownership(referrer=referrer, looked_up_at=row.looked_up_at)


def get_account_key(connection: Connection, account_ref: int) -> AccountKey:
    """Tenant, app and Feishu id of an account."""
    row = connection.execute(
        sa.select(accounts.c.tenant_key, accounts.c.app_id, accounts.c.account_id).where(
            accounts.c.id == account_ref
        )
    ).one()
    return AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)


def find_account_refs(connection: Connection, account_id: str) -> list[int]:
    """All accounts with this id. It is unique only per tenant and app."""
    return list(
        connection.execute(sa.select(accounts.c.id).where(accounts.c.account_id == account_id)).scalars()
    )


def claim_lookups(connection: Connection, *, now: Millis, limit: int) -> list[DueLookup]:
    """Lease due look-ups for LEASE_MS, at most `limit`.

    Accounts with waiting deliveries come first, longest wait first. Accounts that were never looked up follow,
    because digests and withdrawals also need the referrer.
    """
    waiting = (
        sa.select(deliveries.c.account_ref, sa.func.min(deliveries.c.id).label("first"))
        .where(deliveries.c.state == DeliveryState.WAITING)
        .group_by(deliveries.c.account_ref)
        .subquery()
    )
    rows = connection.execute(
        sa.select(accounts)
        .join(waiting, waiting.c.account_ref == accounts.c.id)
        .where(accounts.c.lookup_due_at <= now)
        .order_by(waiting.c.first)
        .limit(limit)
    ).all()
    rows = [
        *rows,
        *_list_never_looked_up(connection, now=now, limit=limit, excluded_refs=[row.id for row in rows]),
    ][:limit]
    if rows:
        connection.execute(
            sa.update(accounts)
            .where(accounts.c.id.in_([row.id for row in rows]))
            .values(lookup_due_at=now + LEASE_MS)
        )
    return [
        DueLookup(
            account_ref=row.id,
            account=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
            attempts=row.lookup_attempts,
        )
        for row in rows
    ]


def _list_never_looked_up(
    connection: Connection, *, now: Millis, limit: int, excluded_refs: Sequence[int]
) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    query = sa.select(accounts).where(
        accounts.c.looked_up_at.is_(None),
        accounts.c.lookup_due_at <= now,
        accounts.c.modified_at.is_not(None),
        accounts.c.id.not_in(excluded_refs),
    )
    return connection.execute(query.order_by(accounts.c.lookup_due_at).limit(limit)).all()


def get_next_lookup_at(connection: Connection) -> Millis | None:
    """When the next look-up is due, in ms: for a waiting delivery, or the first of an account. None if none is."""
    waiting = sa.select(deliveries.c.account_ref).where(deliveries.c.state == DeliveryState.WAITING)
    earliest = sa.select(sa.func.min(accounts.c.lookup_due_at))
    found = (
        connection.execute(earliest.where(accounts.c.id.in_(waiting))).scalar(),
        connection.execute(
            earliest.where(accounts.c.looked_up_at.is_(None), accounts.c.modified_at.is_not(None))
        ).scalar(),
    )
    return min((at for at in found if at is not None), default=None)


def save_ownership(connection: Connection, account_ref: int, ownership: Ownership) -> None:
    """Store the answer of a successful look-up."""
    referrer = ownership.referrer
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_ref)
        .values(
            referrer_open_id=referrer.open_id if referrer else None,
            referrer_name_zh=referrer.name_zh if referrer else "",
            referrer_name_en=referrer.name_en if referrer else "",
            looked_up_at=ownership.looked_up_at,
            lookup_due_at=0,
            lookup_attempts=0,
            lookup_error=None,
        )
    )


def save_is_active(connection: Connection, account_ref: int, *, is_active: bool, now: Millis) -> None:
    """Store whether the account is active at Feishu.

    A deactivated account sends no events. Missing events then do not confirm the balance, so confirmed_at is cleared.
    """
    values: dict[str, object] = {"deactivated_at": None}
    if not is_active:
        values = {"deactivated_at": now, "confirmed_at": None}
    connection.execute(sa.update(accounts).where(accounts.c.id == account_ref).values(**values))


def postpone_lookup(connection: Connection, account_ref: int, *, due_at: Millis, reason: str) -> None:
    """Store a failed look-up. due_at: when to repeat it, in ms."""
    connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == account_ref)
        .values(lookup_due_at=due_at, lookup_attempts=accounts.c.lookup_attempts + 1, lookup_error=reason)
    )


def release_lookups(connection: Connection) -> None:
    """At start-up: make look-ups due now that an earlier process had claimed."""
    connection.execute(sa.update(accounts).where(accounts.c.lookup_attempts == 0).values(lookup_due_at=0))


def list_failing_lookups(connection: Connection, *, limit: int) -> Sequence[tuple[str, int, str]]:
    """(account_id, attempts, reason) of look-ups whose last attempt failed, most attempts first."""
    rows = connection.execute(
        sa.select(accounts.c.account_id, accounts.c.lookup_attempts, accounts.c.lookup_error)
        .where(accounts.c.lookup_error.is_not(None))
        .order_by(accounts.c.lookup_attempts.desc())
        .limit(limit)
    )
    return [(row.account_id, row.lookup_attempts, row.lookup_error) for row in rows]
