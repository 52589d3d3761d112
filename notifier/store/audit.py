"""The audit trail: who did what, when, on which card, and what came of it. Rows are added, never changed.

It holds ids and our own words only: no names, no contact data, no secrets.
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
"""The company's own system that pays."""
COMMAND_LINE = "command line"


class AuditAction(StrEnum):
    CLICK = "click"
    DENIED = "denied"
    BATCH = "batch"
    ORDER = "order"
    ANSWER = "answer"
    PAYOUT = "payout"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """actor: an open_id, or one of the names above; "" where Feishu named nobody. outcome: one line for a person."""

    at: Millis
    action: AuditAction
    actor: str
    outcome: str
    account_ref: int | None = None
    order_id: str | None = None
    delivery_id: int | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    id: int
    at: Millis
    action: str
    actor: str
    account_id: str | None
    order_id: str | None
    delivery_id: int | None
    message_id: str | None
    outcome: str


def add_entries(connection: Connection, *entries: AuditEntry) -> None:
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


def list_entries(
    connection: Connection, *, account_id: str | None = None, order_id: str | None = None, limit: int
) -> list[AuditRow]:
    """Newest first."""
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
