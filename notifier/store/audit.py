"""Audit trail: who did what, when, on which card, with which outcome. Rows are only added.

It contains ids, login names of operators and texts of this program, but no names of referrers, contact data or secrets.
"""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.store.schema.tables import accounts, audit

FEISHU = "feishu"
NOTIFIER = "notifier"
PAYROLL = "payroll"
"""Actors that are not persons. PAYROLL is the company's payroll system."""
COMMAND_LINE = "command line"


class AuditAction(StrEnum):
    """Kind of an audited action."""

    CLICK = "click"
    DENIED = "denied"
    BATCH = "batch"
    ORDER = "order"
    ANSWER = "answer"
    PAYOUT = "payout"
    MANUAL = "manual"
    ACCOUNT = "account"
    OPERATORS = "operators"
    SETTINGS = "settings"
    """A person saved the own preferences."""
    TEST = "test"
    """A press of the test card of `notifier doctor`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A new audit entry."""

    at: Millis
    """Unix milliseconds."""
    action: AuditAction
    """What happened."""
    actor: str
    """An open_id, or one of the constants above; empty if Feishu named no operator."""
    outcome: str
    """What happened, as one line for operators."""
    account_ref: int | None = None
    """accounts.id."""
    order_id: str | None = None
    """Withdrawal order."""
    delivery_id: int | None = None
    """Delivery of the pressed card."""
    message_id: str | None = None
    """Feishu's id of the pressed message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A stored audit entry. See AuditEntry."""

    id: int
    """Row id."""
    at: Millis
    """Unix milliseconds."""
    action: str
    """AuditAction."""
    actor: str
    """open_id, `feishu`, `notifier`, `payroll` or `command line`; "": nobody is named."""
    account_id: str | None
    """Feishu's id of the account."""
    order_id: str | None
    """The withdrawal; None: none."""
    delivery_id: int | None
    """The delivery of the pressed card; None: none."""
    message_id: str | None
    """Feishu's id of the pressed card; None: none."""
    outcome: str
    """The outcome in words."""


def add_entries(connection: Connection, *entries: AuditEntry) -> None:
    """Append entries."""
    connection.execute(
        sa.insert(audit),
        [
            {
                "at": entry.at,
                "action": entry.action,
                "actor": entry.actor[:64],
                "account_ref": entry.account_ref,
                "order_id": entry.order_id,
                "delivery_id": entry.delivery_id,
                "message_id": entry.message_id[:64] if entry.message_id else None,
                "outcome": entry.outcome,
            }
            for entry in entries
        ],
    )


def add_manual_entry(
    connection: Connection, order_id: str, account_ref: int, outcome: str, *, now: Millis
) -> None:
    """Append what an operator did to a withdrawal or its payout on the command line. outcome: in words."""
    entry = AuditEntry(
        at=now,
        action=AuditAction.MANUAL,
        actor=COMMAND_LINE,
        outcome=outcome,
        account_ref=account_ref,
        order_id=order_id,
    )
    add_entries(connection, entry)


def get_last_id(connection: Connection) -> int:
    """The id of the newest entry; 0: there is none."""
    return connection.execute(sa.select(sa.func.max(audit.c.id))).scalar() or 0


def list_test_presses(connection: Connection, *, after: int) -> list[str]:
    """The outcomes of presses of test cards: the references of their buttons. after: only later entries, by id."""
    query = sa.select(audit.c.outcome).where(audit.c.id > after, audit.c.action == AuditAction.TEST)
    return [row.outcome for row in connection.execute(query)]


def list_entries(
    connection: Connection, *, account_id: str | None = None, order_id: str | None = None, limit: int
) -> list[AuditRow]:
    """Entries, newest first. account_id, order_id: only entries of these; None: no filter."""
    query = sa.select(
        audit.c.id,
        audit.c.at,
        audit.c.action,
        audit.c.actor,
        accounts.c.account_id,
        audit.c.order_id,
        audit.c.delivery_id,
        audit.c.message_id,
        audit.c.outcome,
    ).outerjoin(accounts, accounts.c.id == audit.c.account_ref)
    if account_id is not None:
        query = query.where(accounts.c.account_id == account_id)
    if order_id is not None:
        query = query.where(audit.c.order_id == order_id)
    found = connection.execute(query.order_by(audit.c.id.desc()).limit(limit))
    return [AuditRow(**row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's public name for it


def get_newest_outcome(connection: Connection, action: AuditAction, prefix: str) -> str | None:
    """The outcome of the newest entry of this action that begins with `prefix`; None if there is none."""
    query = sa.select(audit.c.outcome).where(
        audit.c.action == action, sa.func.substr(audit.c.outcome, 1, len(prefix)) == prefix
    )
    found: str | None = connection.execute(query.order_by(audit.c.id.desc()).limit(1)).scalar()
    return found
