"""Referrers of accounts: the last answer from Feishu, and when to look it up again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import AccountKey
from notifier.store.engine.sql import lock_rows
from notifier.store.schema.tables import accounts

LEASE_MS = MINUTE_MS
"""Lease of a look-up. After it, the look-up is due again, because its process has probably died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLookup:
    """A claimed referrer look-up. attempts: number of failed look-ups before this one."""

    account_ref: int
    account: AccountKey
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """What is stored about an account."""

    key: AccountKey
    """Tenant, app and Feishu id."""
    ownership: Ownership | None
    """The last known referrer; None before the first look-up."""
    modified_at: Millis | None
    """Of the newest snapshot, in ms; None if there is none."""
    is_deactivated: bool = False
    """Whether Feishu last reported the account as deactivated."""


_LOAD_ACCOUNTS = sa.select(
    accounts.c.id,
    accounts.c.tenant_key,
    accounts.c.app_id,
    accounts.c.account_id,
    accounts.c.modified_at,
    accounts.c.referrer_open_id,
    accounts.c.referrer_name_zh,
    accounts.c.referrer_name_en,
    accounts.c.looked_up_at,
    accounts.c.deactivated_at,
).where(accounts.c.id.in_(sa.bindparam("refs", expanding=True)))


def lock_accounts(connection: Connection, account_refs: Collection[int]) -> None:
    """Lock these accounts until the transaction ends.

    Who decides by the withdrawals or the balance of an account, or changes them, locks it first: a press that another
    process stores at the same time then waits, and finds the new state.
    """
    lock_rows(connection, accounts.c.id, account_refs)


def load_accounts(connection: Connection, account_refs: Collection[int]) -> dict[int, StoredAccount]:
    """These accounts by row id."""
    if not account_refs:
        return {}
    return {
        row.id: StoredAccount(
            key=AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id),
            ownership=parse_ownership(row),
            modified_at=row.modified_at,
            is_deactivated=row.deactivated_at is not None,
        )
        for row in connection.execute(_LOAD_ACCOUNTS, {"refs": sorted(set(account_refs))})
    }


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


_REQUEST_LOOKUPS = (
    sa.update(accounts)
    .where(accounts.c.id.in_(sa.bindparam("refs", expanding=True)), accounts.c.waits_since.is_(None))
    .values(waits_since=sa.bindparam("now"))
)
_WAITING = (
    sa.select(accounts)
    .where(accounts.c.waits_since.is_not(None), accounts.c.lookup_due_at <= sa.bindparam("now"))
    .order_by(accounts.c.lookup_due_at, accounts.c.waits_since)
    .limit(sa.bindparam("limit"))
)
_NEVER_LOOKED_UP = (
    sa.select(accounts)
    .where(
        accounts.c.looked_up_at.is_(None),
        accounts.c.lookup_due_at <= sa.bindparam("now"),
        accounts.c.modified_at.is_not(None),
        accounts.c.waits_since.is_(None),
    )
    .order_by(accounts.c.lookup_due_at)
    .limit(sa.bindparam("limit"))
)
_NEXT_LOOKUPS = (
    sa.select(sa.func.min(accounts.c.lookup_due_at)).where(accounts.c.waits_since.is_not(None)),
    sa.select(sa.func.min(accounts.c.lookup_due_at)).where(
        accounts.c.looked_up_at.is_(None), accounts.c.modified_at.is_not(None)
    ),
)


def request_lookups(connection: Connection, account_refs: Collection[int], *, now: Millis) -> None:
    """Note that a delivery of these accounts waits for the referrer."""
    if account_refs:
        connection.execute(_REQUEST_LOOKUPS, {"refs": sorted(account_refs), "now": now})


def claim_lookups(connection: Connection, *, now: Millis, limit: int) -> list[DueLookup]:
    """Lease due look-ups for LEASE_MS, at most `limit`.

    Accounts with waiting deliveries come first, longest wait first. Accounts that were never looked up follow,
    because digests and withdrawals also need the referrer.
    """
    rows = connection.execute(_WAITING, {"now": now, "limit": limit}).all()
    if len(rows) < limit:
        others = connection.execute(_NEVER_LOOKED_UP, {"now": now, "limit": limit - len(rows)}).all()
        rows = [*rows, *others]
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


def get_next_lookup_at(connection: Connection) -> Millis | None:
    """When the next look-up is due, in ms: for a waiting delivery, or the first of an account. None if none is."""
    found = [connection.execute(query).scalar() for query in _NEXT_LOOKUPS]
    return min((at for at in found if at is not None), default=None)


_SAVE_OWNERSHIP = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("account_ref"))
    .values(
        referrer_open_id=sa.bindparam("open_id"),
        referrer_name_zh=sa.bindparam("name_zh"),
        referrer_name_en=sa.bindparam("name_en"),
        looked_up_at=sa.bindparam("now"),
        lookup_due_at=0,
        waits_since=None,
        lookup_attempts=0,
        lookup_error=None,
    )
)


def save_ownership(connection: Connection, account_ref: int, ownership: Ownership) -> None:
    """Store the answer of a successful look-up."""
    save_ownerships(connection, {account_ref: ownership})


def save_ownerships(connection: Connection, ownerships: Mapping[int, Ownership]) -> None:
    """Store the answers of successful look-ups, by row id of the account."""
    if not ownerships:
        return
    rows = [
        {
            "account_ref": ref,
            "open_id": ownership.referrer.open_id if ownership.referrer else None,
            "name_zh": ownership.referrer.name_zh if ownership.referrer else "",
            "name_en": ownership.referrer.name_en if ownership.referrer else "",
            "now": ownership.looked_up_at,
        }
        for ref, ownership in ownerships.items()
    ]
    connection.execute(_SAVE_OWNERSHIP, rows)


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
    for is_wanted in (accounts.c.waits_since.is_not(None), accounts.c.looked_up_at.is_(None)):
        connection.execute(
            sa.update(accounts)
            .where(is_wanted, accounts.c.lookup_due_at > 0, accounts.c.lookup_attempts == 0)
            .values(lookup_due_at=0)
        )


def list_failing_lookups(connection: Connection, *, limit: int) -> Sequence[tuple[str, int, str]]:
    """(account_id, attempts, reason) of look-ups whose last attempt failed, most attempts first."""
    rows = connection.execute(
        sa.select(accounts.c.account_id, accounts.c.lookup_attempts, accounts.c.lookup_error)
        .where(accounts.c.lookup_error.is_not(None))
        .order_by(accounts.c.lookup_attempts.desc())
        .limit(limit)
    )
    return [(row.account_id, row.lookup_attempts, row.lookup_error) for row in rows]
