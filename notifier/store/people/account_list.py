"""Accounts as operators list them: state, referrer, balance and newest event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.money import Amounts
from notifier.store.ledger import load_balances
from notifier.store.schema.tables import accounts, snapshots


class AccountListState(StrEnum):
    """State of an account."""

    ACTIVE = "active"
    """Events arrive and withdrawals are possible."""
    DEACTIVATED = "deactivated"
    """Feishu sends no events and refuses withdrawals."""
    UNKNOWN = "unknown"
    """Feishu does not know the account, or its referrer was not read yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAccount:
    """One account of this app."""

    account_ref: int
    """Row id."""
    account_id: str
    """Feishu's id."""
    state: AccountListState
    """Its state."""
    referrer_open_id: str | None
    """open_id of the referrer; None: not known."""
    name_zh: str
    """Chinese name of the referrer at Feishu; may be empty."""
    name_en: str
    """English name of the referrer at Feishu; may be empty."""
    amounts: Amounts
    """The balance in the ledger."""
    has_balance: bool
    """Whether the ledger has a balance."""
    last_event_at: Millis | None
    """When the newest balance that an event reported changed, Unix milliseconds; None: no event yet."""
    confirmed_at: Millis | None
    """When a read last equalled the ledger, Unix milliseconds; None: not since the newest event."""


_is_deactivated = accounts.c.deactivated_at.is_not(None)
_is_known = sa.and_(accounts.c.looked_up_at.is_not(None), accounts.c.referrer_open_id.is_not(None))
_CONDITIONS = {
    AccountListState.ACTIVE: sa.and_(sa.not_(_is_deactivated), _is_known),
    AccountListState.DEACTIVATED: _is_deactivated,
    AccountListState.UNKNOWN: sa.and_(sa.not_(_is_deactivated), sa.not_(_is_known)),
}


def list_accounts(
    connection: Connection,
    app_id: str,
    *,
    states: Sequence[str] = (),
    account_ids: Sequence[str] = (),
    limit: int,
) -> list[ListedAccount]:
    """The accounts of the app in these states (all if empty), newest change first.

    account_ids: only these; empty: no filter.
    """
    query = sa.select(accounts).where(accounts.c.app_id == app_id)
    if states:
        query = query.where(sa.or_(*(_CONDITIONS[AccountListState(state)] for state in states)))
    if account_ids:
        query = query.where(accounts.c.account_id.in_(list(account_ids)))
    query = query.order_by(accounts.c.modified_at.desc(), accounts.c.id.desc()).limit(limit)
    rows = connection.execute(query).all()
    refs = [row.id for row in rows]
    amounts, events = load_balances(connection, refs), _load_event_times(connection, refs)
    return [
        ListedAccount(
            account_ref=row.id,
            account_id=row.account_id,
            state=_state_of(row.deactivated_at, row.referrer_open_id),
            referrer_open_id=row.referrer_open_id,
            name_zh=row.referrer_name_zh,
            name_en=row.referrer_name_en,
            amounts=amounts.get(row.id, {}),
            has_balance=row.modified_at is not None,
            last_event_at=events.get(row.id),
            confirmed_at=row.confirmed_at,
        )
        for row in rows
    ]


def count_accounts(connection: Connection, app_id: str) -> int:
    """How many accounts of the app are known."""
    query = sa.select(sa.func.count()).select_from(accounts).where(accounts.c.app_id == app_id)
    return int(connection.execute(query).scalar_one())


def _state_of(deactivated_at: Millis | None, referrer_open_id: str | None) -> AccountListState:
    if deactivated_at is not None:
        return AccountListState.DEACTIVATED
    return AccountListState.ACTIVE if referrer_open_id is not None else AccountListState.UNKNOWN


def _load_event_times(connection: Connection, refs: Sequence[int]) -> Mapping[int, Millis]:
    if not refs:
        return {}
    query = (
        sa.select(snapshots.c.account_ref, sa.func.max(snapshots.c.modified_at).label("newest"))
        .where(snapshots.c.account_ref.in_(refs), snapshots.c.inbox_id.is_not(None))
        .group_by(snapshots.c.account_ref)
    )
    return {row.account_ref: row.newest for row in connection.execute(query)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredAccount:
    """The balance of an account, and the time of its newest balance that a read found; None: no such balance."""

    account_id: str
    amounts: Amounts
    recovered_modified_at: Millis | None


def load_recovered(connection: Connection, app_id: str) -> dict[int, RecoveredAccount]:
    """All accounts of the app by row id, to compare them before and after a run."""
    query = sa.select(accounts.c.id, accounts.c.account_id, accounts.c.recovered_modified_at)
    rows = connection.execute(query.where(accounts.c.app_id == app_id)).all()
    amounts: dict[int, Amounts] = {}
    refs = [row.id for row in rows]
    for start in range(0, len(refs), _REFS_PER_QUERY):
        amounts |= load_balances(connection, refs[start : start + _REFS_PER_QUERY])
    return {
        row.id: RecoveredAccount(
            account_id=row.account_id,
            amounts=amounts.get(row.id, {}),
            recovered_modified_at=row.recovered_modified_at,
        )
        for row in rows
    }


_REFS_PER_QUERY = 500


def count_mismatches(connection: Connection, app_id: str) -> int:
    """How many accounts differed from the ledger and wait for their second read."""
    query = sa.select(sa.func.count()).select_from(accounts)
    return int(
        connection.execute(
            query.where(accounts.c.app_id == app_id, accounts.c.mismatch_modified_at.is_not(None))
        ).scalar_one()
    )
