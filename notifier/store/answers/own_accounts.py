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
