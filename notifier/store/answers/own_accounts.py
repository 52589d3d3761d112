"""The accounts of one person: those whose referrer they are, as Feishu answered last."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Ownership
from notifier.domain.event import AccountKey
from notifier.store.accounts import parse_ownership
from notifier.store.schema.tables import accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccount:
    """An account of a person."""

    account_ref: int
    """Row id."""
    key: AccountKey
    """Tenant, app and Feishu id."""
    ownership: Ownership
    """The newest answer about the referrer."""
    modified_at: Millis | None
    """Of the newest balance in the ledger, in ms; None: there is none."""
    is_deactivated: bool
    """Whether Feishu last reported the account as deactivated."""


_LIST_OWN = (
    sa.select(accounts)
    .where(
        accounts.c.referrer_open_id.in_(sa.bindparam("people", expanding=True)),
        accounts.c.looked_up_at.is_not(None),
    )
    .order_by(accounts.c.id)
)

_NEWEST_REF = sa.select(sa.func.max(accounts.c.id))
_HAS_UNKNOWN = (
    sa.select(sa.literal(1))
    .where(
        accounts.c.looked_up_at.is_(None),
        accounts.c.modified_at.is_not(None),
        accounts.c.app_id == sa.bindparam("app_id"),
        accounts.c.id <= sa.bindparam("newest_ref"),
    )
    .limit(1)
)


def get_newest_ref(connection: Connection) -> int:
    """Row id of the newest account; 0 if there is none."""
    return connection.execute(_NEWEST_REF).scalar() or 0


def has_unknown_referrers(connection: Connection, app_id: str, *, newest_ref: int) -> bool:
    """Whether Feishu has not said yet whose account one is. newest_ref: row id of the newest account that matters."""
    values = {"app_id": app_id, "newest_ref": newest_ref}
    return connection.execute(_HAS_UNKNOWN, values).first() is not None


def list_own_accounts(
    connection: Connection, people: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str, str], list[OwnAccount]]:
    """The accounts of people, oldest first. people: (app, tenant, open_id) of each.

    An account that was registered before any event named its tenant belongs to the tenant of the app.
    """
    found: dict[tuple[str, str, str], list[OwnAccount]] = {each: [] for each in people}
    if not people:
        return found
    rows = connection.execute(_LIST_OWN, {"people": sorted({each[2] for each in people})})
    for row in rows:
        ownership = parse_ownership(row)
        for (app_id, tenant_key, open_id), own in found.items():
            is_theirs = row.referrer_open_id == open_id and row.app_id == app_id
            if ownership is not None and is_theirs and row.tenant_key in ("", tenant_key):
                key = AccountKey(tenant_key=row.tenant_key, app_id=row.app_id, account_id=row.account_id)
                own.append(
                    OwnAccount(
                        account_ref=row.id,
                        key=key,
                        ownership=ownership,
                        modified_at=row.modified_at,
                        is_deactivated=row.deactivated_at is not None,
                    )
                )
    return found
