"""Registrations: which people were registered, by a keyed hash of their contact data, and their opening balances.

A row is written before the call. After a crash the next run therefore knows that the call may have been carried out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Ownership
from notifier.domain.event import AccountKey, BalanceReport
from notifier.store import ledger
from notifier.store.accounts import lock_accounts, save_is_active, save_ownership
from notifier.store.audit import COMMAND_LINE, AuditAction, AuditEntry, add_entries
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.schema.tables import accounts, inbox, registrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is stored about the registration of one e-mail address or mobile number."""

    fingerprint: str
    """Keyed hash of the contact data."""
    account_id: str | None
    """Feishu's id of the account; None: not known yet."""
    started_at: Millis
    """When the first call may have started, Unix milliseconds."""
    ended_at: Millis | None
    """When the newest call had a clear answer; None: it may have been carried out."""
    code: int | None
    """Feishu's error code of a refusal; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAccount:
    """An account that Feishu returned for a person, with its balance at that time."""

    report: BalanceReport
    """The opening balance. Its tenant may be "": then the tenant is found in the database."""
    ownership: Ownership | None
    """The referrer; None: not read yet."""
    is_active: bool
    """Whether events and withdrawals are on."""


_LOAD = (
    sa.select(registrations, accounts.c.account_id)
    .outerjoin(accounts, accounts.c.id == registrations.c.account_ref)
    .where(
        registrations.c.app_id == sa.bindparam("app"),
        registrations.c.fingerprint.in_(sa.bindparam("fingerprints", expanding=True)),
    )
)


def load_registrations(
    connection: Connection, app_id: str, fingerprints: Collection[str]
) -> dict[str, Registration]:
    """The registrations with these fingerprints. People that were never tried are missing."""
    if not fingerprints:
        return {}
    rows = connection.execute(_LOAD, {"app": app_id, "fingerprints": sorted(fingerprints)})
    return {
        row.fingerprint: Registration(
            fingerprint=row.fingerprint,
            account_id=row.account_id,
            started_at=row.started_at,
            ended_at=row.ended_at,
            code=row.code,
        )
        for row in rows
    }


def list_deactivated(connection: Connection, app_id: str, account_ids: Collection[str]) -> set[str]:
    """Those of the accounts that are deactivated."""
    found: set[str] = set()
    wanted = sorted(account_ids)
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        query = sa.select(accounts.c.account_id).where(
            accounts.c.app_id == app_id,
            accounts.c.account_id.in_(wanted[start : start + _IDS_PER_QUERY]),
            accounts.c.deactivated_at.is_not(None),
        )
        found.update(connection.execute(query).scalars())
    return found


_IDS_PER_QUERY = 500


def start_registration(
    connection: Connection, app_id: str, fingerprints: Collection[str], *, now: Millis
) -> Millis:
    """Store that a call for this person starts. Returns when the first such call started, Unix milliseconds.

    A call that Feishu refused earlier created nothing, so it does not count.
    """
    rows = [{"app_id": app_id, "fingerprint": each, "started_at": now} for each in sorted(fingerprints)]
    insert_or_ignore(connection, registrations, rows)
    mine = _is_one_of(app_id, fingerprints)
    connection.execute(
        sa.update(registrations)
        .where(mine, registrations.c.ended_at.is_not(None), registrations.c.account_ref.is_(None))
        .values(started_at=now, ended_at=None, code=None)
    )
    first = connection.execute(sa.select(sa.func.min(registrations.c.started_at)).where(mine)).scalar_one()
    return min(int(first), now)


def refuse_registration(
    connection: Connection, app_id: str, fingerprints: Collection[str], *, code: int | None, now: Millis
) -> None:
    """Store that Feishu clearly refused to register this person."""
    connection.execute(
        sa.update(registrations)
        .where(_is_one_of(app_id, fingerprints), registrations.c.account_ref.is_(None))
        .values(ended_at=now, code=code)
    )


def link_registration(
    connection: Connection, app_id: str, fingerprints: Collection[str], account_ref: int, *, now: Millis
) -> None:
    """Store that these contact data belong to the referrer of a known account."""
    rows = [{"app_id": app_id, "fingerprint": each, "started_at": now} for each in sorted(fingerprints)]
    insert_or_ignore(connection, registrations, rows)
    connection.execute(
        sa.update(registrations)
        .where(_is_one_of(app_id, fingerprints))
        .values(account_ref=account_ref, ended_at=now, code=None)
    )


def save_account(
    connection: Connection, fingerprints: Collection[str], registered: RegisteredAccount, *, now: Millis
) -> bool:
    """Store a registered account with its referrer and its opening balance. Returns whether it was not known before.

    No notice is created. If a balance is stored already, for example from an event that arrived meanwhile, it stays:
    an event is newer than the registration, and reconciliation reads the account again.
    """
    report = registered.report
    row = _get_or_add_account(connection, report.account)
    is_new = row.modified_at is None
    if is_new:
        opening = BalanceReport(
            account=replace(report.account, tenant_key=row.tenant_key),
            modified_at=report.modified_at,
            reported_at=report.reported_at,
            amounts=report.amounts,
        )
        ledger.apply_reports(connection, [(None, opening)])
    if registered.ownership is not None and row.waits_since is None:
        # deliveries that wait are addressed by the look-up of the service, which must still take place
        save_ownership(connection, row.id, registered.ownership)
    if registered.is_active == (row.deactivated_at is not None):
        save_is_active(connection, row.id, is_active=registered.is_active, now=now)
    link_registration(connection, report.account.app_id, fingerprints, row.id, now=now)
    outcome = "registered" if is_new else "registered again: the account was known"
    add_account_entry(connection, row.id, outcome, now=now)
    return is_new


def _get_or_add_account(connection: Connection, key: AccountKey) -> sa.Row[*tuple[Any, ...]]:
    """The row of this account, locked. An account that is stored without its tenant is the same one."""
    if not key.tenant_key:
        key = replace(key, tenant_key=find_tenant_key(connection, key.app_id))
    query = sa.select(accounts).where(
        accounts.c.tenant_key.in_({"", key.tenant_key}),
        accounts.c.app_id == key.app_id,
        accounts.c.account_id == key.account_id,
    )
    if connection.execute(query).first() is None:
        insert_or_ignore(connection, accounts, [asdict(key)])
    lock_accounts(connection, [row.id for row in connection.execute(query)])
    return connection.execute(query.order_by(accounts.c.tenant_key.desc())).first()  # type: ignore[return-value]


def add_account_entry(connection: Connection, account_ref: int, outcome: str, *, now: Millis) -> None:
    """Append to the audit trail what an operator did to an account on the command line. outcome: in words."""
    entry = AuditEntry(
        at=now, action=AuditAction.ACCOUNT, actor=COMMAND_LINE, outcome=outcome, account_ref=account_ref
    )
    add_entries(connection, entry)


def find_tenant_key(connection: Connection, app_id: str) -> str:
    """The tenant of the app, as an account or an event names it; "" if none does. A self-built app has one tenant."""
    for table in (accounts, inbox):
        found = connection.execute(
            sa.select(table.c.tenant_key)
            .where(table.c.app_id == app_id, table.c.tenant_key != "")
            .order_by(table.c.id.desc())
            .limit(1)
        ).scalar()
        if found:
            return str(found)
    return ""


def find_accounts_of(connection: Connection, app_id: str, open_ids: Collection[str]) -> Mapping[str, int]:
    """Row ids of the known accounts of these people, by open_id."""
    if not open_ids:
        return {}
    rows = connection.execute(
        sa.select(accounts.c.id, accounts.c.referrer_open_id)
        .where(accounts.c.app_id == app_id, accounts.c.referrer_open_id.in_(sorted(open_ids)))
        .order_by(accounts.c.id)
    )
    return {row.referrer_open_id: row.id for row in rows}


def _is_one_of(app_id: str, fingerprints: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(registrations.c.app_id == app_id, registrations.c.fingerprint.in_(sorted(fingerprints)))


def list_account_ids(connection: Connection, refs: Sequence[int]) -> dict[int, str]:
    """Feishu's ids of these accounts by row id."""
    rows = connection.execute(sa.select(accounts.c.id, accounts.c.account_id).where(accounts.c.id.in_(refs)))
    return {row.id: row.account_id for row in rows}
